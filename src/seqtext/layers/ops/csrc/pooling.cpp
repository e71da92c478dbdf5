// Maximum of each feature over the steps of padded texts on a CPU; ops/pooling.py calls it.

#include <algorithm>
#include <limits>
#include <memory>

#include "functions.h"

// Mirrored in ops/pooling.py; B texts, T time steps, D features.
template <class Real> struct MaxArgs {
    Int threads, texts, steps, features;
    const Int *lengths;                       // [B]
    const Real *x;                            // [B, T, D]
    Real *largest, *equal;                    // [B, D]; equal: numbers of steps with the maximum
    const Real *gradient;                     // [B, D]; from here on, backward only
    Real *d_x;                                // [B, T, D]
};

template <class Real> void pool(const MaxArgs<Real> &c, Int b) {
    const Int D = c.features;
    Real *largest = c.largest + b * D, *equal = c.equal + b * D;
    std::fill(largest, largest + D, -std::numeric_limits<Real>::infinity());
    std::fill(equal, equal + D, Real(0));
    const Real *x = c.x + b * c.steps * D;
    for (Int t = 0; t < c.lengths[b]; ++t, x += D)
#pragma omp simd
        for (Int d = 0; d < D; ++d) {  // nan, once read, stays
            const bool higher = x[d] > largest[d] || x[d] != x[d], same = x[d] == largest[d];
            equal[d] = higher ? Real(1) : equal[d] + (same ? Real(1) : Real(0));
            largest[d] = higher ? x[d] : largest[d];
        }
}

template <class Real> void spread(const MaxArgs<Real> &c, Int b, Real *share) {
    const Int D = c.features;
    const Real *largest = c.largest + b * D, *x = c.x + b * c.steps * D;
    Real *d_x = c.d_x + b * c.steps * D;
    for (Int d = 0; d < D; ++d) share[d] = c.gradient[b * D + d] / c.equal[b * D + d];
    for (Int t = 0; t < c.lengths[b]; ++t, x += D, d_x += D)
#pragma omp simd
        for (Int d = 0; d < D; ++d) d_x[d] = x[d] == largest[d] ? share[d] : Real(0);
    std::fill_n(d_x, (c.steps - c.lengths[b]) * D, Real(0));
}

template <class Real> void run(const MaxArgs<Real> &c, bool is_backward) {
#pragma omp parallel num_threads(c.threads)
    {
        std::unique_ptr<Real[]> share(new Real[c.features]);
#pragma omp for
        for (Int b = 0; b < c.texts; ++b)
            if (is_backward) spread(c, b, share.get());
            else pool(c, b);
    }
}

extern "C" {
Int max_args_size() { return sizeof(MaxArgs<float>); }
void max_float(const MaxArgs<float> *call, int is_backward) { run(*call, is_backward); }
void max_double(const MaxArgs<double> *call, int is_backward) { run(*call, is_backward); }
}
