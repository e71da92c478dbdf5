// A convolutional block over whole texts on a CPU, forward and backward: convolution, ReLU, batch
// norm, the largest of neighbours; ops/conv.py calls it.
//
// Each thread takes texts of its own, some at a time. They are laid behind each other with zeros
// between, so that the words under a filter are one stretch of memory: the rows of the matrix that
// is multiplied overlap, and nothing is unfolded.

#include <omp.h>

#include <cmath>
#include <numeric>
#include <vector>

#include "products.h"

constexpr Int LAID = 256;  // rows that are laid out at a time, or one text's

enum { NO_NORM, RUNNING, BATCH };  // kinds of batch-norm statistics

// Mirrored in ops/conv.py; B texts, T steps, D inputs, F filters of W words, P groups of words.
template <class Real> struct ConvArgs {
    Int stats, threads, texts, steps, inputs, filters, width, pool;
    double epsilon;              // beside the variance
    const Int *lengths;          // [B]
    const Real *x;                  // [B, T, D]
    const Real *weight, *bias;      // [F, D, W], [F]
    const Real *scale, *shift;      // [F], or null: no batch norm
    Real *mean, *variance;          // [F] of the values, or null; written if BATCH
    Real *values;                   // [B, T, F], after ReLU
    Real *largest;                  // [B, P, F]; zeros where there is no word
    const Real *gradient;           // [B, P, F]; from here on, backward only
    Real *d_values;                 // [B, T, F]: room to work in
    Real *d_x;                      // [B, T, D], or null
    Real *d_weight, *d_bias;        // as the weights
    Real *d_scale, *d_shift;
};

template <class Real> struct Shared {  // by the threads
    const ConvArgs<Real> &c;
    std::vector<double> totals = std::vector<double>(c.threads * c.filters);
    std::vector<const Real *> d_weight = std::vector<const Real *>(c.threads);  // [F, W, D] of each
};

