/* registers.h: vectors as long as a register, for maxima: compilers do not split wider comparisons well. Included by
 * templates, so the length is that of the instruction set compiled for. */
#ifndef FG_KERNELS_REGISTERS_H
#define FG_KERNELS_REGISTERS_H

#include "loops.h"

#include <stdint.h>
#if defined(__aarch64__)
#include <arm_neon.h>
#endif

#if defined(__AVX2__)
enum { FG_WIDTH = 8, FG_REGISTERS = 4 };
#elif defined(__aarch64__)
enum { FG_WIDTH = 4, FG_REGISTERS = 8 };
#elif defined(__SSE2__) || defined(__ARM_NEON)
enum { FG_WIDTH = 4, FG_REGISTERS = 4 };
#else
enum { FG_WIDTH = 1, FG_REGISTERS = 4 };
#endif

typedef float fg_vector __attribute__((vector_size(FG_WIDTH * sizeof(float))));
typedef int32_t fg_vector_bits __attribute__((vector_size(FG_WIDTH * sizeof(float))));

/* fg_max number by number. */
FG_INLINE fg_vector fg_larger(fg_vector a, fg_vector b)
{
#if defined(__aarch64__) /* the machine's maximum, but for its order of zeros */
    const float32x4_t y = (float32x4_t)b;
    float32x4_t x = (float32x4_t)a;
    const uint32x4_t keep = vcgeq_f32(y, x);
    /* in the place of x: compilers would copy it */
    __asm__("fmax %0.4s, %0.4s, %1.4s\n\tbit %0.16b, %1.16b, %2.16b" : "+w"(x) : "w"(y), "w"(keep));
    return (fg_vector)x;
#else
    const fg_vector_bits keep = (a > b) | (a != a);
    return (fg_vector)(((fg_vector_bits)a & keep) | ((fg_vector_bits)b & ~keep));
#endif
}

/* The same where no number is -0. */
#if defined(__aarch64__)
enum { FG_LARGER_PLAIN = 1 }; /* is quicker */
FG_INLINE fg_vector fg_larger_plain(fg_vector a, fg_vector b)
{
    return (fg_vector)vmaxq_f32((float32x4_t)a, (float32x4_t)b);
}
#else
enum { FG_LARGER_PLAIN = 0 };
FG_INLINE fg_vector fg_larger_plain(fg_vector a, fg_vector b) { return fg_larger(a, b); }
#endif

#endif
