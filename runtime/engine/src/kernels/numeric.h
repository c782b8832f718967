/* numeric.h: the elementary functions, as branch-free float polynomials that compilers vectorise.
 *
 * They use no libm and no estimates of the machine's, and fused multiply-adds exactly where fg_fused stands, so that
 * every instruction set gives the same bits. Errors against the true value are a few units in the last place over the
 * whole range; limits, infinities and NaN are as in C. The coefficients are weighted minimax fits made for this file.
 */
#ifndef FG_NUMERIC_H
#define FG_NUMERIC_H

#include "fused.h"
#include "loops.h"

#include <float.h>
#include <stdint.h>
#include <string.h>

#define FG_INFINITY __builtin_inff()
#define FG_NAN __builtin_nanf("")

FG_INLINE_FAST uint32_t fg_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

FG_INLINE_FAST float fg_from_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

FG_INLINE_FAST float fg_abs(float x) { return fg_from_bits(fg_bits(x) & 0x7FFFFFFFu); }

FG_INLINE_FAST float fg_copysign(float size, float sign)
{
    return fg_from_bits((fg_bits(size) & 0x7FFFFFFFu) | (fg_bits(sign) & 0x80000000u));
}

/* The sign bit: -0 is negative. Comparing integers is what machines do best without a branch. */
FG_INLINE_FAST int fg_is_negative(float x) { return (int32_t)fg_bits(x) < 0; }

/* NaN if either is NaN. */
FG_INLINE_FAST float fg_min(float a, float b) { return ((a < b) | (a != a)) ? a : b; }
FG_INLINE_FAST float fg_max(float a, float b) { return ((a > b) | (a != a)) ? a : b; }

/* --- rounding: adding 2^23 leaves no room for a fraction; from there on every float is an integer --- */
FG_INLINE_FAST float fg_round(float x)
{
    float size = fg_abs(x);
    float rounded = (size + 8388608.0f) - 8388608.0f;
    return fg_copysign(size < 8388608.0f ? rounded : size, x); /* NaN keeps its payload: not below 2^23 */
}

FG_INLINE_FAST float fg_floor(float x)
{
    float rounded = fg_round(x);
    return fg_copysign(rounded > x ? rounded - 1.0f : rounded, x);
}

FG_INLINE_FAST float fg_ceil(float x)
{
    float rounded = fg_round(x);
    return fg_copysign(rounded < x ? rounded + 1.0f : rounded, x);
}

FG_INLINE_FAST float fg_trunc(float x)
{
    float size = fg_abs(x), rounded = fg_round(size);
    return fg_copysign(rounded > size ? rounded - 1.0f : rounded, x);
}

/* p with every coefficient: p = p * x + coefficient, fused. */
#define FG_HORNER(p, x, coefficient) p = fg_fused(p, x, coefficient)

/* --- quotient --- */
/* a / d for d from 1 to 2^125, to 1.6 units in the last place (1 / d: 0.54), in less time than a division takes. The
 * bits of a float grow like its logarithm, so a constant less those of d is 1 / d to 6 % (machines have better
 * estimates, each its own). With constants fitted together one step makes that 0.0013, and the last one, of third
 * order, 2.2e-9. */
FG_INLINE_FAST float fg_quotient(float a, float d)
{
    float y = fg_from_bits(0x7EF32000u - fg_bits(d));
    y *= fg_fused(-d, y, 2.0013f);
    float miss = fg_fused(-d, y, 1.0f), quotient = a * y;
    return fg_fused(quotient, fg_fused(miss, miss, miss), quotient);
}

/* --- exponential --- */
FG_INLINE_FAST float fg_power_of_two(int32_t n) { return fg_from_bits((uint32_t)(n + 127) << 23); }

/* 1.5 * 2^23: a sum with it has no room for a fraction, and an integer in its low bits. */
#define FG_EXP_MAGIC 12582912.0f

/* x - n ln 2, for the n next to x / ln 2: -0.347 to 0.347. shifted is magic + n. */
FG_INLINE_FAST float fg_exp_rest(float x, float magic, float *shifted)
{
    *shifted = fg_fused(x, 1.44269504f, magic);
    float n = *shifted - magic;
    return fg_fused(n, 1.90465429e-9f, fg_fused(n, -0.693147182f, x)); /* ln 2 in two parts */
}

/* e^r - 1 for such a rest. Not one chain: cores that issue in order would wait for every link. */
FG_INLINE_FAST float fg_exp_fraction(float r)
{
    float square = r * r;
    float low = fg_fused(1.666651486e-01f, r, 4.999999306e-01f);
    float high = fg_fused(8.369410883e-03f, r, 4.166845600e-02f);
    high = fg_fused(1.381316125e-03f, square, high);
    return fg_fused(fg_fused(high, square, low), square, r);
}

