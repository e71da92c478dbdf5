// SimpleRNN, LSTM and GRU over whole texts on a CPU, forward and backward; fused.py calls it.
//
// Each thread takes texts of its own through all steps and waits for no other: one small matrix
// product per step, then one pass over each text's gates. What does not depend on neighbouring
// steps, the inputs' part and the gradients of the weights, is one product for whole texts.

#include <omp.h>

#include "cells.h"
#include "products.h"

constexpr Int GATHERED = 256;  // steps of texts whose part of the weights' gradients is one product

template <class T> void scaled(const T *from, const T *factors, Int n, T *to) {
    if (!factors) return void(std::copy(from, from + n, to));
#pragma omp simd
    for (Int i = 0; i < n; ++i) to[i] = from[i] * factors[i];
}

template <class T> void add(const T *from, Int n, T *to) {
#pragma omp simd
    for (Int i = 0; i < n; ++i) to[i] += from[i];
}

template <class T> void add(const T *from, const T *factors, Int n, T *to) {
    if (!factors) return add(from, n, to);
#pragma omp simd
    for (Int i = 0; i < n; ++i) to[i] += from[i] * factors[i];
}

template <class T, class Cell> struct Texts {  // those of one thread
    const Call<T> &c;
    const Int S = c.steps, E = c.inputs, U = c.units;
    Int thread = omp_get_thread_num(), threads = omp_get_num_threads();
    Int first = c.texts * thread / threads, count = c.texts * (thread + 1) / threads - first;
    // The numbers of a step's row; gates share a product of `each` columns where masks do not differ.
    Int gates = Cell::GATES * U, saved = Cell::SAVED * U, changes = Cell::CHANGES * U;
    Int groups = c.mask ? Cell::GATES : 1, each = gates / groups;
    Int input_groups = c.input_mask ? Cell::GATES : 1, input_each = gates / input_groups;

    bool has(Int b, Int step) const { return step < c.lengths[b]; }
    Int row(Int b, Int step) const {
        return b * S + (c.reverse ? c.lengths[b] - 1 - step : step);
    }
    Int longest() const {
        Int steps = 0;
        for (Int b = first; b < first + count; ++b) steps = std::max(steps, c.lengths[b]);
        return steps;
    }
    const T *factors(const T *mask, Int group, Int b, Int n) const {
        return mask ? mask + (group * c.texts + b) * n : nullptr;
    }
    void clear(T *rows, Int n) const {  // what stands behind the texts' ends
        for (Int b = first; b < first + count; ++b)
            std::fill(rows + (b * S + c.lengths[b]) * n, rows + (b + 1) * S * n, T(0));
    }

    void project(const Packed<T> &w_ih) const {
        Buffer<T> masked(c.input_mask ? S * E : 0);
        for (Int b = first; b < first + count; ++b)
            for (Int g = 0; g < input_groups; ++g) {
                const T *x = c.x + b * S * E, *m = factors(c.input_mask, g, b, E);
                for (Int t = 0; m && t < c.lengths[b]; ++t)
                    scaled(x + t * E, m, E, masked + t * E);
                w_ih.times(g, {m ? masked : x, E, 1}, c.lengths[b],
                           c.saved + b * S * saved + g * input_each, saved);
            }
    }

    void forward(const Packed<T> &w_hh) const {
        Buffer<T> state(count * U), carry(count * U), seen(groups * count * U);
        Buffer<T> product(count * gates);
        for (Int step = 0, steps = longest(); step < steps; ++step) {
            for (Int g = 0; g < groups; ++g)
                w_hh.times(g, {seen + g * count * U, U, 1}, count, product + g * count * each, each);
            for (Int i = 0; i < count; ++i) {
                const Int b = first + i, now = row(b, step);
                if (!has(b, step)) continue;
                const auto gate = [&](Int g) -> const T * {
                    return product + (groups == 1 ? i * gates + g * U : (g * count + i) * U);
                };
                T *h = state + i * U;
                Cell::forward(c, gate, c.saved + now * saved, h, carry + i * U);
                std::copy(h, h + U, c.states + now * U);
                for (Int g = 0; g < groups; ++g)
                    scaled(h, factors(c.mask, g, b, U), U, seen + (g * count + i) * U);
            }
        }
        clear(c.states, U);
    }

    void backward(const Packed<T> &w_hh) const {
        Buffer<T> d_state(count * U), d_carry(count * U), change(count * gates);
        Buffer<T> product(groups * count * U), slopes(6 * U), none(saved);
        for (Int step = longest() - 1; step >= 0; --step) {
            for (Int i = 0; i < count; ++i) {
                const Int b = first + i, now = row(b, step), before = row(b, step - 1);
                if (!has(b, step)) continue;
                T *d = d_state + i * U, *to = c.change + now * changes;
                add(c.gradient + now * U, U, d);
                Cell::backward(c, c.saved + now * saved, step ? c.saved + before * saved : none + 0,
                               step ? c.states + before * U : none + 0, d, d_carry + i * U, to,
                               slopes + 0);
                add(to, gates, c.d_b_ih + thread * gates);
                add(to + changes - gates, gates, c.d_b_hh + thread * gates);
                std::copy(to + changes - gates, to + changes, change + i * gates);
            }
            for (Int g = 0; g < groups; ++g)
                w_hh.times(g, {change + g * each, gates, 1}, count, product + g * count * U, U);
            for (Int g = 0; g < groups; ++g)
                for (Int i = 0; i < count; ++i)
                    if (has(first + i, step))
                        add(product + (g * count + i) * U, factors(c.mask, g, first + i, U), U,
                            d_state + i * U);
        }
        clear(c.change, changes);
    }

    void inputs(const Packed<T> &w_ih) const {
        Buffer<T> part(c.input_mask ? S * E : 0);
        for (Int b = first; b < first + count; ++b) {
            T *to = c.d_x + b * S * E;
            const T *from = c.change + b * S * changes;
            if (!c.input_mask) {
                w_ih.times(0, {from, changes, 1}, c.lengths[b], to, E);
                continue;
            }
            std::fill(to, to + S * E, T(0));
            for (Int g = 0; g < input_groups; ++g) {
                w_ih.times(g, {from + g * U, changes, 1}, c.lengths[b], part, E);
                for (Int t = 0; t < c.lengths[b]; ++t)
                    add(part + t * E, factors(c.input_mask, g, b, E), E, to + t * E);
            }
        }
        clear(c.d_x, E);
    }

    // out [gates, columns] += the changes of all rows, transposed, · their lines
    template <class Lines> void gather(T *out, const T *change, Int parts, Int columns, Lines lines) const {
        const Int texts = std::max<Int>(1, GATHERED / S), rows = gates / parts;
        Buffer<T> panel(texts * S * PANEL<T>);
        for (Int b = first; b < first + count; b += texts) {
            const Int depth = std::min(texts, first + count - b) * S;
            for (Int g = 0; g < parts; ++g)
                for (Int j = 0; j < columns; j += PANEL<T>) {
                    pack(panel + 0, depth, j, columns,
                         [&](Int k) { return lines(g, b + k / S, k % S); });
                    tiles<T, TILE_ROWS>({change + b * S * changes + g * rows, 1, changes}, rows, depth,
                                        panel, out + g * rows * columns + j, columns, columns - j, true);
                }
        }
    }

    void weights() const {
        T *d_w_ih = c.d_w_ih + thread * gates * E, *d_w_hh = c.d_w_hh + thread * gates * U;
        gather(d_w_ih, c.change, input_groups, E, [&](Int g, Int b, Int t) -> Line<T> {
            if (t >= c.lengths[b]) return {};
            return {c.x + (b * S + t) * E, 1, factors(c.input_mask, g, b, E)};
        });
        gather(d_w_hh, c.change + changes - gates, groups, U, [&](Int g, Int b, Int t) -> Line<T> {
            const Int before = c.reverse ? t + 1 : t - 1;
            if (before < 0 || std::max(t, before) >= c.lengths[b]) return {};
            return {c.states + (b * S + before) * U, 1, factors(c.mask, g, b, U)};
        });
    }
};

