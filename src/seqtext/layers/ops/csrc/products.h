// Matrix products, row-major, in tiles of sums that stay in registers: up to TILE_ROWS × PANEL.
//
// What is multiplied are items: numbers, or pairs of numbers in bfloat16 (bf16.h).

#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <type_traits>

#include "bf16.h"

#if defined(__AVX512F__)
constexpr int VECTOR_BYTES = 64, TILE_ROWS = 8;
#elif defined(__AVX__)
constexpr int VECTOR_BYTES = 32, TILE_ROWS = 6;
#else
constexpr int VECTOR_BYTES = 16, TILE_ROWS = 6;
#endif
template <class Real> constexpr int LANES = VECTOR_BYTES / sizeof(Real);
template <class Real> constexpr int PANEL = 2 * LANES<Real>;
constexpr Int DEPTH = 128;  // rows of a panel that fit into the L1 cache

template <class Real> struct Buffer {  // zero-initialized memory, aligned to 64 bytes
    explicit Buffer(Int size) {
        const size_t bytes = (std::max<Int>(size, 1) * sizeof(Real) + 63) / 64 * 64;
        data.reset(static_cast<Real *>(std::aligned_alloc(64, bytes)));
        if (!data) throw std::bad_alloc();
        std::memset(data.get(), 0, bytes);
    }
    operator Real *() const { return data.get(); }
    struct Free { void operator()(Real *p) const { std::free(p); } };
    std::unique_ptr<Real, Free> data;
};

template <class Item> struct Left {
    const Item *data;
    Int row, column, tile;  // strides; tile: of TILE_ROWS rows
};
template <class Real> struct Line { const Real *data; Int step; const Real *scale; };  // null: zeros

template <class Real> Int panels(Int columns) { return (columns + PANEL<Real> - 1) / PANEL<Real>; }

// Copy numbers, times factors unless null, to items.
template <class Real> void scaled(const Real *from, const Real *factors, Int n, Real *to) {
    if (!factors) return void(std::copy(from, from + n, to));
#pragma omp simd
    for (Int i = 0; i < n; ++i) to[i] = from[i] * factors[i];
}

// One panel of a right-hand matrix: columns [first, first + PANEL) of lines, zeros after the last.
template <class Real, class Lines> void pack(Real *to, Int depth, Int first, Int columns, Lines lines) {
    const Int width = std::min<Int>(PANEL<Real>, columns - first);
    for (Int k = 0; k < depth; ++k, to += PANEL<Real>) {
        const Line<Real> line = lines(k);
        std::fill(to, to + PANEL<Real>, Real(0));
        if (!line.data) continue;
        if (line.step == 1) std::copy_n(line.data + first, width, to);
        else
            for (Int j = 0; j < width; ++j) to[j] = line.data[(first + j) * line.step];
        if (line.scale)
            for (Int j = 0; j < width; ++j) to[j] *= line.scale[first + j];
    }
}

// Packs a left-hand matrix tile by tile; its rows are contiguous in memory, columns have a stride.
template <class Real> Left<Real> pack_left(Real *to, const Real *from, Int rows, Int depth, Int column) {
    for (Int r = 0; r < rows; r += TILE_ROWS) {
        const Int height = std::min<Int>(TILE_ROWS, rows - r);
        Real *part = to + r * depth;
        const Real *tile = from + r;
        for (Int k = 0; k < depth; ++k, part += TILE_ROWS, tile += column)
            if (height == TILE_ROWS) std::memcpy(part, tile, TILE_ROWS * sizeof(Real));  // one vector
            else std::copy_n(tile, height, part);
    }
    return {to, 1, TILE_ROWS, TILE_ROWS * depth};
}

#if HAS_BF16
inline const float *find_numbers(Line<float> line, Int first, Int width, float *space) {
    if (!line.data || (line.step == 1 && !line.scale)) return line.data ? line.data + first : nullptr;
    for (Int j = 0; j < width; ++j)
        space[j] = line.data[(first + j) * line.step] * (line.scale ? line.scale[first + j] : 1);
    return space;
}

template <class Real, class Lines> void pack(Pair *to, Int depth, Int first, Int columns, Lines lines) {
    const Int width = std::min<Int>(PANEL<float>, columns - first);
    float low[PANEL<float>], high[PANEL<float>];
    for (Int k = 0; k < depth; k += 2, to += PANEL<float>) {
        const Line<float> last = k + 1 < depth ? lines(k + 1) : Line<float>{};
        interleave<PANEL<float>>(find_numbers(lines(k), first, width, low),
                                 find_numbers(last, first, width, high), width, to);
    }
}

inline Left<Pair> pack_left(Pair *to, const float *from, Int rows, Int depth, Int column) {
    const Int each = TILE_ROWS * items<Pair>(depth);
    for (Int r = 0; r < rows; r += TILE_ROWS) {
        Pair *part = to + r / TILE_ROWS * each;
        for (Int k = 0; k < depth; k += 2, part += TILE_ROWS) {
            const float *low = from + k * column + r, *high = k + 1 < depth ? low + column : nullptr;
            interleave<TILE_ROWS>(low, high, std::min<Int>(TILE_ROWS, rows - r), part);
        }
    }
    return {to, 1, TILE_ROWS, each};
}
#endif

