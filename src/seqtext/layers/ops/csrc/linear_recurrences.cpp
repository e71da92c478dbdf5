// minGRU, minLSTM and QRNN over whole texts on a CPU, forward and backward; ops/linear_rnn.py calls it.
//
// No gate depends on a state: the gates of up to ROWS steps of a text are one matrix product, and the
// recurrence, elementwise, reads them from the processor's cache. Each thread processes its own texts,
// without synchronization; steps after the end of a text are not computed.

#include <omp.h>

#include "functions.h"
#include "products.h"

enum { POSITIVE = LEAKY_RELU + 1 };  // an activation besides those of functions.h
constexpr Int ROWS = 128;  // of one matrix product

// Mirrored in ops/linear_rnn.py; B texts, T time steps, E inputs, W steps that a gate reads (its own and
// those before it, in each direction; in the order of the text), U units, G gates.
template <class Real> struct LinearRNNArgs {
    Int cell, activation, reverse, bf16, threads, texts, steps, inputs, window, units, writes;
    Int row;                     // numbers from a step's state to the next step's, at least U
    const Int *lengths;          // [B]
    const Real *x;               // [B, T, E]
    const Real *weight, *bias;   // [G U, W E], [G U]
    const Real *mask;            // [B, E], or null
    Real *states, *saved;        // [B, T, U], rows apart; [B, T, SAVED U], or null in inference
    const Real *gradient;        // as states; from here on, backward only
    Real *d_x;                   // [B, T, E], or null; added to unless `writes`
    Real *d_weight, *d_bias;     // [threads, W E, G U], [threads, G U], zeros on entry
};

template <Int KIND> struct Candidate {  // activation of the candidate, and its slope by the value
    template <class Real> static Real value(Real x) {
        if constexpr (KIND == TANH) return tanh_of(x);
        else if constexpr (KIND == RELU) return x < 0 ? 0 : x;
        else if constexpr (KIND == POSITIVE) return x >= 0 ? x + Real(0.5) : sigmoid_of(x);
        else return x;
    }
    template <class Real> static Real slope(Real y) {
        if constexpr (KIND == TANH) return 1 - y * y;
        else if constexpr (KIND == RELU) return y > 0 ? 1 : 0;
        else if constexpr (KIND == POSITIVE) return y >= Real(0.5) ? 1 : y - y * y;
        else return 1;
    }
};

// Cells: `saved` holds the gates of a step, on entry of `forward` without bias and activation. `before`
// is what is kept of the step before, or zeros: of QRNN its saved values, of the others its state.
// `d_state` is the gradient w.r.t. a state that the next step reads; `change`, of the gates' inputs.

template <class Act> struct MinGru {  // h = (1 - z) h + z n; saved z, n
    static constexpr Int GATES = 2, SAVED = 2;
    static constexpr bool READS_STATES = true;

    template <class Real> static void forward(Int U, const Real *bias, Real *saved, Real *carry, Real *state) {
#pragma omp simd
        for (Int u = 0; u < U; ++u) {
            const Real z = sigmoid_of(saved[u] + bias[u]), n = Act::value(saved[U + u] + bias[U + u]);
            saved[u] = z, saved[U + u] = n;
            state[u] = carry[u] = carry[u] + z * (n - carry[u]);
        }
    }

    template <class Real>
    static void backward(Int U, const Real *saved, const Real *before, const Real *gradient, Real *d_state,
                         Real *change, Real *d_bias) {
#pragma omp simd
        for (Int u = 0; u < U; ++u) {
            const Real z = saved[u], n = saved[U + u], d = d_state[u] + gradient[u], d_n = d * z;
            d_state[u] = d - d_n;
            d_bias[u] += change[u] = (d_n - d_n * z) * (n - before[u]);
            d_bias[U + u] += change[U + u] = d_n * Act::slope(n);
        }
    }
};

template <class Act> struct MinLstm {  // a = f / (f + i), h = a h + (1 - a) n; saved f, i, n
    static constexpr Int GATES = 3, SAVED = 3;
    static constexpr bool READS_STATES = true;

    template <class Real> static void forward(Int U, const Real *bias, Real *saved, Real *carry, Real *state) {
#pragma omp simd
        for (Int u = 0; u < U; ++u) {
            const Real f = sigmoid_of(saved[u] + bias[u]), i = sigmoid_of(saved[U + u] + bias[U + u]);
            const Real n = Act::value(saved[2 * U + u] + bias[2 * U + u]);
            saved[u] = f, saved[U + u] = i, saved[2 * U + u] = n;
            state[u] = carry[u] = n + f / (f + i) * (carry[u] - n);
        }
    }

    template <class Real>
    static void backward(Int U, const Real *saved, const Real *before, const Real *gradient, Real *d_state,
                         Real *change, Real *d_bias) {
#pragma omp simd
        for (Int u = 0; u < U; ++u) {
            const Real f = saved[u], i = saved[U + u], n = saved[2 * U + u], a = f / (f + i);
            const Real d = d_state[u] + gradient[u], d_n = d - d * a, by_share = d_n * a * (before[u] - n);
            d_state[u] = d * a;
            d_bias[u] += change[u] = by_share - by_share * f;
            d_bias[U + u] += change[U + u] = by_share * i - by_share;
            d_bias[2 * U + u] += change[2 * U + u] = d_n * Act::slope(n);
        }
    }
};

