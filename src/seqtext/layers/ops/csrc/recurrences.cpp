// SimpleRNN, LSTM and GRU over whole texts on a CPU, forward and backward; ops/rnn.py calls it.
//
// Each thread processes its own texts through all time steps, without synchronization. A step
// computes the matrix products of all its texts, then the gates of each text; the operands fit into
// the processor's cache. Gradients of the weights are accumulated over several steps at a time.

#include <omp.h>

#include "cells.h"
#include "products.h"

constexpr Int GRADIENT_ROWS = 256;  // rows per matrix product of a weight gradient

template <class Real> void add(const Real *from, Int n, Real *to) {
#pragma omp simd
    for (Int i = 0; i < n; ++i) to[i] += from[i];
}

template <class Real> void add(const Real *from, const Real *factors, Int n, Real *to) {
    if (!factors) return add(from, n, to);
#pragma omp simd
    for (Int i = 0; i < n; ++i) to[i] += from[i] * factors[i];
}

template <bool WRITE, class Real> void prefetch(const Real *row, Int n) {
    for (Int i = 0; i < n; i += 64 / sizeof(Real)) __builtin_prefetch(row + i, WRITE);
}

template <class Real, class Cell, class Item> struct Texts {  // texts of one thread
    const RNNArgs<Real> &c;
    const Int T = c.steps, E = c.inputs, U = c.units;
    Int thread = omp_get_thread_num(), threads = omp_get_num_threads();
    Int first = c.texts * thread / threads, count = c.texts * (thread + 1) / threads - first;
    // Gates with the same mask share one product, a group of `each` columns.
    Int gates = Cell::GATES * U, saved = Cell::SAVED * U, changes = Cell::CHANGES * U;
    Int groups = c.mask ? Cell::GATES : 1, each = gates / groups;
    Int input_groups = c.input_mask ? Cell::GATES : 1, input_each = gates / input_groups;
    Int E_items = items<Item>(E), U_items = items<Item>(U);

    bool has(Int i, Int step) const { return step < c.lengths[first + i]; }
    Int row(Int i, Int step) const {
        const Int b = first + i;
        return b * T + (c.reverse ? c.lengths[b] - 1 - step : step);
    }
    Int longest() const {
        Int steps = 0;
        for (Int i = 0; i < count; ++i) steps = std::max(steps, c.lengths[first + i]);
        return steps;
    }
    const Real *factors(const Real *mask, Int group, Int i, Int n) const {
        return mask ? mask + (group * c.texts + first + i) * n : nullptr;
    }
    void clear(Real *rows, Int n) const {  // zeros in the steps after the end of each text
        for (Int b = first; b < first + count; ++b)
            std::fill(rows + (b * T + c.lengths[b]) * n, rows + (b + 1) * T * n, Real(0));
    }
    auto gate(const Real *product, Int parts, Int i) const {  // gates of text i
        return [=](Int g) {
            return product + (parts == 1 ? i * gates + g * U : (g * count + i) * U);
        };
    }

    void forward(const Packed<Real, Item> &w_ih, const Packed<Real, Item> &w_hh) const {
        Buffer<Real> state(count * U), carry(count * U), unsaved(saved);
        Buffer<Real> from_inputs(count * gates), from_states(count * gates);
        Buffer<Item> read(input_groups * count * E_items), seen(groups * count * U_items);
        for (Int step = 0, steps = longest(); step < steps; ++step) {
            for (Int g = 0; g < input_groups; ++g)
                for (Int i = 0; i < count; ++i)
                    if (has(i, step))
                        scaled(c.x + row(i, step) * E, factors(c.input_mask, g, i, E), E,
                               read + (g * count + i) * E_items);
            w_ih.times(read, count * E_items, E_items, count, from_inputs, count * input_each, input_each);
            w_hh.times(seen, count * U_items, U_items, count, from_states, count * each, each);
            for (Int i = 0; i < count; ++i) {
                if (!has(i, step)) continue;
                const Int now = row(i, step);
                Real *h = state + i * U;
                if (has(i, step + 1)) {
                    if (c.saved) prefetch<true>(c.saved + row(i, step + 1) * saved, saved);
                    prefetch<true>(c.states + row(i, step + 1) * U, U);
                    prefetch<false>(c.x + row(i, step + 1) * E, E);
                }
                Cell::forward(c, gate(from_inputs, input_groups, i), gate(from_states, groups, i),
                              c.saved ? c.saved + now * saved : unsaved + 0, h, carry + i * U);
                std::copy(h, h + U, c.states + now * U);
                for (Int g = 0; g < groups; ++g)
                    scaled(h, factors(c.mask, g, i, U), U, seen + (g * count + i) * U_items);
            }
        }
        clear(c.states, U);
    }

    void backward(const Packed<Real, Item> &w_ih, const Packed<Real, Item> &w_hh) const {
        const Int kept = std::max<Int>(1, NUMBERS<Item> * GRADIENT_ROWS / std::max<Int>(1, count));  // steps
        Buffer<Real> change(kept * count * changes), d_state(count * U), d_carry(count * U);
        Buffer<Real> to_inputs(c.d_x ? input_groups * count * E : 0), to_states(groups * count * U);
        Buffer<Item> rounded(std::max(w_hh.rounded_size(count), w_ih.rounded_size(count)));
        for (Int step = longest() - 1; step >= 0; --step) {
            Real *now = change + step % kept * count * changes;
            cells(step, now, d_state, d_carry);
            w_hh.times_numbers(now + changes - gates, each, changes, count, rounded, to_states, count * U, U);
            spread(to_states, groups, c.mask, U, step, [&](Int i) { return d_state + i * U; });
            if (c.d_x) {
                w_ih.times_numbers(now, input_each, changes, count, rounded, to_inputs, count * E, E);
                for (Int i = 0; i < count; ++i)
                    if (Real *to = c.d_x + row(i, step) * E; has(i, step)) std::fill(to, to + E, Real(0));
                spread(to_inputs, input_groups, c.input_mask, E, step,
                       [&](Int i) { return c.d_x + row(i, step) * E; });
            }
            if (step % kept == 0) add_weight_gradients(change, step, std::min(kept, longest() - step));
        }
        if (c.d_x) clear(c.d_x, E);
    }

    void cells(Int step, Real *change, Real *d_state, Real *d_carry) const {
        Buffer<Real> slopes(6 * U), none(std::max(saved, U));
        for (Int i = 0; i < count; ++i, change += changes, d_state += U, d_carry += U) {
            if (!has(i, step)) continue;
            const Int now = row(i, step), before = row(i, step - 1);
            if (step) prefetch<false>(c.gradient + before * U, U);
            if (step > 1) prefetch<false>(c.saved + row(i, step - 2) * saved, saved);
            if (step > 1) prefetch<false>(c.states + row(i, step - 2) * U, U);
            add(c.gradient + now * U, U, d_state);
            Cell::backward(c, c.saved + now * saved, step ? c.saved + before * saved : none + 0,
                           c.states + now * U, step ? c.states + before * U : none + 0, d_state,
                           d_carry, change, slopes + 0);
            add(change, gates, c.d_b_ih + thread * gates);
            add(change + changes - gates, gates, c.d_b_hh + thread * gates);
        }
    }

    template <class To>
    void spread(const Real *products, Int parts, const Real *mask, Int n, Int step, To to) const {
        for (Int g = 0; g < parts; ++g)
            for (Int i = 0; i < count; ++i, products += n)
                if (has(i, step)) add(products, factors(mask, g, i, n), n, to(i));
    }

    void add_weight_gradients(const Real *change, Int step, Int steps) const {  // of steps from `step` on
        const auto read = [&](Int g, Int s, Int i) {
            if (!has(i, step + s)) return Line<Real>{};
            return Line<Real>{c.x + row(i, step + s) * E, 1, factors(c.input_mask, g, i, E)};
        };
        const auto seen = [&](Int g, Int s, Int i) {
            if (step + s == 0 || !has(i, step + s)) return Line<Real>{};
            return Line<Real>{c.states + row(i, step + s - 1) * U, 1, factors(c.mask, g, i, U)};
        };
        const Int first_of_states = changes - gates;
        gather(c.d_w_ih + thread * gates * E, change, input_groups, E, steps, read);
        gather(c.d_w_hh + thread * gates * U, change + first_of_states, groups, U, steps, seen);
    }

    // out [gates, columns] += changes, transposed, · lines
    template <class Lines>
    void gather(Real *out, const Real *change, Int parts, Int columns, Int steps, Lines lines) const {
        const Int rows = gates / parts, depth = steps * count;
        const Int depth_items = items<Item>(depth);
        Buffer<Item> panel(depth_items * PANEL<Real>), left((rows + TILE_ROWS) * depth_items);
        for (Int g = 0; g < parts; ++g) {
            const Left<Item> a = pack_left(left + 0, change + g * rows, rows, depth, changes);
            for (Int j = 0; j < columns; j += PANEL<Real>) {
                pack<Real>(panel + 0, depth, j, columns,
                           [&](Int k) { return lines(g, k / count, k % count); });
                multiply<Real, Item>(a, rows, depth_items, panel,
                                     {out + g * rows * columns + j, columns, columns - j, true});
            }
        }
    }
};

