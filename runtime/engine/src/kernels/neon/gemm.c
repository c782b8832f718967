/* gemm.c: gemm_f32 with NEON: 6 rows by a panel in the 32 registers of AArch64, 4 rows by half a panel in the 16 of
 * Armv7. */
#include "neon.h"

#if defined(__ARM_NEON) && defined(__ARM_FEATURE_FMA)

#include "../loops.h"

#include <arm_neon.h>

#define UNROLL _Pragma("GCC unroll 16")

enum { VECTOR = 4, ROWS = FG_GEMM_ROWS_NEON };
#if defined(__aarch64__)
enum { COLUMNS = 4 }; /* vectors across; a tile's width divides a panel's */
#else
enum { COLUMNS = 2 };
#endif

/* rows x (COLUMNS * 4) results; rows is a constant at every call, so that all sums stay in registers. */
FG_INLINE void tile(const fg_gemm_f32_args *args, size_t panel, size_t offset, const size_t rows)
{
    const float *weights = args->panels + panel * args->taps * args->depth * FG_PANEL + offset;
    const size_t column = panel * FG_PANEL + offset;
    float32x4_t sum[ROWS][COLUMNS];
    UNROLL
    for (size_t v = 0; v < COLUMNS; v++) {
        const float32x4_t start = args->bias ? vld1q_f32(args->bias + column + v * VECTOR) : vdupq_n_f32(0.0f);
        UNROLL
        for (size_t r = 0; r < rows; r++) sum[r][v] = start;
    }
    for (size_t t = 0; t < args->taps; t++) {
        const float *x[ROWS];
        UNROLL
        for (size_t r = 0; r < rows; r++) x[r] = args->a[t * args->rows_stride + r];
        for (size_t k = 0; k < args->depth; k++, weights += FG_PANEL) {
            float32x4_t w[COLUMNS];
            UNROLL
            for (size_t v = 0; v < COLUMNS; v++) w[v] = vld1q_f32(weights + v * VECTOR);
            UNROLL
            for (size_t r = 0; r < rows; r++) {
                const float32x4_t value = vld1q_dup_f32(x[r] + k);
                UNROLL
                for (size_t v = 0; v < COLUMNS; v++) sum[r][v] = vfmaq_f32(sum[r][v], w[v], value);
                __asm__ volatile("" ::: "memory"); /* loading all rows' values early would push sums out of registers */
            }
        }
    }
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        UNROLL
        for (size_t v = 0; v < COLUMNS; v++)
            vst1q_f32(args->out + r * args->out_stride + column + v * VECTOR, sum[r][v]);
    }
}

FG_INLINE void all_panels(const fg_gemm_f32_args *args, const size_t rows)
{
    for (size_t p = 0; p < args->panel_count; p++)
        for (size_t offset = 0; offset < FG_PANEL; offset += COLUMNS * VECTOR) tile(args, p, offset, rows);
}

void fg_gemm_f32_neon(const fg_gemm_f32_args *args)
{
    /* clang-format off */
    switch (args->rows) {
    case 1: all_panels(args, 1); break;
    case 2: all_panels(args, 2); break;
    case 3: all_panels(args, 3); break;
    case 4: all_panels(args, 4); break;
#if defined(__aarch64__)
    case 5: all_panels(args, 5); break;
    case 6: all_panels(args, 6); break;
#endif
    default: break; /* 0 rows; more than gemm_rows is against the contract */
    }
    /* clang-format on */
}

#endif
