/* winograd.c: Winograd's transforms with NEON. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-schedule-insns") /* as in gemm.c */
#endif

#include "neon.h"

#if defined(__ARM_NEON) && defined(__ARM_FEATURE_FMA)

#include <arm_neon.h>
#include <string.h>

#define vec float32x4_t
#define vec_zero() vdupq_n_f32(0.0f)
#define vec_load(p) vld1q_f32(p)
#define vec_store(p, v) vst1q_f32(p, v)
#define vec_fma(a, b, sum) vfmaq_f32(sum, a, b)
#define vec_add(a, b) vaddq_f32(a, b)
#define vec_sub(a, b) vsubq_f32(a, b)
#define vec_spread(p) vld1q_dup_f32(p)
#define vec_mul(a, b) vmulq_f32(a, b)
#define vec_max(a, b) vbslq_f32(vcgtq_f32(a, b), a, b)
#define vec_min(a, b) vbslq_f32(vcltq_f32(a, b), a, b)
#define vec_load_part(p, n) load_part(p, n)
#define vec_store_part(p, v, n) store_part(p, v, n)

enum { VECTOR = 4 };

/* In a vector too, because Armv7's scalar unit treats subnormal numbers differently. */
static inline vec load_part(const float *x, size_t count)
{
    float part[VECTOR] = {0.0f, 0.0f, 0.0f, 0.0f};
    memcpy(part, x, count * sizeof *x);
    return vld1q_f32(part);
}

static inline void store_part(float *x, vec v, size_t count)
{
    float part[VECTOR];
    vst1q_f32(part, v);
    memcpy(x, part, count * sizeof *x);
}

#include "../winograd_tmpl.h"

void fg_winograd_input_f32_neon(const fg_winograd_input_f32_args *args) { winograd_input(args); }

void fg_winograd_output_f32_neon(const fg_winograd_output_f32_args *args) { winograd_output(args); }

#endif
