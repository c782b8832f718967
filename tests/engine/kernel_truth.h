/* kernel_truth.h: what the scalar twins should compute, in double and libm. */
#ifndef FG_TESTS_KERNEL_TRUTH_H
#define FG_TESTS_KERNEL_TRUTH_H

#include "kernels/kernels.h"

#include <float.h>
#include <math.h>

static double truth_sigmoid(double x) { return 1.0 / (1.0 + exp(-x)); }

/* fg_silu goes to its limit. */
static double truth_silu(double p, double x) { return p == 1.0 && x == -INFINITY ? 0.0 : x * truth_sigmoid(p * x); }

static double truth_activation_value(uint32_t kind, double p, double q, double x)
{
    /* clang-format off */
    switch (kind) {
    case FG_ACT_RELU: return x < 0 ? 0 : x;
    case FG_ACT_CLIP: return x < p ? p : x > q ? q : x;
    case FG_ACT_LEAKY_RELU: return x < 0 ? p * x : x;
    case FG_ACT_SIGMOID: return truth_sigmoid(x);
    case FG_ACT_SILU: return truth_silu(p, x);
    case FG_ACT_HARD_SIGMOID: return truth_activation_value(FG_ACT_CLIP, 0, 1, p * x + q);
    case FG_ACT_HARD_SWISH: return x * truth_activation_value(FG_ACT_CLIP, 0, 1, p * x + q);
    case FG_ACT_TANH: return tanh(x);
    case FG_ACT_GELU: return 0.5 * x * erfc(-x / sqrt(2.0));
    case FG_ACT_GELU_TANH: return x * truth_sigmoid(2.0 * sqrt(2.0 / acos(-1.0)) * (x + 0.044715 * x * x * x));
    case FG_ACT_ERF: return erf(x);
    case FG_ACT_ELU: return x < 0 ? p * expm1(x) : x;
    case FG_ACT_SELU: return q * (x < 0 ? p * expm1(x) : x);
    case FG_ACT_MISH: return x * tanh((x > 0 ? x : 0) + log1p(exp(-fabs(x))));
    case FG_ACT_SOFTPLUS: return (x > 0 ? x : x != x ? x : 0) + log1p(exp(-fabs(x)));
    case FG_ACT_SOFTSIGN: return x / (1.0 + fabs(x));
    case FG_ACT_EXP: return exp(x);
    case FG_ACT_LOG: return log(x);
    case FG_ACT_SQRT: return sqrt(x);
    case FG_ACT_RECIPROCAL: return 1.0 / x;
    case FG_ACT_FLOOR: return floor(x);
    case FG_ACT_CEIL: return ceil(x);
    case FG_ACT_ROUND: return nearbyint(x);
    case FG_ACT_ABS: return fabs(x);
    case FG_ACT_NEG: return -x;
    case FG_ACT_SIGN: return x > 0 ? 1 : x < 0 ? -1 : x;
    case FG_ACT_TRUNC: return trunc(x);
    case FG_ACT_NOT: return x == 0;
    case FG_ACT_POW: return pow(x, p);
    case FG_ACT_SQUARE: return x * x;
    case FG_ACT_AFFINE: return p * x + q;
    case FG_ACT_CELU: return x < 0 ? p * expm1(x / p) : x;
    case FG_ACT_THRESHOLD: return x > p ? x : 0;
    case FG_ACT_BOOL: return x != 0;
    default: return x;
    }
    /* clang-format on */
}

/* Units in the last place that a result may be off; size is what one unit is taken of, at least: where a formula
 * cancels or its argument is itself rounded (the far tails of gelu), errors are relative to the input instead. */
static double activation_tolerance(uint32_t kind, double x, double *size)
{
    /* clang-format off */
    switch (kind) {
    case FG_ACT_GELU:
        *size = 1e-2 * fabs(x);
        return 8;
    case FG_ACT_GELU_TANH: /* three roundings of the sigmoid's argument count |u| <= 4 times each down to 1e-2 |x| */
        *size = 1e-2 * fabs(x);
        return 12;
    case FG_ACT_HARD_SIGMOID:
    case FG_ACT_HARD_SWISH:
    case FG_ACT_AFFINE: *size = fabs(x) + 1; return 4;
    case FG_ACT_CELU: return 5;
    case FG_ACT_SIGMOID:
    case FG_ACT_SILU:
    case FG_ACT_MISH:
    case FG_ACT_SOFTPLUS: *size = 0x1p-98; return 5; /* e^x counts as 0 where it is subnormal */
    case FG_ACT_ELU:
    case FG_ACT_SELU:
    case FG_ACT_TANH:
    case FG_ACT_ERF: return 4;
    case FG_ACT_EXP:
    case FG_ACT_LOG: return 3;
    case FG_ACT_POW: return 4;
    case FG_ACT_SOFTSIGN: return 2;
    default: return 0.5001; /* one correctly rounded operation */
    }
    /* clang-format on */
}

static double truth_binary(uint32_t kind, double a, double b)
{
    /* clang-format off */
    switch (kind) {
    case FG_BINARY_ADD: return a + b;
    case FG_BINARY_SUB: return a - b;
    case FG_BINARY_MUL: return a * b;
    case FG_BINARY_DIV: return a / b;
    case FG_BINARY_MIN: return a < b || a != a ? a : b;
    case FG_BINARY_MAX: return a > b || a != a ? a : b;
    case FG_BINARY_POW: return pow(a, b);
    case FG_BINARY_EQUAL: return a == b;
    case FG_BINARY_LESS: return a < b;
    case FG_BINARY_LESS_EQUAL: return a <= b;
    case FG_BINARY_GREATER: return a > b;
    case FG_BINARY_GREATER_EQUAL: return a >= b;
    case FG_BINARY_AND: return a != 0 && b != 0;
    case FG_BINARY_OR: return a != 0 || b != 0;
    case FG_BINARY_XOR: return (a != 0) != (b != 0);
    case FG_BINARY_PRELU: return a < 0 ? a * b : a;
    case FG_BINARY_FMOD: return fmod(a, b);
    default: { /* mod: the sign of b */
        const double rest = fmod(a, b);
        return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
    }
        /* clang-format on */
    }
}

/* 1 where got is truth to within ulps units of max(|truth|, size); infinities from rounding up and results below the
 * normal range may differ by what a float cannot tell. */
static int near_truth(float got, double truth, double ulps, double size)
{
    if (truth != truth) return got != got;
    if (got != got) return 0;
    const double limit = (double)FLT_MAX * (1 + 0x1p-25);
    if (fabs(truth) > limit) return fabs((double)got) >= FLT_MAX * (1 - ulps * 0x1p-23) && (got > 0) == (truth > 0);
    if (isinf(got)) return fabs(truth) >= FLT_MAX * (1 - ulps * 0x1p-23) && (got > 0) == (truth > 0);
    size = fmax(fabs(truth), fmax(size, (double)FLT_MIN));
    int exponent;
    frexp(size, &exponent);
    return fabs((double)got - truth) <= ulps * ldexp(1.0, exponent - 24);
}

#endif
