/* fused.h: one fused multiply-add, also where the machine has none. */
#ifndef FG_FUSED_H
#define FG_FUSED_H

#include <stdint.h>
#include <string.h>

/* a * b + c, rounded once. */
static inline float fg_fused(float a, float b, float c)
{
#if defined(__FP_FAST_FMAF) || defined(__FMA__)
    return __builtin_fmaf(a, b, c);
#else
    /* The product of two floats is exact in double. Their sum is rounded to odd: where anything was lost the last bit
     * is set, which keeps the second rounding, to float, on the right side of every tie. No libm, and it vectorises. */
    double product = (double)a * (double)b, addend = (double)c;
    double sum = product + addend;
    double moved = sum - product;
    double lost = (product - (sum - moved)) + (addend - moved);
    uint64_t bits;
    memcpy(&bits, &sum, sizeof bits);
    uint64_t even = ~bits & 1u;
    uint64_t towards_zero = (lost < 0.0) != (sum < 0.0); /* the exact sum is smaller in size than the rounded one */
    uint64_t inexact = (lost < 0.0) | (lost > 0.0);      /* NaN, from an infinity: nothing to mend */
    bits += (uint64_t)(inexact & even) * (1u - 2u * towards_zero);
    memcpy(&sum, &bits, sizeof sum);
    return (float)sum;
#endif
}

#endif
