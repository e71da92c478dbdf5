// Pairs of bfloat16 numbers, whose products are summed in float32 by one instruction of processors with
// AVX512-BF16. A pair holds two numbers of adjacent depth: of a row, or of one column in adjacent rows.

#pragma once

#include <algorithm>
#include <cstdint>

using Int = int64_t;

struct Pair { uint32_t bits; };
template <class Item> constexpr Int NUMBERS = 1;  // of an item
template <> inline constexpr Int NUMBERS<Pair> = 2;
template <class Item> Int items(Int numbers) { return (numbers + NUMBERS<Item> - 1) / NUMBERS<Item>; }

#if defined(__AVX512BF16__) && defined(__AVX512BW__)
#define HAS_BF16 1
#include <immintrin.h>

inline __mmask16 first_lanes(Int n) { return n >= 16 ? 0xffff : (1u << std::max<Int>(n, 0)) - 1; }

// Round n numbers, times factors unless null, to pairs of adjacent ones; after an odd one follows zero.
inline void scaled(const float *from, const float *factors, Int n, Pair *to) {
    for (Int j = 0; j < n; j += 32, to += 16) {
        __m512 half[2];
        for (Int h = 0; h < 2; ++h) {
            const Int at = j + 16 * h;
            const __mmask16 lanes = first_lanes(n - at);
            half[h] = _mm512_maskz_loadu_ps(lanes, from + at);
            if (factors) half[h] = _mm512_mul_ps(half[h], _mm512_maskz_loadu_ps(lanes, factors + at));
        }
        const __m512i pairs = (__m512i)_mm512_cvtne2ps_pbh(half[1], half[0]);
        _mm512_mask_storeu_epi32(to, first_lanes((n - j + 1) / 2), pairs);
    }
}

// Round numbers of two rows, null: zeros, to WIDTH pairs of which the first n are not zero.
template <Int WIDTH> inline void interleave(const float *low, const float *high, Int n, Pair *to) {
    alignas(64) static constexpr uint16_t ORDER[32] = {0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23,
                                                       8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    for (Int j = 0; j < WIDTH; j += 16) {
        const __m512 first = _mm512_maskz_loadu_ps(low ? first_lanes(n - j) : 0, low + j);
        const __m512 second = _mm512_maskz_loadu_ps(high ? first_lanes(n - j) : 0, high + j);
        const __m512i halves = (__m512i)_mm512_cvtne2ps_pbh(second, first);
        const __m512i pairs = _mm512_permutexvar_epi16(_mm512_load_si512(ORDER), halves);
        _mm512_mask_storeu_epi32(to + j, first_lanes(WIDTH - j), pairs);
    }
}

template <class V> inline V multiply_add(V sum, Pair a, const Pair *row) {
    const __m512bh pairs = (__m512bh)_mm512_loadu_si512(row);
    return (V)_mm512_dpbf16_ps((__m512)sum, (__m512bh)_mm512_set1_epi32(a.bits), pairs);
}
#else
#define HAS_BF16 0
#endif