template <class Act> struct Qrnn {  // c = f c + (1 - f) n, h = o c; saved n, f, o, c
    static constexpr Int GATES = 3, SAVED = 4;
    static constexpr bool READS_STATES = false;

    template <class Real> static void forward(Int U, const Real *bias, Real *saved, Real *carry, Real *state) {
#pragma omp simd
        for (Int u = 0; u < U; ++u) {
            const Real n = Act::value(saved[u] + bias[u]), f = sigmoid_of(saved[U + u] + bias[U + u]);
            const Real o = sigmoid_of(saved[2 * U + u] + bias[2 * U + u]), c = n + f * (carry[u] - n);
            saved[u] = n, saved[U + u] = f, saved[2 * U + u] = o;
            saved[3 * U + u] = carry[u] = c;
            state[u] = o * c;
        }
    }

    template <class Real>
    static void backward(Int U, const Real *saved, const Real *before, const Real *gradient, Real *d_state,
                         Real *change, Real *d_bias) {
#pragma omp simd
        for (Int u = 0; u < U; ++u) {
            const Real n = saved[u], f = saved[U + u], o = saved[2 * U + u], c = saved[3 * U + u];
            const Real d = d_state[u] + gradient[u] * o, d_n = d - d * f;
            d_state[u] = d * f;
            d_bias[u] += change[u] = d_n * Act::slope(n);
            d_bias[U + u] += change[U + u] = d_n * f * (before[3 * U + u] - n);
            d_bias[2 * U + u] += change[2 * U + u] = gradient[u] * c * (o - o * o);
        }
    }
};

template <class Real, class Cell, class Item> struct LinearTexts {  // texts of one thread
    const LinearRNNArgs<Real> &c;
    const Int T = c.steps, E = c.inputs, W = c.window, U = c.units, gates = Cell::GATES * U, saved = Cell::SAVED * U;
    const Int E_items = items<Item>(E);
    Int thread = omp_get_thread_num(), threads = omp_get_num_threads();
    Int first = c.texts * thread / threads, last = c.texts * (thread + 1) / threads;

    // Calls visit(place of the first step, number of steps) for parts of a text.
    template <class Visit> void parts(Int length, bool ascending, Visit visit) const {
        const Int count = (length + ROWS - 1) / ROWS;
        for (Int part = 0; part < count; ++part) {
            const Int low = (ascending ? part : count - 1 - part) * ROWS;
            visit(low, std::min(ROWS, length - low));
        }
    }

    // Returns the inputs of steps from `low` on, a row of items apart, W rows each: with zeros outside
    // of the text.
    template <class To> const To *read(Int b, Int low, Int rows, To *copied) const {
        const Int from = c.reverse ? low : low - (W - 1), length = c.lengths[b], each = items<To>(E);
        const Real *x = c.x + b * T * E, *mask = c.mask ? c.mask + b * E : nullptr;
        if constexpr (NUMBERS<To> == 1)
            if (!mask && from >= 0 && from + rows + W - 1 <= length) return x + from * E;
        for (Int j = 0; j < rows + W - 1; ++j) {
            To *to = copied + j * each;
            if (from + j < 0 || from + j >= length) std::fill(to, to + each, To{});
            else scaled(x + (from + j) * E, mask, E, to);
        }
        return copied;
    }

    void forward(const Packed<Real, Item> &weight) const {
        Buffer<Real> carry(U), unsaved(c.saved ? 0 : ROWS * saved);
        Buffer<Item> copied((ROWS + W) * E_items);
        for (Int b = first; b < last; ++b) {
            const Int length = c.lengths[b];
            std::fill(carry + 0, carry + U, Real(0));
            parts(length, !c.reverse, [&](Int low, Int rows) {
                Real *kept = c.saved ? c.saved + (b * T + low) * saved : unsaved + 0;
                weight.times(read(b, low, rows, copied + 0), 0, E_items, rows, kept, 0, saved);
                for (Int k = 0; k < rows; ++k) {
                    const Int j = c.reverse ? rows - 1 - k : k;
                    Cell::forward(U, c.bias, kept + j * saved, carry + 0, c.states + (b * T + low + j) * c.row);
                }
            });
            for (Int t = length; t < T; ++t) std::fill_n(c.states + (b * T + t) * c.row, U, Real(0));
        }
    }

    void backward(const Packed<Real, Item> &weight) const {
        Buffer<Real> d_state(U), none(std::max(saved, U)), change(ROWS * gates);
        Buffer<Real> to_x(c.d_x ? ROWS * W * E : 0), copied((ROWS + W) * E);
        Buffer<Item> left((W * E + TILE_ROWS) * items<Item>(ROWS)), panel(items<Item>(ROWS) * PANEL<Real>);
        Buffer<Item> rounded(weight.rounded_size(ROWS));
        Real *d_bias = c.d_bias + thread * gates;
        for (Int b = first; b < last; ++b) {
            const Int length = c.lengths[b], back = c.reverse ? 1 : -1;
            std::fill(d_state + 0, d_state + U, Real(0));
            parts(length, c.reverse, [&](Int low, Int rows) {
                for (Int k = 0; k < rows; ++k) {
                    const Int j = c.reverse ? k : rows - 1 - k, now = b * T + low + j, at = low + j + back;
                    const Real *before = at < 0 || at == length  ? none + 0
                                         : Cell::READS_STATES    ? c.states + (now + back) * c.row
                                                                 : c.saved + (now + back) * saved;
                    Cell::backward(U, c.saved + now * saved, before, c.gradient + now * c.row, d_state + 0,
                                   change + j * gates, d_bias);
                }
                if (c.d_x) add_input_gradients(weight, change, rounded, to_x, b, low, rows);
                add_weight_gradients(read(b, low, rows, copied + 0), change, left, panel, rows);
            });
            if (c.d_x && c.writes) std::fill_n(c.d_x + (b * T + length) * E, (T - length) * E, Real(0));
        }
    }

    void add_input_gradients(const Packed<Real, Item> &weight, const Real *change, Item *rounded, Real *to_x,
                             Int b, Int low, Int rows) const {
        weight.times_numbers(change, 0, gates, rows, rounded, to_x, 0, W * E);
        const Int from = c.reverse ? low : low - (W - 1);
        for (Int j = 0; j < rows; ++j)
            for (Int w = 0; w < W; ++w, to_x += E) {
                const Int at = from + j + w;
                if (at < 0 || at >= c.lengths[b]) continue;
                Real *d_x = c.d_x + (b * T + at) * E;
#pragma omp simd
                for (Int e = 0; e < E; ++e) {
                    const Real now = c.mask ? to_x[e] * c.mask[b * E + e] : to_x[e];
                    d_x[e] = c.writes ? now : d_x[e] + now;
                }
            }
    }

    // d_weight [W E, gates] += x, transposed, · change: the gates are wider, which wastes fewer lanes
    void add_weight_gradients(const Real *x, const Real *change, Item *left, Item *panel, Int rows) const {
        Real *out = c.d_weight + thread * gates * W * E;
        const Left<Item> a = pack_left(left, x, W * E, rows, E);
        for (Int j = 0; j < gates; j += PANEL<Real>) {
            pack<Real>(panel, rows, j, gates, [&](Int k) { return Line<Real>{change + k * gates, 1, nullptr}; });
            multiply<Real, Item>(a, W * E, items<Item>(rows), panel, {out + j, gates, gates - j, true});
        }
    }
};

