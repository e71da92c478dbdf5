// Gradient of a table of vectors on a CPU; ops/embedding.py calls it.

#include <omp.h>

#include <algorithm>

#include "functions.h"

// Mirrored in ops/embedding.py; N tokens, V vectors of E numbers.
template <class Real> struct EmbeddingArgs {
    Int threads, tokens, vectors, features, padding;
    const Int *ids;     // [N]; no gradient of `padding`
    const Real *x;      // [N, E] gradients of the tokens' vectors
    Real *d_table;      // [V, E]
};

// Each thread adds up its own part of the table, in the order of the tokens: the sums are those of one thread.
template <class Real> void add_rows(const EmbeddingArgs<Real> &c) {
    const Int E = c.features;
#pragma omp parallel num_threads(c.threads)
    {
        const Int thread = omp_get_thread_num(), threads = omp_get_num_threads();
        const Int first = c.vectors * thread / threads, last = c.vectors * (thread + 1) / threads;
        std::fill(c.d_table + first * E, c.d_table + last * E, Real(0));
        for (Int n = 0; n < c.tokens; ++n) {
            const Int id = c.ids[n];
            if (id < first || id >= last || id == c.padding) continue;
            const Real *x = c.x + n * E;
            Real *to = c.d_table + id * E;
#pragma omp simd
            for (Int e = 0; e < E; ++e) to[e] += x[e];
        }
    }
}

extern "C" {
Int embedding_args_size() { return sizeof(EmbeddingArgs<float>); }
void embedding_float(const EmbeddingArgs<float> *call, int) { add_rows(*call); }
void embedding_double(const EmbeddingArgs<double> *call, int) { add_rows(*call); }
}