/* e^(x + tail), where tail is small. */
FG_INLINE_FAST float fg_exp_parts(float x, float tail)
{
    float clamped = -104.0f > x ? -104.0f : x; /* e^-104 is 0, e^89 infinite */
    clamped = 89.0f < clamped ? 89.0f : clamped;
    float shifted, rest = fg_exp_rest(clamped, FG_EXP_MAGIC, &shifted);
    int32_t power = (int32_t)(fg_bits(shifted) - fg_bits(FG_EXP_MAGIC));
    int32_t half = power >> 1; /* 2^128 and 2^-149 are no normal floats: scale in two steps */
    return (1.0f + fg_exp_fraction(rest + tail)) * fg_power_of_two(half) * fg_power_of_two(power - half);
}

FG_INLINE_FAST float fg_exp(float x) { return fg_exp_parts(x, 0.0f); }

/* e^-|x|: without overflow to care about, half the work. Below 2^-126.5 it is 0; of NaN too, which callers see to.
 * Integers compare in one instruction everywhere. */
FG_INLINE_FAST float fg_exp_decay(float x)
{
    const float magic = FG_EXP_MAGIC + 127.0f; /* the sum's low bits are 2^n's exponent; 2^-127 becomes 0 */
    const uint32_t bits = fg_bits(x) | 0x80000000u, limit = 0xC2B00000u; /* -88 */
    float shifted, rest = fg_exp_rest(fg_from_bits(bits < limit ? bits : limit), magic, &shifted);
    float scale = fg_from_bits(fg_bits(shifted) << 23);
    return fg_fused(fg_exp_fraction(rest), scale, scale);
}

/* e^x - 1 */
FG_INLINE_FAST float fg_expm1(float x)
{
    float clamped = -30.0f > x ? -30.0f : x;
    clamped = 89.0f < clamped ? 89.0f : clamped;
    float shifted, rest = fg_exp_rest(clamped, FG_EXP_MAGIC, &shifted), fraction = fg_exp_fraction(rest);
    int32_t power = (int32_t)(fg_bits(shifted) - fg_bits(FG_EXP_MAGIC)), half = power >> 1;
    float low = fg_power_of_two(half), high = fg_power_of_two(power - half);
    float scale = low * high;
    float small = fg_fused(scale, fraction, scale - 1.0f); /* no cancellation near 0 */
    float large = (1.0f + fraction) * low * high - 1.0f;   /* no infinity too early */
    float result = power < 2 ? small : large;
    return x == 0.0f ? x : result; /* keeps -0 */
}

/* --- logarithm --- */
/* Of x * 2^power with x positive, normal and finite. */
FG_INLINE_FAST float fg_log_parts(float x, int32_t power)
{
    uint32_t bits = fg_bits(x) - 0x3F3504F3u; /* mantissa from sqrt(1/2) to sqrt(2), so that f below is small */
    float f = fg_from_bits((bits & 0x007FFFFFu) + 0x3F3504F3u) - 1.0f;
    float n = (float)(((int32_t)bits >> 23) + power);
    float p = -7.646105803e-02f;
    FG_HORNER(p, f, 1.277912037e-01f);
    FG_HORNER(p, f, -1.316418803e-01f);
    FG_HORNER(p, f, 1.419969506e-01f);
    FG_HORNER(p, f, -1.662276467e-01f);
    FG_HORNER(p, f, 2.000129272e-01f);
    FG_HORNER(p, f, -2.500083797e-01f);
    FG_HORNER(p, f, 3.333333120e-01f);
    float square = f * f;
    float curve = fg_fused(f * square, p, fg_fused(n, -2.12194440e-4f, -0.5f * square)); /* ln 2 in two parts, */
    return fg_fused(n, 0.693359375f, f + curve);                                         /* one with few bits */
}

FG_INLINE_FAST float fg_log(float x)
{
    int32_t tiny = x < FLT_MIN;
    float result = fg_log_parts(tiny ? x * 8388608.0f : x, tiny ? -23 : 0);
    result = x == FG_INFINITY ? x : result;
    result = x == 0.0f ? -FG_INFINITY : result;
    return x >= 0.0f ? result : FG_NAN;
}

/* ln(1 + u) for u in 0 to 1: the rounding of 1 + u is known and put back. */
FG_INLINE_FAST float fg_log1p_unit(float u)
{
    float sum = 1.0f + u;
    return fg_log_parts(sum, 0) + fg_quotient(u - (sum - 1.0f), sum);
}

