// Vectorized activations, and their derivatives as functions of the activation's value.

#pragma once

#include <cstdint>
#include <cstring>

using Int = int64_t;

template <class Real> struct Floating;
template <> struct Floating<float> {
    using Bits = uint32_t;
    static constexpr int MANTISSA = 23, BIAS = 127, TERMS = 7;
    static constexpr float LOW = -87, HIGH = 88, ROUNDER = 0x1.8p23f;
    static constexpr float LN2_HIGH = 0.693359375f, LN2_LOW = -2.12194440e-4f;
};
template <> struct Floating<double> {
    using Bits = uint64_t;
    static constexpr int MANTISSA = 52, BIAS = 1023, TERMS = 13;
    static constexpr double LOW = -708, HIGH = 709, ROUNDER = 0x1.8p52;
    static constexpr double LN2_HIGH = 6.93145751953125e-1, LN2_LOW = 1.42860682030941723212e-6;
};

constexpr double inverse_factorial(int n) { return n < 2 ? 1 : inverse_factorial(n - 1) / n; }

template <class Real, int TERM> inline Real taylor(Real r) {  // (e^r - 1) / r: the series from term TERM on
    if constexpr (TERM > Floating<Real>::TERMS) return 0;
    else return Real(inverse_factorial(TERM)) + r * taylor<Real, TERM + 1>(r);
}

// 2^n (e^r - 1) + 2^n - 1, with |r| <= ln(2) / 2: exact near 0 too; propagates nan.
template <class Real> inline Real expm1_of(Real x) {
    using F = Floating<Real>;
    x = x > F::HIGH ? F::HIGH : x;
    x = x < F::LOW ? F::LOW : x;
    const Real shifted = x * Real(1.44269504088896340736) + F::ROUNDER;  // the last bits hold n
    const Real n = shifted - F::ROUNDER, r = (x - n * F::LN2_HIGH) - n * F::LN2_LOW;
    typename F::Bits bits;
    std::memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + F::BIAS) << F::MANTISSA;
    Real power;
    std::memcpy(&power, &bits, sizeof power);
    return power * (r * taylor<Real, 1>(r)) + (power - 1);
}

template <class Real> inline Real sigmoid_of(Real x) { return 1 / (2 + expm1_of(-x)); }
template <class Real> inline Real tanh_of(Real x) {
    const Real e = expm1_of(2 * x);
    return e / (e + 2);
}

template <class Real, class F> inline void map(const Real *from, Real *to, Int n, F function) {
#pragma omp simd
    for (Int i = 0; i < n; ++i) to[i] = function(from[i]);
}

enum { TANH, SIGMOID, RELU, LINEAR, HARD_SIGMOID, ELU, SELU, SOFTSIGN, LEAKY_RELU };
constexpr double SELU_SCALE = 1.0507009873554804934193349852946;
constexpr double SELU_ALPHA = 1.6732632423543772848170429916717 * SELU_SCALE;
constexpr double LEAK = 0.2;
template <class Real> constexpr Real SIXTH = 1.0f / 6;  // rounded to float for doubles too, as in torch

template <class Real> void apply(Int kind, Real *y, Int n) {
    const auto with = [=](auto function) { map(y, y, n, function); };
    switch (kind) {
    case TANH: return with([](Real x) { return tanh_of(x); });
    case SIGMOID: return with([](Real x) { return sigmoid_of(x); });
    case RELU: return with([](Real x) { return x < 0 ? 0 : x; });
    case HARD_SIGMOID: return with([](Real x) {
        x = x < -3 ? -3 : x;
        return ((x > 3 ? 3 : x) + 3) / 6;
    });
    case ELU: return with([](Real x) { return x > 0 ? x : expm1_of(x); });
    case SELU: return with([](Real x) {
        return x > 0 ? Real(SELU_SCALE) * x : Real(SELU_ALPHA) * expm1_of(x);
    });
    case SOFTSIGN: return with([](Real x) { return x / (1 + (x < 0 ? -x : x)); });
    case LEAKY_RELU: return with([](Real x) { return x > 0 ? x : Real(LEAK) * x; });
    }
}

template <class Real> void slope(Int kind, const Real *value, Real *out, Int n) {
    const auto with = [=](auto function) { map(value, out, n, function); };
    switch (kind) {
    case TANH: return with([](Real y) { return 1 - y * y; });
    case SIGMOID: return with([](Real y) { return y - y * y; });
    case RELU: return with([](Real y) { return Real(y > 0 ? 1 : 0); });
    case LINEAR: return with([](Real) { return Real(1); });
    case HARD_SIGMOID: return with([](Real y) { return y > 0 && y < 1 ? SIXTH<Real> : Real(0); });
    case ELU: return with([](Real y) { return y > 0 ? 1 : y + 1; });
    case SELU: return with([](Real y) { return y > 0 ? Real(SELU_SCALE) : y + Real(SELU_ALPHA); });
    case SOFTSIGN: return with([](Real y) { Real left = 1 - (y < 0 ? -y : y); return left * left; });
    case LEAKY_RELU: return with([](Real y) { return Real(y > 0 ? 1 : LEAK); });
    }
}
