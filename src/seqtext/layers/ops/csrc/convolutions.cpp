// A convolutional block over whole texts on a CPU, forward and backward: convolution, ReLU (if
// asked for), batch norm, max-pooling; ops/conv.py calls it.
//
// Each thread processes its own texts in blocks. A block holds texts one after the other, separated
// by zeros, so that the tokens that a filter reads are contiguous in memory: the rows of the matrix
// product overlap, and no im2col copy is needed.

#include <omp.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "convolutions.h"
#include "products.h"

constexpr Int BLOCK_ROWS = 256;  // rows of a block, unless a single text is longer

template <class Real, class Item> struct Worker {  // one thread and its texts
    const ConvArgs<Real> &c;
    Shared<Real> &shared;
    const Int T = c.steps, D = c.inputs, F = c.filters, W = c.width, gap = W - 1, padding = gap / 2;
    const Int D_items = items<Item>(D), F_items = items<Item>(F);
    const Real least = c.relu ? 0 : -std::numeric_limits<Real>::infinity();  // value of a filter
    Int thread = omp_get_thread_num(), threads = omp_get_num_threads();
    Int first = c.texts * thread / threads, end = c.texts * (thread + 1) / threads;
    Int max_rows = std::max(BLOCK_ROWS, longest() + gap);  // of a block
    Int all_tokens = std::accumulate(c.lengths, c.lengths + c.texts, Int(0));
    // Batch norm: factor · value + offset
    std::vector<Real> factor = std::vector<Real>(F, 1), offset = std::vector<Real>(F, 0);
    std::vector<Real> inverse_std = offset;
    static constexpr const Real *null = nullptr;

    Int longest() const {
        return first == end ? 0 : *std::max_element(c.lengths + first, c.lengths + end);
    }

    template <class Do> void for_each_token(Do act) const {  // act(row)
        for (Int b = first; b < end; ++b)
            for (Int row = b * T; row < b * T + c.lengths[b]; ++row) act(row);
    }

    // act(first text, end, rows without the last gap)
    template <class Do> void for_each_block(Do act) const {
        for (Int b = first, to; b < end; b = to) {
            Int rows = c.lengths[b];
            for (to = b + 1; to < end && rows + gap + c.lengths[to] + gap <= BLOCK_ROWS; ++to)
                rows += gap + c.lengths[to];
            act(b, to, rows);
        }
    }

    // Copy texts [b, to) of n features into a block that begins with padding_offset rows of zeros.
    template <class To>
    void copy_to_block(const Real *rows, Int n, Int padding_offset, Int b, Int to, To *block) const {
        const Int each = items<To>(n), at_once = n % NUMBERS<To> ? 1 : T;  // rows without odd ends
        for (block = std::fill_n(block, padding_offset * each, To{}); b < to; ++b) {
            for (Int t = 0; t < c.lengths[b]; t += at_once) {
                const Int count = std::min(at_once, c.lengths[b] - t);
                scaled(rows + (b * T + t) * n, null, count * n, block);
                block += count * each;
            }
            block = std::fill_n(block, gap * each, To{});
        }
    }

    // Sum term(index, f) over the tokens of all threads, for each filter f.
    template <class Term> std::vector<double> total(Term term) const {
        double *own = shared.totals.data() + thread * F;
        std::fill_n(own, F, 0);
        for_each_token([&](Int row) {
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
        for (double &m : mean) m /= all_tokens;
        const auto squares = total([&](Int i, Int f) {
            const double deviation = c.values[i] - mean[f];
            return deviation * deviation;
        });
#pragma omp single
        for (Int f = 0; f < F; ++f) {
            c.mean[f] = mean[f];
            c.variance[f] = squares[f] / all_tokens;
        }
    }

    void prepare_norm() {
        if (c.stats == NO_NORM) return;
        for (Int f = 0; f < F; ++f) {
            inverse_std[f] = 1 / std::sqrt(c.variance[f] + Real(c.epsilon));
            factor[f] = c.scale[f] * inverse_std[f];
            offset[f] = c.shift[f] - factor[f] * c.mean[f];
        }
    }
    void normalize(const Real *value, Real *to) const {
#pragma omp simd
        for (Int f = 0; f < F; ++f) to[f] = factor[f] * value[f] + offset[f];
    }
    void update_max(const Real *value, Real *to) const {  // propagates nan
#pragma omp simd
        for (Int f = 0; f < F; ++f)
            to[f] = value[f] > to[f] || value[f] != value[f] ? value[f] : to[f];
    }

    template <class Do> void for_each_window(Do act) const {  // act(first row, tokens, window)
        const Int each = (T + c.pool - 1) / c.pool;
        for (Int b = first; b < end; ++b)
            for (Int g = 0; g < each; ++g)
                act(b * T + g * c.pool, std::min(c.pool, c.lengths[b] - g * c.pool), b * each + g);
    }

    void forward(const Packed<Real, Item> &weight) {
        Buffer<Item> block((max_rows + gap) * D_items);
        Buffer<Real> product(max_rows * F), one(F);
        for_each_block([&](Int b, Int to, Int rows) {
            copy_to_block(c.x, D, padding, b, to, block + 0);
            weight.times(block, 0, D_items, rows, product, 0, F);
            for (const Real *sum = product; b < to; ++b, sum += gap * F)
                for (Int row = b * T; row < b * T + c.lengths[b]; ++row, sum += F)
                    rectify(sum, c.values + row * F);
        });
        if (c.stats == BATCH) compute_batch_stats();
        prepare_norm();
        for_each_window([&](Int row, Int tokens, Int window) {
            Real *pooled = c.pooled + window * F;
            if (tokens <= 0) return void(std::fill_n(pooled, F, Real(0)));
            normalize(c.values + row * F, pooled);
            for (Int next = row + 1; next < row + tokens; ++next) {
                normalize(c.values + next * F, one);
                update_max(one, pooled);
            }
        });
    }
    void rectify(const Real *sum, Real *to) const {
#pragma omp simd
        for (Int f = 0; f < F; ++f) to[f] = std::max(sum[f] + c.bias[f], least);  // keeps nan
    }

    void backward(const Packed<Real, Item> &weight) {
        prepare_norm();
        max_pool_backward();
        if (c.stats != NO_NORM) batch_norm_backward();
        for_each_token([&](Int row) {
            const Real *value = c.values + row * F;
            Real *d = c.d_values + row * F;
#pragma omp simd
            for (Int f = 0; f < F; ++f) d[f] = value[f] <= least ? 0 : d[f];
        });
        write(total([&](Int i, Int) { return double(c.d_values[i]); }), c.d_bias);
        conv_backward(weight);
    }
    void write(const std::vector<double> &total, Real *to) const {
#pragma omp single
        std::copy_n(total.begin(), F, to);
    }

    void max_pool_backward() const {  // equal shares of the gradient to all maxima of a window
        Buffer<Real> top(F), part(F);
        for_each_window([&](Int row, Int tokens, Int window) {
            if (tokens <= 0) return;
            Real *normals = c.d_values + row * F;
            for (Int k = 0; k < tokens; ++k) normalize(c.values + (row + k) * F, normals + k * F);
            std::copy_n(normals, F, top + 0);
            for (Int k = 1; k < tokens; ++k) update_max(normals + k * F, top);
            std::fill_n(part + 0, F, Real(0));
            for (Int k = 0; k < tokens; ++k)
#pragma omp simd
                for (Int f = 0; f < F; ++f) part[f] += !(normals[k * F + f] < top[f]);
#pragma omp simd
            for (Int f = 0; f < F; ++f) part[f] = c.gradient[window * F + f] / part[f];
            for (Int k = 0; k < tokens; ++k)
#pragma omp simd
                for (Int f = 0; f < F; ++f)
                    normals[k * F + f] = normals[k * F + f] < top[f] ? 0 : part[f];
        });
    }

    void batch_norm_backward() const {
        const auto deviation = [&](Int i, Int f) { return (c.values[i] - c.mean[f]) * inverse_std[f]; };
        const auto shift = total([&](Int i, Int) { return double(c.d_values[i]); });
        const auto scale = total([&](Int i, Int f) { return double(c.d_values[i]) * deviation(i, f); });
        write(shift, c.d_shift);
        write(scale, c.d_scale);
        std::vector<Real> by_mean(F), by_variance(F);
        if (c.stats == BATCH)
            for (Int f = 0; f < F; ++f) {
                by_mean[f] = shift[f] / all_tokens;
                by_variance[f] = scale[f] / all_tokens;
            }
        for_each_token([&](Int row) {
            Real *d = c.d_values + row * F;
            for (Int f = 0; f < F; ++f)
                d[f] = factor[f] * (d[f] - by_mean[f] - deviation(row * F + f, f) * by_variance[f]);
        });
    }

    void conv_backward(const Packed<Real, Item> &weight) const {
        const Int padding_offset = gap - padding;  // of the transposed convolution
        const Int depth = items<Item>(BLOCK_ROWS);
        Buffer<Real> block((max_rows + gap) * D), changes((max_rows + gap) * F);
        Buffer<Real> product(c.d_x ? max_rows * D : 0), d_weight(F * W * D);
        Buffer<Item> panel(depth * PANEL<Real>), left((F + TILE_ROWS) * depth);
        Buffer<Item> rounded(c.d_x && NUMBERS<Item> > 1 ? (max_rows + gap) * F_items : 0);
        for_each_block([&](Int b, Int to, Int rows) {
            copy_to_block(c.x, D, padding, b, to, block + 0);
            copy_to_block(c.d_values, F, padding_offset, b, to, changes + 0);
            for (Int row = 0; row < rows; row += BLOCK_ROWS)
                gather(changes + (padding_offset + row) * F, block + row * D,
                       std::min(BLOCK_ROWS, rows - row), left, panel, d_weight);
            if (!c.d_x) return;
            if constexpr (NUMBERS<Item> == 1) {
                weight.times(changes, 0, F, rows, product, 0, D);
            } else {
                copy_to_block(c.d_values, F, padding_offset, b, to, rounded + 0);
                weight.times(rounded, 0, F_items, rows, product, 0, D);
            }
            for (const Real *sum = product; b < to; ++b, sum += gap * D) {
                const Real *text_end = sum + c.lengths[b] * D;
                Real *row_end = std::copy(sum, text_end, c.d_x + b * T * D);
                std::fill(row_end, c.d_x + (b + 1) * T * D, Real(0));
                sum = text_end;
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

    // out [F, W D] += changes [rows, F], transposed, · the tokens that the filters read [rows, W D]
    void gather(const Real *changes, const Real *under, Int rows, Item *left, Item *panel, Real *out) const {
        const Left<Item> a = pack_left(left, changes, F, rows, F);
        for (Int j = 0; j < W * D; j += PANEL<Real>) {
            pack<Real>(panel, rows, j, W * D, [&](Int k) { return Line<Real>{under + k * D, 1, nullptr}; });
            multiply<Real, Item>(a, F, items<Item>(rows), panel, {out + j, W * D, W * D - j, true});
        }
    }
};

// The depth of a product holds the features of each token, padded with zeros to whole items.
template <class Real, class Item> void forward(const ConvArgs<Real> &c) {
    const Int D = items<Item>(c.inputs) * NUMBERS<Item>;
    Packed<Real, Item> weight{1, c.width * D, c.filters};
    Shared<Real> shared{c};
#pragma omp parallel num_threads(c.threads)
    {
        weight.fill([&](Int, Int k) {
            const Int w = k / D, d = k % D;
            if (d == c.inputs) return Line<Real>{};
            return Line<Real>{c.weight + d * c.width + w, c.inputs * c.width, nullptr};
        });
        Worker<Real, Item>{c, shared}.forward(weight);
    }
}

template <class Real, class Item> void backward(const ConvArgs<Real> &c) {
    const Int F = items<Item>(c.filters) * NUMBERS<Item>;
    Packed<Real, Item> weight{c.d_x ? 1 : 0, c.width * F, c.inputs};
    Shared<Real> shared{c};
#pragma omp parallel num_threads(c.threads)
    {
        weight.fill([&](Int, Int k) {
            const Int w = c.width - 1 - k / F, f = k % F;
            if (f == c.filters) return Line<Real>{};
            return Line<Real>{c.weight + f * c.inputs * c.width + w, c.width, nullptr};
        });
        Worker<Real, Item>{c, shared}.backward(weight);
    }
}

template <class Real> void run(const ConvArgs<Real> &c, bool is_backward) {
    with_items<Real>(c.bf16, [&](auto item) {
        is_backward ? backward<Real, decltype(item)>(c) : forward<Real, decltype(item)>(c);
    });
}

extern "C" {
Int conv_block_args_size() { return sizeof(ConvArgs<float>); }  // compared with ops/conv.py on loading
void conv_block_float(const ConvArgs<float> *block, int is_backward) { run(*block, is_backward); }
void conv_block_double(const ConvArgs<double> *block, int is_backward) { run(*block, is_backward); }
}