/* --- sigmoid family: e^-|x| never overflows, and no form below cancels --- */
/* x sigmoid(u), where u is NaN only if x is. */
FG_INLINE_FAST float fg_swish(float x, float u)
{
    float e = fg_exp_decay(u);
    return fg_quotient(fg_is_negative(u) ? x * e : x, 1.0f + e);
}

FG_INLINE_FAST float fg_sigmoid(float x) { return fg_swish(x != x ? x : 1.0f, x); }

/* x / (1 + e^-x), for what detectors spend a quarter of a frame in: no sign to look at, and a polynomial shorter by one
 * than fg_exp_fraction's. Below -87, where e^x is no normal float any more, x counts as -87. */
FG_INLINE_FAST float fg_silu(float x)
{
    const float magic = FG_EXP_MAGIC + 127.0f;
    float above = x < -87.0f ? -87.0f : x, capped = above > 87.0f ? 87.0f : above;
    float shifted = fg_fused(capped, -1.44269504f, magic), n = shifted - magic;
    float r = fg_fused(n, -1.90465429e-9f, fg_fused(n, 0.693147182f, capped)); /* -x = n ln 2 - r */
    float square = r * r, scale = fg_from_bits(fg_bits(shifted) << 23);
    float low = fg_fused(-1.666711569e-01f, r, 4.999923110e-01f);
    float high = fg_fused(-8.312467486e-03f, r, 4.189025611e-02f);
    low = fg_fused(high, square, low);
    r = fg_fused(-low, square, r); /* 1 - e^-r */
    return fg_quotient(above, 1.0f + fg_fused(-r, scale, scale));
}

FG_INLINE_FAST float fg_softplus(float x) { return (x < 0.0f ? 0.0f : x) + fg_log1p_unit(fg_exp_decay(x)); }

/* tanh(ln(1 + e^x)) = (e^2 + 2e) / (e^2 + 2e + 2), e = e^x; for x > 0 divided by e^2. */
FG_INLINE_FAST float fg_mish(float x)
{
    float e = fg_exp_decay(x);
    float above = fg_is_negative(x) ? e * (e + 2.0f) : fg_fused(2.0f, e, 1.0f);
    float rest = fg_is_negative(x) ? 2.0f : 2.0f * e * e;
    return x * fg_quotient(above, above + rest);
}

FG_INLINE_FAST float fg_tanh(float x)
{
    float square = x * x, p = -5.704984158e-03f;
    FG_HORNER(p, square, 2.063908470e-02f);
    FG_HORNER(p, square, -5.373971430e-02f);
    FG_HORNER(p, square, 1.333144219e-01f);
    FG_HORNER(p, square, -3.333328194e-01f);
    float small = fg_fused(x, square * p, x); /* NaN keeps to this branch */
    float e = fg_exp_decay(x + x);
    float large = 1.0f - fg_quotient(e + e, 1.0f + e);
    return fg_copysign(fg_abs(x) >= 0.625f ? large : small, x);
}

/* --- error function --- */
/* 1 - erf(t) for t >= 0.49, as e^(-t^2) times a polynomial in s = 2 / (2 + t). */
FG_INLINE_FAST float fg_erfc_tail(float t)
{
    float capped = t < 10.3f ? t : 10.3f;                     /* from there on it is 0; NaN: the caller keeps it */
    float head = fg_from_bits(fg_bits(capped) & 0xFFFFF000u); /* its square is exact */
    float s = fg_quotient(2.0f, 2.0f + capped);
    float p = -6.124522925e-02f;
    FG_HORNER(p, s, 2.962328176e-01f);
    FG_HORNER(p, s, -5.118764075e-01f);
    FG_HORNER(p, s, 3.056082970e-01f);
    FG_HORNER(p, s, -4.451902788e-02f);
    FG_HORNER(p, s, 2.096439404e-01f);
    FG_HORNER(p, s, 2.415206900e-01f);
    FG_HORNER(p, s, 2.825681628e-01f);
    FG_HORNER(p, s, 2.820767800e-01f);
    return fg_exp_parts(-(head * head), (head - capped) * (head + capped)) * (p * s);
}

FG_INLINE_FAST float fg_erf_small(float x) /* |x| <= 1 */
{
    float square = x * x;
    float p = 7.898691592e-05f;
    FG_HORNER(p, square, -8.024817707e-04f);
    FG_HORNER(p, square, 5.190162391e-03f);
    FG_HORNER(p, square, -2.685491602e-02f);
    FG_HORNER(p, square, 1.128361737e-01f);
    FG_HORNER(p, square, -3.761262982e-01f);
    return fg_fused(x, 1.128379167f, x * (square * p));
}

