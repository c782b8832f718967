/* fused.h: one fused multiply-add, also where the machine has none. */
#ifndef FG_FUSED_H
#define FG_FUSED_H

#include "loops.h"

#include <stdint.h>
#include <string.h>

#if defined(__FP_FAST_FMAF) || defined(__FMA__) || defined(__ARM_FEATURE_FMA)

/* a * b + c, rounded once. */
FG_INLINE float fg_fused(float a, float b, float c) { return __builtin_fmaf(a, b, c); }

#else

/* product + c where sum, the same rounded to double, may mislead the rounding to float: rounded to odd instead. Where
 * anything was lost the last bit is set, which keeps the second rounding on the right side of every tie. */
static inline double fg_round_to_odd(double product, double c, double sum)
{
    double moved = sum - product;
    double lost = (product - (sum - moved)) + (c - moved);
    uint64_t bits;
    memcpy(&bits, &sum, sizeof bits);
    uint64_t even = ~bits & 1u;
    uint64_t towards_zero = (lost < 0.0) != (sum < 0.0); /* the exact sum is smaller in size than the rounded one */
    uint64_t inexact = (lost < 0.0) | (lost > 0.0);      /* NaN, from an infinity: nothing to mend */
    bits += (uint64_t)(inexact & even) * (1u - 2u * towards_zero);
    memcpy(&sum, &bits, sizeof sum);
    return sum;
}

/* a * b + c, rounded once. */
#if defined(__OPTIMIZE_SIZE__) && defined(__GNUC__)
__attribute__((noinline))
#endif
FG_INLINE_FAST float fg_fused(float a, float b, float c)
{
    /* The product of two floats is exact in double. The sum is rounded, and once more to float: that goes wrong only
     * from the middle between two floats, and subnormal ones have their middles elsewhere. */
    double product = (double)a * (double)b, sum = product + (double)c;
    uint64_t bits;
    memcpy(&bits, &sum, sizeof bits);
    int middle = (bits & 0x1FFFFFFFu) == 0x10000000u, tiny = (bits >> 52 & 0x7FFu) - 1u < 896u; /* and not 0 */
    if (__builtin_expect(middle | tiny, 0)) sum = fg_round_to_odd(product, (double)c, sum);
    return (float)sum;
}

#endif

#endif
