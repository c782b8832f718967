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
/* Loading all rows' values early would push sums out of registers. */
#define VEC_FENCE __asm__ volatile("" ::: "memory")

enum { VECTOR = 4, MAX_ROWS = FG_GEMM_ROWS_NEON, MAX_COLUMNS = 4 };

#include "../gemm_tmpl.h"

#if defined(__aarch64__)

void fg_gemm_f32_neon(const fg_gemm_f32_args *args)
{
    /* clang-format off */
    switch (args->rows) {
    case 1: all_panels(args, 1, 1); break;
    case 2: all_panels(args, 2, 1); break;
    case 3: all_panels(args, 3, 1); break;
    case 4: all_panels(args, 4, 1); break;
    case 5: all_panels(args, 5, 1); break;
    case 6: all_panels(args, 6, 1); break;
    default: break; /* 0 rows; more than gemm_rows is against the contract */
    }
    /* clang-format on */
}

#else

FG_INLINE void all_halves(const fg_gemm_f32_args *args, const size_t rows)
{
    for (size_t p = 0; p < args->panel_count; p++) {
        for (size_t offset = 0; offset < FG_PANEL; offset += FG_PANEL / 2) tile(args, p, offset, rows, 2);
    }
}

void fg_gemm_f32_neon(const fg_gemm_f32_args *args)
{
    /* clang-format off */
    switch (args->rows) {
    case 1: all_halves(args, 1); break;
    case 2: all_halves(args, 2); break;
    case 3: all_halves(args, 3); break;
    case 4: all_halves(args, 4); break;
    default: break; /* 0 rows; more than gemm_rows is against the contract */
    }
    /* clang-format on */
}

#endif

#endif