template <class Real, class Cell, class Item> void run_items(const LinearRNNArgs<Real> &c, bool is_backward) {
    const Int gates = Cell::GATES * c.units, inputs = c.window * c.inputs;
    const Int row = items<Item>(c.inputs) * NUMBERS<Item>;  // of a step's inputs, with zeros at the end
    Packed<Real, Item> weight{is_backward && !c.d_x ? 0 : 1, is_backward ? gates : c.window * row,
                              is_backward ? inputs : gates};
#pragma omp parallel num_threads(c.threads)
    {
        weight.fill([&](Int, Int k) {
            if (is_backward) return Line<Real>{c.weight + k * inputs, 1, nullptr};
            if (k % row == c.inputs) return Line<Real>{};
            return Line<Real>{c.weight + k / row * c.inputs + k % row, inputs, nullptr};
        });
        const LinearTexts<Real, Cell, Item> texts{c};
        if (is_backward) texts.backward(weight);
        else texts.forward(weight);
    }
}

template <class Real, class Cell> void run_cell(const LinearRNNArgs<Real> &c, bool is_backward) {
    with_items<Real>(c.bf16, [&](auto item) { run_items<Real, Cell, decltype(item)>(c, is_backward); });
}

template <class Real, template <class> class Cell> void run_with(const LinearRNNArgs<Real> &c, bool is_backward) {
    switch (c.activation) {
    case TANH: return run_cell<Real, Cell<Candidate<TANH>>>(c, is_backward);
    case RELU: return run_cell<Real, Cell<Candidate<RELU>>>(c, is_backward);
    case LINEAR: return run_cell<Real, Cell<Candidate<LINEAR>>>(c, is_backward);
    case POSITIVE: return run_cell<Real, Cell<Candidate<POSITIVE>>>(c, is_backward);
    }
}

template <class Real> void run(const LinearRNNArgs<Real> &c, bool is_backward) {
    switch (c.cell) {
    case 0: return run_with<Real, MinGru>(c, is_backward);
    case 1: return run_with<Real, MinLstm>(c, is_backward);
    case 2: return run_with<Real, Qrnn>(c, is_backward);
    }
}

extern "C" {
Int linear_rnn_args_size() { return sizeof(LinearRNNArgs<float>); }
void linear_rnn_float(const LinearRNNArgs<float> *call, int is_backward) { run(*call, is_backward); }
void linear_rnn_double(const LinearRNNArgs<double> *call, int is_backward) { run(*call, is_backward); }
}