template <class T, class Cell> void forward(const Call<T> &c) {
    const Int gates = Cell::GATES * c.units;
    const Int input_groups = c.input_mask ? Cell::GATES : 1, groups = c.mask ? Cell::GATES : 1;
    Packed<T> w_ih{c.w_ih, input_groups, c.inputs, gates / input_groups, true};
    Packed<T> w_hh{c.w_hh, groups, c.units, gates / groups, true};
#pragma omp parallel num_threads(c.threads)
    {
        w_ih.fill();
        w_hh.fill();
        const Texts<T, Cell> texts{c};
        texts.project(w_ih);
        texts.forward(w_hh);
    }
}

template <class T, class Cell> void backward(const Call<T> &c) {
    const Int gates = Cell::GATES * c.units;
    const Int input_groups = c.input_mask ? Cell::GATES : 1, groups = c.mask ? Cell::GATES : 1;
    Packed<T> w_ih{c.w_ih, c.d_x ? input_groups : 0, gates / input_groups, c.inputs, false};
    Packed<T> w_hh{c.w_hh, groups, gates / groups, c.units, false};
#pragma omp parallel num_threads(c.threads)
    {
        w_ih.fill();
        w_hh.fill();
        const Texts<T, Cell> texts{c};
        texts.backward(w_hh);
        if (c.d_x) texts.inputs(w_ih);
        texts.weights();
    }
}

template <class T> void run(const Call<T> &c, bool back) {
    switch (c.cell) {
    case 0: return back ? backward<T, Rnn>(c) : forward<T, Rnn>(c);
    case 1: return back ? backward<T, Lstm>(c) : forward<T, Lstm>(c);
    case 2: return back ? backward<T, Gru>(c) : forward<T, Gru>(c);
    }
}

extern "C" {
void run_float(const Call<float> *call, int back) { run(*call, back); }
void run_double(const Call<double> *call, int back) { run(*call, back); }
}
