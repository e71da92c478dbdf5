// Passes over rows of numbers.

#pragma once

#include <algorithm>

#include "products.h"

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

template <bool WRITE, class T> void prefetch(const T *row, Int n) {
    for (Int i = 0; i < n; i += 64 / sizeof(T)) __builtin_prefetch(row + i, WRITE);
}
