// Matrix products, row-major, in tiles of sums that stay in registers: up to TILE_ROWS × PANEL.

#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

using Int = int64_t;

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

template <class Real> struct Left {
    const Real *data;
    Int row, column, tile;  // strides; tile: of TILE_ROWS rows
};
template <class Real> struct Line { const Real *data; Int step; const Real *scale; };  // null: zeros

template <class Real> Int panels(Int columns) { return (columns + PANEL<Real> - 1) / PANEL<Real>; }

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

template <class Real> struct Out { Real *data; Int row, width; bool add; };  // writes `width` columns

template <class Real, int ROWS, int VECTORS>
void tile(Left<Real> a, Int depth, const Real *panel, Out<Real> out) {
    typedef Real V __attribute__((vector_size(VECTOR_BYTES), aligned(alignof(Real)), may_alias));
    V sum[ROWS][VECTORS] = {};
    for (int r = 0; r < ROWS; ++r)
        for (int v = 0; v < VECTORS; ++v)
            __builtin_prefetch(out.data + r * out.row + v * LANES<Real>, 1);
    for (Int k = 0; k < depth; ++k, panel += PANEL<Real>, a.data += a.column)
#pragma GCC unroll 8
        for (int r = 0; r < ROWS; ++r)
            for (int v = 0; v < VECTORS; ++v)
                sum[r][v] += a.data[r * a.row] * *(const V *)(panel + v * LANES<Real>);
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

// Write (or add, if out.add) a · panel to the panel's columns of out.
template <class Real, int ROWS = TILE_ROWS>
void multiply(Left<Real> a, Int rows, Int depth, const Real *panel, Out<Real> out) {
    for (; rows >= ROWS; rows -= ROWS, a.data += a.tile, out.data += ROWS * out.row)
        if (out.width > LANES<Real>) tile<Real, ROWS, 2>(a, depth, panel, out);
        else tile<Real, ROWS, 1>(a, depth, panel, out);
    if constexpr (ROWS > 1) multiply<Real, ROWS - 1>(a, rows, depth, panel, out);
}

// A packed right-hand matrix, or one per gate if the masks differ.
template <class Real> struct Packed {
    Int groups, depth, columns;
    Buffer<Real> data{groups * panels<Real>(columns) * PANEL<Real> * depth};

    template <class Lines> void fill(Lines lines) {  // lines(group, k); called by all threads
        const Int each = panels<Real>(columns);
#pragma omp for
        for (Int p = 0; p < groups * each; ++p)
            pack(data + p * PANEL<Real> * depth, depth, p % each * PANEL<Real>, columns,
                 [&](Int k) { return lines(p / each, k); });
    }

    // out [rows, columns] = a [rows, depth] · matrix, for each group; a and out have strides for
    // groups and rows.
    void times(const Real *a, Int a_group, Int a_row, Int rows, Real *out, Int group, Int row) const {
        const Real *panel = data;
        for (Int g = 0; g < groups; ++g, a += a_group, out += group)
            for (Int j = 0; j < columns; j += PANEL<Real>)
                for (Int k = 0; k < depth; k += DEPTH) {
                    const Int part = std::min(DEPTH, depth - k);
                    multiply<Real>({a + k, a_row, 1, TILE_ROWS * a_row}, rows, part, panel,
                                {out + j, row, columns - j, k > 0});
                    panel += PANEL<Real> * part;
                }
    }
};
