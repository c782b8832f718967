/* gemm.c: gemm_f32 with NEON: 6 rows by a panel in the 32 registers of AArch64, 4 rows by half a panel in the 16 of
 * Armv7. */
#include "neon.h"

#if defined(__ARM_NEON) && defined(__ARM_FEATURE_FMA)

#include <arm_neon.h>

#define vec float32x4_t
#define vec_zero() vdupq_n_f32(0.0f)
#define vec_load(p) vld1q_f32(p)
#define vec_store(p, v) vst1q_f32(p, v)
#define vec_spread(p) vld1q_dup_f32(p)
#define vec_fma(a, b, sum) vfmaq_f32(sum, b, a)
#define vec_add(a, b) vaddq_f32(a, b)
#define vec_mul(a, b) vmulq_f32(a, b)
#define vec_max(a, b) vbslq_f32(vcgtq_f32(a, b), a, b)
#define vec_min(a, b) vbslq_f32(vcltq_f32(a, b), a, b)
/* Loading all rows' values early would push sums out of registers. */
#define VEC_FENCE __asm__ volatile("" ::: "memory")

#if defined(__aarch64__)
enum { VECTOR = 4, MAX_ROWS = 6, MAX_SUMS = 24, STEP = 4 };
#else
enum { VECTOR = 4, MAX_ROWS = 4, MAX_SUMS = 8, STEP = 2 };
#endif

#include "../gemm_tmpl.h"

void fg_gemm_f32_neon(const fg_gemm_f32_args *args) { gemm(args, STEP, STEP); }

#endif
