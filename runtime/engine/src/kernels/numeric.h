/* numeric.h: the elementary functions, as branch-free float polynomials that compilers vectorise.
 *
 * They use no libm and no fused multiply-adds, so that every instruction set gives the same bits. Errors against the
 * true value are a few units in the last place over the whole range; limits, infinities and NaN are as in C. The
 * coefficients are weighted minimax fits made for this file. */
#ifndef FG_NUMERIC_H
#define FG_NUMERIC_H

#include <float.h>
#include <stdint.h>
#include <string.h>

#define FG_INFINITY __builtin_inff()
#define FG_NAN __builtin_nanf("")

static inline uint32_t fg_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float fg_from_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline float fg_abs(float x) { return fg_from_bits(fg_bits(x) & 0x7FFFFFFFu); }

static inline float fg_copysign(float size, float sign)
{
    return fg_from_bits((fg_bits(size) & 0x7FFFFFFFu) | (fg_bits(sign) & 0x80000000u));
}

/* NaN if either is NaN. */
static inline float fg_min(float a, float b) { return ((a < b) | (a != a)) ? a : b; }
static inline float fg_max(float a, float b) { return ((a > b) | (a != a)) ? a : b; }

/* --- rounding: adding 2^23 leaves no room for a fraction; from there on every float is an integer --- */
static inline float fg_round(float x)
{
    float size = fg_abs(x);
    float rounded = (size + 8388608.0f) - 8388608.0f;
    return fg_copysign(size < 8388608.0f ? rounded : size, x); /* NaN keeps its payload: not below 2^23 */
}

static inline float fg_floor(float x)
{
    float rounded = fg_round(x);
    return fg_copysign(rounded > x ? rounded - 1.0f : rounded, x);
}

static inline float fg_ceil(float x)
{
    float rounded = fg_round(x);
    return fg_copysign(rounded < x ? rounded + 1.0f : rounded, x);
}

static inline float fg_trunc(float x)
{
    float size = fg_abs(x), rounded = fg_round(size);
    return fg_copysign(rounded > size ? rounded - 1.0f : rounded, x);
}

/* --- exponential --- */
typedef struct fg_reduced { /* e^x = 2^power (1 + fraction), fraction in (-0.3, 0.42) */
    int32_t power;
    float fraction;
} fg_reduced;

/* Of x + tail, where x lies in -104 to 89 and tail is small. */
static inline fg_reduced fg_exp_reduce(float x, float tail)
{
    const float magic = 12582912.0f; /* 1.5 * 2^23: the sum's low bits are the rounded integer */
    float shifted = x * 1.44269504f + magic;
    float n = shifted - magic;
    float r = x - n * 0.693359375f + (n * 2.12194440e-4f + tail); /* ln 2 in two parts, the first with few bits */
    float p = 1.381316125e-03f;
    p = p * r + 8.369410883e-03f;
    p = p * r + 4.166845600e-02f;
    p = p * r + 1.666651486e-01f;
    p = p * r + 4.999999306e-01f;
    fg_reduced reduced = {(int32_t)(fg_bits(shifted) - fg_bits(magic)), r + r * r * p};
    return reduced;
}

static inline float fg_power_of_two(int32_t n) { return fg_from_bits((uint32_t)(n + 127) << 23); }

static inline float fg_exp_parts(float x, float tail)
{
    float clamped = -104.0f > x ? -104.0f : x; /* e^-104 is 0, e^89 infinite */
    clamped = 89.0f < clamped ? 89.0f : clamped;
    fg_reduced reduced = fg_exp_reduce(clamped, tail);
    int32_t half = reduced.power >> 1; /* 2^128 and 2^-149 are no normal floats: scale in two steps */
    return (1.0f + reduced.fraction) * fg_power_of_two(half) * fg_power_of_two(reduced.power - half);
}

static inline float fg_exp(float x) { return fg_exp_parts(x, 0.0f); }

/* e^-x for x >= 0: with no overflow to care about, half the work. Below 2^-126.5 it is 0. */
static inline float fg_exp_decay(float x)
{
    fg_reduced reduced = fg_exp_reduce(-(88.0f < x ? 88.0f : x), 0.0f);
    return (1.0f + reduced.fraction) * fg_power_of_two(reduced.power); /* at power -127 the bits are those of 0 */
}

/* e^x - 1 */
static inline float fg_expm1(float x)
{
    float clamped = -30.0f > x ? -30.0f : x;
    clamped = 89.0f < clamped ? 89.0f : clamped;
    fg_reduced reduced = fg_exp_reduce(clamped, 0.0f);
    int32_t half = reduced.power >> 1;
    float low = fg_power_of_two(half), high = fg_power_of_two(reduced.power - half);
    float scale = low * high;
    float small = scale * reduced.fraction + (scale - 1.0f);     /* no cancellation near 0 */
    float large = (1.0f + reduced.fraction) * low * high - 1.0f; /* no infinity too early */
    float result = reduced.power < 2 ? small : large;
    return x == 0.0f ? x : result; /* keeps -0 */
}