FG_INLINE_FAST float fg_erf(float x)
{
    float size = fg_abs(x);
    float large = 1.0f - fg_erfc_tail(size);
    return fg_copysign(size > 1.0f ? large : fg_erf_small(x), x);
}

/* x (1 + erf(x / sqrt 2)) / 2, accurate in the negative tail too. */
FG_INLINE_FAST float fg_gelu(float x)
{
    float z = x * 0.707106781f, size = fg_abs(z);
    float tail = fg_erfc_tail(size);
    float factor = size > 0.5f ? (z < 0.0f ? tail : 2.0f - tail) : 1.0f + fg_erf_small(z);
    return 0.5f * x * factor;
}

FG_INLINE_FAST float fg_gelu_tanh(float x)
{
    float u = 1.59576912f * fg_fused(0.044715f, x * x * x, x); /* (1 + tanh(u / 2)) / 2 is the sigmoid of u */
    return fg_swish(x, u);
}

/* --- powers and remainders: in double, where a float would lose digits --- */
FG_INLINE_FAST double fg_trunc_double(double x)
{
    double size = x < 0.0 ? -x : x;
    double rounded = (size + 4503599627370496.0) - 4503599627370496.0;
    rounded = rounded > size ? rounded - 1.0 : rounded;
    rounded = size < 4503599627370496.0 ? rounded : size;
    return x < 0.0 ? -rounded : rounded;
}

FG_INLINE_FAST double fg_log_double(float x) /* of a positive, normal, finite x; error below 1e-11 */
{
    uint32_t bits = fg_bits(x) - 0x3F3504F3u;
    int32_t power = (int32_t)bits >> 23;
    double m = (double)fg_from_bits((bits & 0x007FFFFFu) + 0x3F3504F3u);
    double s = (m - 1.0) / (m + 1.0), square = s * s;
    double p = 1.0 / 13.0; /* ln m = 2 artanh s */
    p = p * square + 1.0 / 11.0;
    p = p * square + 1.0 / 9.0;
    p = p * square + 1.0 / 7.0;
    p = p * square + 1.0 / 5.0;
    p = p * square + 1.0 / 3.0;
    return (double)power * 0.693147180559945309 + 2.0 * (s + s * square * p);
}

/* x^y as C's pow. */
static inline float fg_pow(float x, float y)
{
    float size = fg_abs(x);
    uint32_t tiny = size < FLT_MIN;
    double product = (double)y * (fg_log_double(tiny ? size * 8388608.0f : size) - (tiny ? 15.942385152878742 : 0.0));
    product = product < -200.0 ? -200.0 : product;
    product = product > 200.0 ? 200.0 : product;
    float head = (float)product;
    float result = fg_exp_parts(head, (float)(product - (double)head));
    float y_size = fg_abs(y), half = 0.5f * y;
    uint32_t whole = fg_trunc(y) == y;
    uint32_t odd = whole & (fg_trunc(half) != half);
    /* 0 and infinity have no logarithm: their power is 0 or infinity by the sign of y */
    uint32_t falling = (size < 1.0f) != (y < 0.0f);
    result = (size == 0.0f) | (size == FG_INFINITY) | ((y_size == FG_INFINITY) & (size != 1.0f))
                 ? (falling ? 0.0f : FG_INFINITY)
                 : result;
    result = ((size == 1.0f) & (y_size == FG_INFINITY)) ? 1.0f : result;
    result = ((x < 0.0f) & !whole & (size != FG_INFINITY)) ? FG_NAN : result;
    result = odd ? fg_copysign(result, x) : result;
    result = ((x != x) | (y != y)) ? x + y : result;
    return ((x == 1.0f) | (y == 0.0f)) ? 1.0f : result;
}

/* Remainder with the sign of a, exact while |a / b| < 2^29. */
static inline float fg_fmod(float a, float b)
{
    double quotient = fg_trunc_double((double)a / (double)b);
    float rest = (float)((double)a - quotient * (double)b);
    const float a_size = fg_abs(a), b_size = fg_abs(b);
    rest = ((b_size == FG_INFINITY) & (a_size < FG_INFINITY)) ? a : rest;
    return fg_copysign(rest, a);
}

/* Remainder with the sign of b. */
static inline float fg_mod(float a, float b)
{
    float rest = fg_fmod(a, b);
    float moved = (rest < 0.0f) != (b < 0.0f) ? rest + b : rest;
    return rest == 0.0f ? fg_copysign(rest, b) : moved;
}

#endif
