/* vector.h: the vectors of the templates with NEON. vec_max and vec_min give NaN where b is NaN; a part is the first n
 * lanes, the others are neither read nor written. */
#ifndef FG_KERNELS_NEON_VECTOR_H
#define FG_KERNELS_NEON_VECTOR_H

#include <arm_neon.h>
#include <string.h>

#include "../loops.h"

/* In a vector too, because Armv7's scalar unit treats subnormal numbers differently. */
static inline float32x4_t load_part(const float *x, size_t count)
{
    float part[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    memcpy(part, x, count * sizeof *x);
    return vld1q_f32(part);
}

static inline void store_part(float *x, float32x4_t v, size_t count)
{
    float part[4];
    vst1q_f32(part, v);
    memcpy(x, part, count * sizeof *x);
}

/* Four vectors in one instruction, where there is one. */
FG_INLINE void load_four(const float *from, float32x4_t *v)
{
#if defined(__aarch64__)
    const float32x4x4_t four = vld1q_f32_x4(from);
    v[0] = four.val[0], v[1] = four.val[1], v[2] = four.val[2], v[3] = four.val[3];
#else
    for (size_t i = 0; i < 4; i++) v[i] = vld1q_f32(from + 4 * i);
#endif
}

/* The bits in which two vectors differ. */
FG_INLINE uint32x4_t differing(float32x4_t a, float32x4_t b)
{
    return veorq_u32(vreinterpretq_u32_f32(a), vreinterpretq_u32_f32(b));
}

#define vec float32x4_t
#define vec_keep(v) __asm__("" : "+w"(v)) /* in a register */
#define vec_zero() vdupq_n_f32(0.0f)
#define vec_load(p) vld1q_f32(p)
#define vec_store(p, v) vst1q_f32(p, v)
#define vec_spread(p) vld1q_dup_f32(p)
#define vec_fma(a, b, sum) vfmaq_f32(sum, a, b)
#define vec_add(a, b) vaddq_f32(a, b)
#define vec_sub(a, b) vsubq_f32(a, b)
#define vec_mul(a, b) vmulq_f32(a, b)
#define vec_max(a, b) vmaxq_f32(a, b)
#define vec_min(a, b) vminq_f32(a, b)
#define vec_load_part(p, n) load_part(p, n)
#define vec_store_part(p, v, n) store_part(p, v, n)

#endif