template <class V, class Real> inline V multiply_add(V sum, Real a, const Real *row) {
    return sum + a * *(const V *)row;
}

template <class Real> struct Out { Real *data; Int row, width; bool add; };  // writes `width` columns

template <class Real, class Item, int ROWS, int VECTORS>
void tile(Left<Item> a, Int depth, const Item *panel, Out<Real> out) {
    typedef Real V __attribute__((vector_size(VECTOR_BYTES), aligned(alignof(Real)), may_alias));
    V sum[ROWS][VECTORS] = {};
    for (int r = 0; r < ROWS; ++r)
        for (int v = 0; v < VECTORS; ++v)
            __builtin_prefetch(out.data + r * out.row + v * LANES<Real>, 1);
    for (Int k = 0; k < depth; ++k, panel += PANEL<Real>, a.data += a.column)
#pragma GCC unroll 8
        for (int r = 0; r < ROWS; ++r)
            for (int v = 0; v < VECTORS; ++v)
                sum[r][v] = multiply_add(sum[r][v], a.data[r * a.row], panel + v * LANES<Real>);
    constexpr Int WIDTH = VECTORS * LANES<Real>;
    Real part[ROWS * WIDTH];
    const bool whole = out.width >= WIDTH;
    Real *to = whole ? out.data : part;
#pragma GCC unroll 8
    for (int r = 0; r < ROWS; ++r, to += whole ? out.row : WIDTH)
        for (int v = 0; v < VECTORS; ++v) {
            V *place = (V *)(to + v * LANES<Real>);
            *place = out.add && whole ? sum[r][v] + *place : sum[r][v];
        }
    for (int r = 0; !whole && r < ROWS; ++r)
        for (Int j = 0; j < out.width; ++j) {
            Real *place = out.data + r * out.row + j;
            *place = part[r * WIDTH + j] + (out.add ? *place : 0);
        }
}

// Write (or add, if out.add) a · panel to the panel's columns of out; depth in items.
template <class Real, class Item, int ROWS = TILE_ROWS>
void multiply(Left<Item> a, Int rows, Int depth, const Item *panel, Out<Real> out) {
    for (; rows >= ROWS; rows -= ROWS, a.data += a.tile, out.data += ROWS * out.row)
        if (out.width > LANES<Real>) tile<Real, Item, ROWS, 2>(a, depth, panel, out);
        else tile<Real, Item, ROWS, 1>(a, depth, panel, out);
    if constexpr (ROWS > 1) multiply<Real, Item, ROWS - 1>(a, rows, depth, panel, out);
}

// A packed right-hand matrix, or one per gate if the masks differ.
template <class Real, class Item = Real> struct Packed {
    Int groups, depth, columns;
    Int depth_items = items<Item>(depth);
    Buffer<Item> data{groups * panels<Real>(columns) * PANEL<Real> * depth_items};

    template <class Lines> void fill(Lines lines) {  // lines(group, k); called by all threads
        const Int each = panels<Real>(columns);
#pragma omp for
        for (Int p = 0; p < groups * each; ++p)
            pack<Real>(data + p * PANEL<Real> * depth_items, depth, p % each * PANEL<Real>, columns,
                       [&](Int k) { return lines(p / each, k); });
    }

    // out [rows, columns] = a [rows, depth] · matrix, for each group; a and out have strides for
    // groups and rows, those of a in items.
    void times(const Item *a, Int a_group, Int a_row, Int rows, Real *out, Int group, Int row) const {
        const Item *panel = data;
        for (Int g = 0; g < groups; ++g, a += a_group, out += group)
            for (Int j = 0; j < columns; j += PANEL<Real>)
                for (Int k = 0; k < depth_items; k += DEPTH) {
                    const Int part = std::min(DEPTH, depth_items - k);
                    multiply<Real, Item>({a + k, a_row, 1, TILE_ROWS * a_row}, rows, part, panel,
                                         {out + j, row, columns - j, k > 0});
                    panel += PANEL<Real> * part;
                }
    }

    // The same of numbers, which are rounded to items in `rounded` [groups, rows, depth_items].
    void times_numbers(const Real *a, Int a_group, Int a_row, Int rows, Item *rounded, Real *out, Int group,
                       Int row) const {
        if constexpr (NUMBERS<Item> == 1) {
            times(a, a_group, a_row, rows, out, group, row);
        } else {
            for (Int g = 0; g < groups; ++g)
                for (Int i = 0; i < rows; ++i)
                    scaled(a + g * a_group + i * a_row, nullptr, depth, rounded + (g * rows + i) * depth_items);
            times(rounded, rows * depth_items, depth_items, rows, out, group, row);
        }
    }
    Int rounded_size(Int rows) const { return NUMBERS<Item> == 1 ? 0 : groups * rows * depth_items; }
};

// Call act(item): a pair if bf16 is asked for and this processor has it, else a number.
template <class Real, class Do> void with_items(bool bf16, Do act) {
#if HAS_BF16
    if constexpr (std::is_same_v<Real, float>)
        if (bf16) return act(Pair{});
#endif
    act(Real{});
}
