// One step of one text: what SimpleRNN, LSTM and GRU make of their gates, and the way back.
//
// x(g) and w(g) are the inputs' and the last state's part of gate g; `saved` is what the way back
// needs. Backward, `d_state` and `d_carry` come with the gradients of this step's state and carry
// and leave with those of the step before, but for what goes through the weights: `change` is the
// gradient of the gates, CHANGES vectors: those of x(g) in front, those of w(g) at the end.

#pragma once

#include <algorithm>

#include "functions.h"

// Mirrored in fused.py; B texts, S steps, E inputs, U units, G gates.
template <class T> struct Call {
    Int cell, activation, recurrent_activation, reverse, threads, texts, steps, inputs, units;
    const Int *lengths;                    // [B]
    const T *x;                            // [B, S, E]
    const T *w_ih, *w_hh, *b_ih, *b_hh;    // [G U, E], [G U, U], [G U], [G U]
    const T *input_mask, *mask;            // [G, B, E] and [G, B, U], or null
    T *states, *saved;                     // [B, S, U]; [B, S, SAVED U], or null: no way back
    const T *gradient;                     // [B, S, U]; from here on, backward only
    T *d_x;                                // [B, S, E], or null
    T *d_w_ih, *d_w_hh, *d_b_ih, *d_b_hh;  // as the weights, of each thread; they come as zeros
};

template <class T> void sum(const T *x, const T *w, const T *b_ih, const T *b_hh, Int n, T *to) {
#pragma omp simd
    for (Int u = 0; u < n; ++u) to[u] = x[u] + w[u] + b_ih[u] + b_hh[u];
}

struct Rnn {  // h = act(x + W h)
    static constexpr Int GATES = 1, SAVED = 0, CHANGES = 1;

    template <class T, class Gates, class States>
    static void forward(const Call<T> &c, Gates x, States w, T *, T *state, T *) {
        sum(x(0), w(0), c.b_ih, c.b_hh, c.units, state);
        apply(c.activation, state, c.units);
    }

    template <class T>
    static void backward(const Call<T> &c, const T *, const T *, const T *state, const T *,
                         T *d_state, T *, T *change, T *slopes) {
        slope(c.activation, state, slopes, c.units);
        for (Int u = 0, U = c.units; u < U; ++u) {
            change[u] = d_state[u] * slopes[u];
            d_state[u] = 0;
        }
    }
};

struct Lstm {  // c = f c + i act(g), h = o act(c); saved i, f, g, o, c
    static constexpr Int GATES = 4, SAVED = 5, CHANGES = 4;

    template <class T, class Gates, class States>
    static void forward(const Call<T> &c, Gates x, States w, T *saved, T *state, T *carry) {
        const Int U = c.units;
        for (Int g = 0; g < GATES; ++g)
            sum(x(g), w(g), c.b_ih + g * U, c.b_hh + g * U, U, saved + g * U);
        T *i = saved, *f = i + U, *g = f + U, *o = g + U, *kept = o + U;
        apply(c.recurrent_activation, i, 2 * U);
        apply(c.activation, g, U);
        apply(c.recurrent_activation, o, U);
#pragma omp simd
        for (Int u = 0; u < U; ++u) state[u] = kept[u] = carry[u] = f[u] * carry[u] + i[u] * g[u];
        apply(c.activation, state, U);
#pragma omp simd
        for (Int u = 0; u < U; ++u) state[u] *= o[u];
    }

    template <class T>
    static void backward(const Call<T> &c, const T *saved, const T *before, const T *, const T *,
                         T *d_state, T *d_carry, T *change, T *slopes) {
        const Int U = c.units;
        const T *i = saved, *f = i + U, *g = f + U, *o = g + U, *kept = o + U;
        const T *by_i = slopes, *by_f = by_i + U, *by_g = by_f + U, *by_o = by_g + U;
        T *shown = slopes + 4 * U, *by_shown = shown + U;
        const T *kept_before = before + 4 * U;
        slope(c.recurrent_activation, i, slopes, 2 * U);
        slope(c.activation, g, slopes + 2 * U, U);
        slope(c.recurrent_activation, o, slopes + 3 * U, U);
        std::copy(kept, kept + U, shown);
        apply(c.activation, shown, U);
        slope(c.activation, shown, by_shown, U);
#pragma omp simd
        for (Int u = 0; u < U; ++u) {
            const T d = d_carry[u] + d_state[u] * o[u] * by_shown[u];
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
    static constexpr Int GATES = 3, SAVED = 4, CHANGES = 4;  // of x_n, r, z, (W h)_n

    template <class T, class Gates, class States>
    static void forward(const Call<T> &c, Gates x, States w, T *saved, T *state, T *) {
        const Int U = c.units;
        T *n = saved, *r = n + U, *z = r + U, *kept = z + U;
        const T *x_n = x(0), *w_n = w(2), *b_n = c.b_ih, *b_wn = c.b_hh + 2 * U;
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

    template <class T>
    static void backward(const Call<T> &c, const T *saved, const T *, const T *, const T *state,
                         T *d_state, T *, T *change, T *slopes) {
        const Int U = c.units;
        const T *n = saved, *r = n + U, *z = r + U, *kept = z + U;
        const T *by_n = slopes, *by_r = by_n + U, *by_z = by_r + U;
        slope(c.activation, n, slopes, U);
        slope(c.recurrent_activation, r, slopes + U, 2 * U);
#pragma omp simd
        for (Int u = 0; u < U; ++u) {
            const T d_n = d_state[u] * (1 - z[u]) * by_n[u];
            change[u] = d_n;
            change[U + u] = d_n * kept[u] * by_r[u];
            change[2 * U + u] = d_state[u] * (state[u] - n[u]) * by_z[u];
            change[3 * U + u] = d_n * r[u];
            d_state[u] *= z[u];
        }
    }
};