// Row or column k of the weight matrix of group g
template <class Real, class Item>
Line<Real> row(const Real *weight, const Packed<Real, Item> &to, Int g, Int k) {
    return {weight + (g * to.depth + k) * to.columns, 1, nullptr};
}
template <class Real, class Item>
Line<Real> column(const Real *weight, const Packed<Real, Item> &to, Int g, Int k) {
    return {weight + g * to.depth * to.columns + k, to.depth, nullptr};
}

template <class Real, class Cell, class Item> void forward(const RNNArgs<Real> &c) {
    const Int gates = Cell::GATES * c.units;
    const Int input_groups = c.input_mask ? Cell::GATES : 1, groups = c.mask ? Cell::GATES : 1;
    Packed<Real, Item> w_ih{input_groups, c.inputs, gates / input_groups};
    Packed<Real, Item> w_hh{groups, c.units, gates / groups};
#pragma omp parallel num_threads(c.threads)
    {
        w_ih.fill([&](Int g, Int k) { return column(c.w_ih, w_ih, g, k); });
        w_hh.fill([&](Int g, Int k) { return column(c.w_hh, w_hh, g, k); });
        const Texts<Real, Cell, Item> texts{c};
        texts.forward(w_ih, w_hh);
    }
}

template <class Real, class Cell, class Item> void backward(const RNNArgs<Real> &c) {
    const Int gates = Cell::GATES * c.units;
    const Int input_groups = c.input_mask ? Cell::GATES : 1, groups = c.mask ? Cell::GATES : 1;
    Packed<Real, Item> w_ih{c.d_x ? input_groups : 0, gates / input_groups, c.inputs};
    Packed<Real, Item> w_hh{groups, gates / groups, c.units};
#pragma omp parallel num_threads(c.threads)
    {
        w_ih.fill([&](Int g, Int k) { return row(c.w_ih, w_ih, g, k); });
        w_hh.fill([&](Int g, Int k) { return row(c.w_hh, w_hh, g, k); });
        const Texts<Real, Cell, Item> texts{c};
        texts.backward(w_ih, w_hh);
    }
}

template <class Real, class Cell> void run_cell(const RNNArgs<Real> &c, bool is_backward) {
    with_items<Real>(c.bf16, [&](auto item) {
        using Item = decltype(item);
        is_backward ? backward<Real, Cell, Item>(c) : forward<Real, Cell, Item>(c);
    });
}

template <class Real> void run(const RNNArgs<Real> &c, bool is_backward) {
    switch (c.cell) {
    case 0: return run_cell<Real, Rnn>(c, is_backward);
    case 1: return run_cell<Real, Lstm>(c, is_backward);
    case 2: return run_cell<Real, Gru>(c, is_backward);
    }
}

extern "C" {
int has_bf16_products() { return HAS_BF16; }
Int rnn_args_size() { return sizeof(RNNArgs<float>); }  // compared with ops/rnn.py on loading
void rnn_float(const RNNArgs<float> *call, int is_backward) { run(*call, is_backward); }
void rnn_double(const RNNArgs<double> *call, int is_backward) { run(*call, is_backward); }
}