template <class Real> struct Worker {  // a thread, and its texts
    const ConvArgs<Real> &c;
    Shared<Real> &shared;
    const Int T = c.steps, D = c.inputs, F = c.filters, W = c.width, gap = W - 1, before = gap / 2;
    Int thread = omp_get_thread_num(), threads = omp_get_num_threads();
    Int first = c.texts * thread / threads, end = c.texts * (thread + 1) / threads;
    Int most = std::max(LAID, longest() + gap);  // rows at a time
    Int all_words = std::accumulate(c.lengths, c.lengths + c.texts, Int(0));
    // Batch norm makes by · value + from of a value.
    std::vector<Real> by = std::vector<Real>(F, 1), from = std::vector<Real>(F, 0), inverse_std = from;

    Int longest() const {
        return first == end ? 0 : *std::max_element(c.lengths + first, c.lengths + end);
    }

    template <class Do> void words(Do act) const {  // with the number of each one's row
        for (Int b = first; b < end; ++b)
            for (Int row = b * T; row < b * T + c.lengths[b]; ++row) act(row);
    }

    template <class Do> void some_at_a_time(Do act) const {  // from, to, rows without the last gap
        for (Int b = first, to; b < end; b = to) {
            Int rows = c.lengths[b];
            for (to = b + 1; to < end && rows + gap + c.lengths[to] + gap <= LAID; ++to)
                rows += gap + c.lengths[to];
            act(b, to, rows);
        }
    }

    void lay(const Real *rows, Int n, Int lead, Int b, Int to, Real *place) const {
        for (place = std::fill_n(place, lead * n, Real(0)); b < to; ++b) {
            place = std::copy_n(rows + b * T * n, c.lengths[b] * n, place);
            place = std::fill_n(place, gap * n, Real(0));
        }
    }

    template <class Term> std::vector<double> total(Term term) const {  // of all threads' words
        double *own = shared.totals.data() + thread * F;
        std::fill_n(own, F, 0);
        words([&](Int row) {
            for (Int f = 0; f < F; ++f) own[f] += term(row * F + f, f);
        });
        std::vector<double> sum(F);
#pragma omp barrier
        for (Int i = 0; i < threads * F; ++i) sum[i % F] += shared.totals[i];
#pragma omp barrier
        return sum;
    }

    void compute_batch_stats() const {
        std::vector<double> mean = total([&](Int i, Int) { return double(c.values[i]); });
        for (double &m : mean) m /= all_words;
        const auto squares = total([&](Int i, Int f) {
            const double apart = c.values[i] - mean[f];
            return apart * apart;
        });
#pragma omp single
        for (Int f = 0; f < F; ++f) {
            c.mean[f] = mean[f];
            c.variance[f] = squares[f] / all_words;
        }
    }

    void prepare_norm() {
        if (c.stats == NO_NORM) return;
        for (Int f = 0; f < F; ++f) {
            inverse_std[f] = 1 / std::sqrt(c.variance[f] + Real(c.epsilon));
            by[f] = c.scale[f] * inverse_std[f];
            from[f] = c.shift[f] - by[f] * c.mean[f];
        }
    }
    void normal(const Real *value, Real *to) const {
#pragma omp simd
        for (Int f = 0; f < F; ++f) to[f] = by[f] * value[f] + from[f];
    }
    void raise(const Real *value, Real *to) const {  // to nan too
#pragma omp simd
        for (Int f = 0; f < F; ++f)
            to[f] = value[f] > to[f] || value[f] != value[f] ? value[f] : to[f];
    }

    template <class Do> void groups(Do act) const {  // row of the first word, words, group
        const Int each = (T + c.pool - 1) / c.pool;
        for (Int b = first; b < end; ++b)
            for (Int g = 0; g < each; ++g)
                act(b * T + g * c.pool, std::min(c.pool, c.lengths[b] - g * c.pool), b * each + g);
    }

    void forward(const Packed<Real> &weight) {
        Buffer<Real> laid((most + gap) * D), product(most * F), one(F);
        some_at_a_time([&](Int b, Int to, Int rows) {
            lay(c.x, D, before, b, to, laid);
            weight.times(laid, 0, D, rows, product, 0, F);
            for (const Real *sum = product; b < to; ++b, sum += gap * F)
                for (Int row = b * T; row < b * T + c.lengths[b]; ++row, sum += F)
                    rectify(sum, c.values + row * F);
        });
        if (c.stats == BATCH) compute_batch_stats();
        prepare_norm();
        groups([&](Int row, Int words, Int group) {
            Real *largest = c.largest + group * F;
            if (words <= 0) return void(std::fill_n(largest, F, Real(0)));
            normal(c.values + row * F, largest);
            for (Int next = row + 1; next < row + words; ++next) {
                normal(c.values + next * F, one);
                raise(one, largest);
            }
        });
    }
    void rectify(const Real *sum, Real *to) const {
#pragma omp simd
        for (Int f = 0; f < F; ++f) {
            const Real biased = sum[f] + c.bias[f];
            to[f] = biased < 0 ? 0 : biased;
        }
    }

    void backward(const Packed<Real> &weight) {
        prepare_norm();
        to_largest();
        if (c.stats != NO_NORM) through_norm();
        words([&](Int row) {
            const Real *value = c.values + row * F;
            Real *d = c.d_values + row * F;
#pragma omp simd
            for (Int f = 0; f < F; ++f) d[f] = value[f] <= 0 ? 0 : d[f];
        });
        write(total([&](Int i, Int) { return double(c.d_values[i]); }), c.d_bias);
        through_filters(weight);
    }
    void write(const std::vector<double> &total, Real *to) const {
#pragma omp single
        std::copy_n(total.begin(), F, to);
    }

    void to_largest() const {  // each group's gradient, in equal shares
        Buffer<Real> top(F), part(F);
        groups([&](Int row, Int words, Int group) {
            if (words <= 0) return;
            Real *normals = c.d_values + row * F;
            for (Int k = 0; k < words; ++k) normal(c.values + (row + k) * F, normals + k * F);
            std::copy_n(normals, F, top + 0);
            for (Int k = 1; k < words; ++k) raise(normals + k * F, top);
            std::fill_n(part + 0, F, Real(0));
            for (Int k = 0; k < words; ++k)
#pragma omp simd
                for (Int f = 0; f < F; ++f) part[f] += !(normals[k * F + f] < top[f]);
#pragma omp simd
            for (Int f = 0; f < F; ++f) part[f] = c.gradient[group * F + f] / part[f];
            for (Int k = 0; k < words; ++k)
#pragma omp simd
                for (Int f = 0; f < F; ++f)
                    normals[k * F + f] = normals[k * F + f] < top[f] ? 0 : part[f];
        });
    }

    void through_norm() const {
        const auto apart = [&](Int i, Int f) { return (c.values[i] - c.mean[f]) * inverse_std[f]; };
        const auto shift = total([&](Int i, Int) { return double(c.d_values[i]); });
        const auto scale = total([&](Int i, Int f) { return double(c.d_values[i]) * apart(i, f); });
        write(shift, c.d_shift);
        write(scale, c.d_scale);
        std::vector<Real> by_mean(F), by_variance(F);
        if (c.stats == BATCH)
            for (Int f = 0; f < F; ++f) {
                by_mean[f] = shift[f] / all_words;
                by_variance[f] = scale[f] / all_words;
            }
        words([&](Int row) {
            Real *d = c.d_values + row * F;
            for (Int f = 0; f < F; ++f)
                d[f] = by[f] * (d[f] - by_mean[f] - apart(row * F + f, f) * by_variance[f]);
        });
    }

    void through_filters(const Packed<Real> &weight) const {
        const Int lead = gap - before;  // words read what filters read them
        Buffer<Real> laid((most + gap) * D), changes((most + gap) * F), product(c.d_x ? most * D : 0);
        Buffer<Real> panel(LAID * PANEL<Real>), left((F + TILE_ROWS) * LAID), d_weight(F * W * D);
        some_at_a_time([&](Int b, Int to, Int rows) {
            lay(c.x, D, before, b, to, laid);
            lay(c.d_values, F, lead, b, to, changes);
            for (Int row = 0; row < rows; row += LAID)
                gather(changes + (lead + row) * F, laid + row * D, std::min(LAID, rows - row), left,
                       panel, d_weight);
            if (!c.d_x) return;
            weight.times(changes, 0, F, rows, product, 0, D);
            for (const Real *sum = product; b < to; ++b, sum += gap * D) {
                const Real *behind = sum + c.lengths[b] * D;
                Real *ends = std::copy(sum, behind, c.d_x + b * T * D);
                std::fill(ends, c.d_x + (b + 1) * T * D, Real(0));
                sum = behind;
            }
        });
        shared.d_weight[thread] = d_weight;
#pragma omp barrier
#pragma omp for
        for (Int f = 0; f < F; ++f)
            for (Int d = 0; d < D; ++d)
                for (Int w = 0; w < W; ++w) {
                    Real sum = 0;
                    for (Int t = 0; t < threads; ++t)
                        sum += shared.d_weight[t][(f * W + w) * D + d];
                    c.d_weight[(f * D + d) * W + w] = sum;
                }
    }

    // out [F, W D] += the changes [rows, F], transposed, · the words under the filters [rows, W D]
    void gather(const Real *changes, const Real *under, Int rows, Real *left, Real *panel, Real *out) const {
        const Left<Real> a = pack_left(left, changes, F, rows, F);
        for (Int j = 0; j < W * D; j += PANEL<Real>) {
            pack(panel, rows, j, W * D, [&](Int k) { return Line<Real>{under + k * D, 1, nullptr}; });
            multiply<Real>(a, F, rows, panel, {out + j, W * D, W * D - j, true});
        }
    }
};

