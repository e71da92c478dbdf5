// Arguments of a convolutional block, and data that its threads share.

#pragma once

#include <vector>

#include "bf16.h"

enum { NO_NORM, RUNNING, BATCH };  // kinds of batch-norm statistics

// Mirrored in ops/conv.py; B texts, T steps, D inputs, F filters of W tokens, P pooling windows.
template <class Real> struct ConvArgs {
    Int stats, bf16, threads, texts, steps, inputs, filters, width, pool, relu;
    double epsilon;              // added to the variance
    const Int *lengths;          // [B]
    const Real *x;                  // [B, T, D]
    const Real *weight, *bias;      // [F, D, W], [F]
    const Real *scale, *shift;      // [F], or null: no batch norm
    Real *mean, *variance;          // [F] of the values, or null; written if BATCH
    Real *values;                   // [B, T, F], after ReLU
    Real *pooled;                   // [B, P, F]; zeros in windows without tokens
    const Real *gradient;           // [B, P, F]; from here on, backward only
    Real *d_values;                 // [B, T, F], workspace
    Real *d_x;                      // [B, T, D], or null
    Real *d_weight, *d_bias;        // as the weights
    Real *d_scale, *d_shift;
};

template <class Real> struct Shared {  // data of all threads
    const ConvArgs<Real> &c;
    std::vector<double> totals = std::vector<double>(c.threads * c.filters);
    std::vector<const Real *> d_weight = std::vector<const Real *>(c.threads);  // [F, W, D] per thread
};
