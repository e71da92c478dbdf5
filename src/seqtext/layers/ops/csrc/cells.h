// One time step of one text: forward and backward of SimpleRNN, LSTM and GRU cells.
//
// x(g) and w(g) are the parts of gate g that come from the input and from the previous state;
// `saved` keeps what backward needs. On entry of backward, `d_state` and `d_carry` are gradients
// w.r.t. this step's hidden and cell state; on return, w.r.t. the previous step's, excluding the
// part through the recurrent weights, which the caller adds. `change` receives the gradients of
// the gates' inputs, CHANGES vectors of [U]: first those of x(g), those of w(g) at the end.

#pragma once

#include <algorithm>

#include "functions.h"

// Mirrored in ops/rnn.py; B texts, T time steps, E inputs, U units, G gates.
template <class Real> struct RNNArgs {
    Int cell, activation, recurrent_activation, reverse, bf16, threads, texts, steps, inputs, units;
    const Int *lengths;                    // [B]
    const Real *x;                            // [B, T, E]
    const Real *w_ih, *w_hh, *b_ih, *b_hh;    // [G U, E], [G U, U], [G U], [G U]
    const Real *input_mask, *mask;            // [G, B, E] and [G, B, U], or null
    Real *states, *saved;                     // [B, T, U]; [B, T, SAVED U], or null in inference
    const Real *gradient;                     // [B, T, U]; from here on, backward only
    Real *d_x;                                // [B, T, E], or null
    Real *d_w_ih, *d_w_hh, *d_b_ih, *d_b_hh;  // [threads, …] as the weights, zeros on entry
};

template <class Real> void sum(const Real *x, const Real *w, const Real *b_ih, const Real *b_hh, Int n, Real *to) {
#pragma omp simd
    for (Int u = 0; u < n; ++u) to[u] = x[u] + w[u] + b_ih[u] + b_hh[u];
}

struct Rnn {  // h = act(x + W h)
    static constexpr Int GATES = 1, SAVED = 0, CHANGES = 1;

    template <class Real, class Gates, class States>
    static void forward(const RNNArgs<Real> &c, Gates x, States w, Real *, Real *state, Real *) {
        sum(x(0), w(0), c.b_ih, c.b_hh, c.units, state);
        apply(c.activation, state, c.units);
    }

    template <class Real>
    static void backward(const RNNArgs<Real> &c, const Real *, const Real *, const Real *state, const Real *,
                         Real *d_state, Real *, Real *change, Real *slopes) {
        slope(c.activation, state, slopes, c.units);
        for (Int u = 0, U = c.units; u < U; ++u) {
            change[u] = d_state[u] * slopes[u];
            d_state[u] = 0;
        }
    }
};

struct Lstm {  // c = f c + i act(g), h = o act(c); saved i, f, g, o, c
    static constexpr Int GATES = 4, SAVED = 5, CHANGES = 4;

    template <class Real, class Gates, class States>
    static void forward(const RNNArgs<Real> &c, Gates x, States w, Real *saved, Real *state, Real *carry) {
        const Int U = c.units;
        for (Int g = 0; g < GATES; ++g)
            sum(x(g), w(g), c.b_ih + g * U, c.b_hh + g * U, U, saved + g * U);
        Real *i = saved, *f = i + U, *g = f + U, *o = g + U, *kept = o + U;
        apply(c.recurrent_activation, i, 2 * U);
        apply(c.activation, g, U);
        apply(c.recurrent_activation, o, U);
#pragma omp simd
        for (Int u = 0; u < U; ++u) state[u] = kept[u] = carry[u] = f[u] * carry[u] + i[u] * g[u];
        apply(c.activation, state, U);
#pragma omp simd
        for (Int u = 0; u < U; ++u) state[u] *= o[u];
    }

    template <class Real>
    static void backward(const RNNArgs<Real> &c, const Real *saved, const Real *before, const Real *, const Real *,
                         Real *d_state, Real *d_carry, Real *change, Real *slopes) {
        const Int U = c.units;
        const Real *i = saved, *f = i + U, *g = f + U, *o = g + U, *kept = o + U;
        const Real *by_i = slopes, *by_f = by_i + U, *by_g = by_f + U, *by_o = by_g + U;
        Real *shown = slopes + 4 * U, *by_shown = shown + U;
        const Real *kept_before = before + 4 * U;
        slope(c.recurrent_activation, i, slopes, 2 * U);
        slope(c.activation, g, slopes + 2 * U, U);
        slope(c.recurrent_activation, o, slopes + 3 * U, U);
        std::copy(kept, kept + U, shown);
        apply(c.activation, shown, U);
        slope(c.activation, shown, by_shown, U);
#pragma omp simd
        for (Int u = 0; u < U; ++u) {
            const Real d = d_carry[u] + d_state[u] * o[u] * by_shown[u];
            change[u] = d * g[u] * by_i[u];
            change[U + u] = d * kept_before[u] * by_f[u];
            change[2 * U + u] = d * i[u] * by_g[u];
            change[3 * U + u] = d_state[u] * shown[u] * by_o[u];
            d_carry[u] = d * f[u];
            d_state[u] = 0;
        }
    }
};

struct Gru {  // n = act(x_n + r (W h + b)_n), h = z h + (1 - z) n; x: n, r, z; w: r, z, n
    static constexpr Int GATES = 3, SAVED = 4, CHANGES = 4;  // changes: x_n, r, z, (W h)_n

    template <class Real, class Gates, class States>
    static void forward(const RNNArgs<Real> &c, Gates x, States w, Real *saved, Real *state, Real *) {
        const Int U = c.units;
        Real *n = saved, *r = n + U, *z = r + U, *kept = z + U;
        const Real *x_n = x(0), *w_n = w(2), *b_n = c.b_ih, *b_wn = c.b_hh + 2 * U;
        sum(x(1), w(0), c.b_ih + U, c.b_hh, U, r);
        sum(x(2), w(1), c.b_ih + 2 * U, c.b_hh + U, U, z);
        apply(c.recurrent_activation, r, 2 * U);
#pragma omp simd
        for (Int u = 0; u < U; ++u) {
            kept[u] = w_n[u] + b_wn[u];
            n[u] = x_n[u] + b_n[u] + r[u] * kept[u];
        }
        apply(c.activation, n, U);
#pragma omp simd
        for (Int u = 0; u < U; ++u) state[u] = n[u] + z[u] * (state[u] - n[u]);
    }

    template <class Real>
    static void backward(const RNNArgs<Real> &c, const Real *saved, const Real *, const Real *, const Real *state,
                         Real *d_state, Real *, Real *change, Real *slopes) {
        const Int U = c.units;
        const Real *n = saved, *r = n + U, *z = r + U, *kept = z + U;
        const Real *by_n = slopes, *by_r = by_n + U, *by_z = by_r + U;
        slope(c.activation, n, slopes, U);
        slope(c.recurrent_activation, r, slopes + U, 2 * U);
#pragma omp simd
        for (Int u = 0; u < U; ++u) {
            const Real d_n = d_state[u] * (1 - z[u]) * by_n[u];
            change[u] = d_n;
            change[U + u] = d_n * kept[u] * by_r[u];
            change[2 * U + u] = d_state[u] * (state[u] - n[u]) * by_z[u];
            change[3 * U + u] = d_n * r[u];
            d_state[u] *= z[u];
        }
    }
};
