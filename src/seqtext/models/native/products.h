// Matrix products in tiles of TILE_ROWS × PANEL sums that stay in registers. Matrices are row-major.

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
template <class T> constexpr int LANES = VECTOR_BYTES / sizeof(T);
template <class T> constexpr int PANEL = 2 * LANES<T>;

template <class T> struct Buffer {  // zeros, where vectors like to begin
    explicit Buffer(Int size) {
        const size_t bytes = (std::max<Int>(size, 1) * sizeof(T) + 63) / 64 * 64;
        data.reset(static_cast<T *>(std::aligned_alloc(64, bytes)));
        if (!data) throw std::bad_alloc();
        std::memset(data.get(), 0, bytes);
    }
    operator T *() const { return data.get(); }
    struct Free { void operator()(T *p) const { std::free(p); } };
    std::unique_ptr<T, Free> data;
};

template <class T> struct Left { const T *data; Int row, column; };  // how far to the next one
template <class T> struct Line { const T *data; Int step; const T *scale; };  // zeros where null

template <class T> Int panels(Int columns) { return (columns + PANEL<T> - 1) / PANEL<T>; }

// One panel of a right-hand matrix: columns [first, first + PANEL) of lines, zeros behind the last.
template <class T, class Lines> void pack(T *to, Int depth, Int first, Int columns, Lines lines) {
    const Int width = std::min<Int>(PANEL<T>, columns - first);
    for (Int k = 0; k < depth; ++k, to += PANEL<T>) {
        const Line<T> line = lines(k);
        std::fill(to, to + PANEL<T>, T(0));
        if (!line.data) continue;
        for (Int j = 0; j < width; ++j) to[j] = line.data[(first + j) * line.step];
        if (line.scale)
            for (Int j = 0; j < width; ++j) to[j] *= line.scale[first + j];
    }
}

template <class T, int ROWS>
void tile(Left<T> a, Int depth, const T *panel, T *out, Int out_row, Int width, bool add) {
    typedef T V __attribute__((vector_size(VECTOR_BYTES), aligned(alignof(T)), may_alias));
    V sum[ROWS][2] = {};
    for (Int k = 0; k < depth; ++k, panel += PANEL<T>, a.data += a.column) {
        const V left = *(const V *)panel, right = *(const V *)(panel + LANES<T>);
#pragma GCC unroll 8
        for (int r = 0; r < ROWS; ++r) {
            sum[r][0] += a.data[r * a.row] * left;
            sum[r][1] += a.data[r * a.row] * right;
        }
    }
    T part[ROWS * PANEL<T>];
    const bool whole = width >= PANEL<T>;
    T *to = whole ? out : part;
    const Int to_row = whole ? out_row : PANEL<T>;
#pragma GCC unroll 8
    for (int r = 0; r < ROWS; ++r, to += to_row) {
        if (add && whole) sum[r][0] += *(V *)to, sum[r][1] += *(V *)(to + LANES<T>);
        *(V *)to = sum[r][0];
        *(V *)(to + LANES<T>) = sum[r][1];
    }
    for (int r = 0; !whole && r < ROWS; ++r)
        for (Int j = 0; j < width; ++j)
            out[r * out_row + j] = part[r * PANEL<T> + j] + (add ? out[r * out_row + j] : 0);
}

template <class T, int ROWS>
void tiles(Left<T> a, Int rows, Int depth, const T *panel, T *out, Int out_row, Int width, bool add) {
    for (; rows >= ROWS; rows -= ROWS, a.data += ROWS * a.row, out += ROWS * out_row)
        tile<T, ROWS>(a, depth, panel, out, out_row, width, add);
    if constexpr (ROWS > 1) tiles<T, ROWS - 1>(a, rows, depth, panel, out, out_row, width, add);
}

// The transpose of a weight's rows, or the rows themselves, as right-hand matrices: one of the whole
// weight, or one of each gate where masks differ.
template <class T> struct Packed {
    const T *weight;
    Int groups, depth, columns;
    bool transposed;
    Buffer<T> data{groups * panels<T>(columns) * PANEL<T> * depth};

    void fill() {  // by all threads together
        const Int each = panels<T>(columns), line = transposed ? 1 : columns;
#pragma omp for
        for (Int p = 0; p < groups * each; ++p) {
            const T *from = weight + p / each * depth * columns;
            pack(data + p * PANEL<T> * depth, depth, p % each * PANEL<T>, columns, [&](Int k) {
                return Line<T>{from + k * line, transposed ? depth : 1, nullptr};
            });
        }
    }

    // Of each group, out [rows, columns] = a [rows, depth] · its matrix
    void times(const T *a, Int a_group, Int a_row, Int rows, T *out, Int out_group, Int out_row) const {
        const T *panel = data;
        for (Int g = 0; g < groups; ++g, a += a_group, out += out_group)
            for (Int j = 0; j < columns; j += PANEL<T>, panel += PANEL<T> * depth)
                tiles<T, TILE_ROWS>({a, a_row, 1}, rows, depth, panel, out + j, out_row, columns - j, false);
    }
};