template <class Real> void forward(const ConvArgs<Real> &c) {
    Packed<Real> weight{1, c.width * c.inputs, c.filters};
    Shared<Real> shared{c};
#pragma omp parallel num_threads(c.threads)
    {
        weight.fill([&](Int, Int k) {
            const Int w = k / c.inputs, d = k % c.inputs;
            return Line<Real>{c.weight + d * c.width + w, c.inputs * c.width, nullptr};
        });
        Worker<Real>{c, shared}.forward(weight);
    }
}

template <class Real> void backward(const ConvArgs<Real> &c) {
    Packed<Real> weight{c.d_x ? 1 : 0, c.width * c.filters, c.inputs};
    Shared<Real> shared{c};
#pragma omp parallel num_threads(c.threads)
    {
        weight.fill([&](Int, Int k) {
            const Int w = c.width - 1 - k / c.filters, f = k % c.filters;
            return Line<Real>{c.weight + f * c.inputs * c.width + w, c.width, nullptr};
        });
        Worker<Real>{c, shared}.backward(weight);
    }
}

extern "C" {
Int conv_block_args_size() { return sizeof(ConvArgs<float>); }  // compared with ops/conv.py on loading
void conv_block_float(const ConvArgs<float> *block, int is_backward) {
    is_backward ? backward(*block) : forward(*block);
}
void conv_block_double(const ConvArgs<double> *block, int is_backward) {
    is_backward ? backward(*block) : forward(*block);
}
}