/* --- logarithm --- */
/* Of x * 2^power with x positive, normal and finite. */
static inline float fg_log_parts(float x, int32_t power)
{
    uint32_t bits = fg_bits(x) - 0x3F3504F3u; /* mantissa from sqrt(1/2) to sqrt(2), so that f below is small */
    float f = fg_from_bits((bits & 0x007FFFFFu) + 0x3F3504F3u) - 1.0f;
    float n = (float)(((int32_t)bits >> 23) + power);
    float p = -7.646105803e-02f;
    p = p * f + 1.277912037e-01f;
    p = p * f + -1.316418803e-01f;
    p = p * f + 1.419969506e-01f;
    p = p * f + -1.662276467e-01f;
    p = p * f + 2.000129272e-01f;
    p = p * f + -2.500083797e-01f;
    p = p * f + 3.333333120e-01f;
    float square = f * f;
    return f - (0.5f * square - (f * square * p + n * -2.12194440e-4f)) + n * 0.693359375f;
}

static inline float fg_log(float x)
{
    int32_t tiny = x < FLT_MIN;
    float result = fg_log_parts(tiny ? x * 8388608.0f : x, tiny ? -23 : 0);
    result = x == FG_INFINITY ? x : result;
    result = x == 0.0f ? -FG_INFINITY : result;
    return x >= 0.0f ? result : FG_NAN;
}

/* ln(1 + u) for u in 0 to 1: the rounding of 1 + u is known and put back. */
static inline float fg_log1p_unit(float u)
{
    float sum = 1.0f + u;
    return fg_log_parts(sum, 0) + (u - (sum - 1.0f)) / sum;
}

/* --- sigmoid family: e^-|x| never overflows, and no form below cancels --- */
static inline float fg_sigmoid(float x)
{
    float e = fg_exp_decay(fg_abs(x));
    return (x < 0.0f ? e : 1.0f) / (1.0f + e);
}

static inline float fg_softplus(float x) { return (x < 0.0f ? 0.0f : x) + fg_log1p_unit(fg_exp_decay(fg_abs(x))); }

/* tanh(ln(1 + e^x)) = (e^2 + 2e) / (e^2 + 2e + 2), e = e^x; for x > 0 divided by e^2. */
static inline float fg_mish(float x)
{
    float e = fg_exp_decay(fg_abs(x));
    float low = e * (e + 2.0f), high = 1.0f + 2.0f * e;
    float ratio = x < 0.0f ? low / (low + 2.0f) : high / (high + 2.0f * e * e);
    return x * ratio;
}

static inline float fg_tanh(float x)
{
    float size = fg_abs(x), square = x * x;
    float p = -5.704984158e-03f;
    p = p * square + 2.063908470e-02f;
    p = p * square + -5.373971430e-02f;
    p = p * square + 1.333144219e-01f;
    p = p * square + -3.333328194e-01f;
    float small = x + x * (square * p);
    float e = fg_exp_decay(size + size);
    float large = 1.0f - 2.0f * e / (1.0f + e);
    return size < 0.625f ? small : fg_copysign(large, x);
}

/* --- error function --- */
/* 1 - erf(t) for t >= 0.49, as e^(-t^2) times a polynomial in s = 2 / (2 + t). */
static inline float fg_erfc_tail(float t)
{
    float capped = t < 10.3f ? t : 10.3f;                     /* from there on it is 0; NaN: the caller keeps it */
    float head = fg_from_bits(fg_bits(capped) & 0xFFFFF000u); /* its square is exact */
    float s = 2.0f / (2.0f + capped);
    float p = -6.124522925e-02f;
    p = p * s + 2.962328176e-01f;
    p = p * s + -5.118764075e-01f;
    p = p * s + 3.056082970e-01f;
    p = p * s + -4.451902788e-02f;
    p = p * s + 2.096439404e-01f;
    p = p * s + 2.415206900e-01f;
    p = p * s + 2.825681628e-01f;
    p = p * s + 2.820767800e-01f;
    return fg_exp_parts(-(head * head), (head - capped) * (head + capped)) * (p * s);
}

static inline float fg_erf_small(float x) /* |x| <= 1 */
{
    float square = x * x;
    float p = 7.898691592e-05f;
    p = p * square + -8.024817707e-04f;
    p = p * square + 5.190162391e-03f;
    p = p * square + -2.685491602e-02f;
    p = p * square + 1.128361737e-01f;
    p = p * square + -3.761262982e-01f;
    return x * 1.128379167f + x * (square * p);
}

static inline float fg_erf(float x)
{
    float size = fg_abs(x);
    float large = fg_copysign(1.0f - fg_erfc_tail(size), x);
    return size > 1.0f ? large : fg_erf_small(x);
}

/* x (1 + erf(x / sqrt 2)) / 2, accurate in the negative tail too. */
static inline float fg_gelu(float x)
{
    float z = x * 0.707106781f, size = fg_abs(z);
    float tail = fg_erfc_tail(size);
    float factor = size > 0.5f ? (z < 0.0f ? tail : 2.0f - tail) : 1.0f + fg_erf_small(z);
    return 0.5f * x * factor;
}

static inline float fg_gelu_tanh(float x)
{
    float u = 1.59576912f * (x + 0.044715f * (x * x * x)); /* (1 + tanh(u / 2)) / 2 is the sigmoid of u */
    return x * fg_sigmoid(u);
}

/* --- powers and remainders: in double, where a float would lose digits --- */
static inline double fg_trunc_double(double x)
{
    double size = x < 0.0 ? -x : x;
    double rounded = (size + 4503599627370496.0) - 4503599627370496.0;
    rounded = rounded > size ? rounded - 1.0 : rounded;
    rounded = size < 4503599627370496.0 ? rounded : size;
    return x < 0.0 ? -rounded : rounded;
}

static inline double fg_log_double(float x) /* of a positive, normal, finite x; error below 1e-11 */
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
