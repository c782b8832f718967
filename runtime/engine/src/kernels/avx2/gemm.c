/* gemm.c: gemm_f32 with AVX2, up to 6 rows of 16 columns in registers. */
#include "avx2.h"

#if defined(__AVX2__) && defined(__FMA__)

#include "../loops.h"

#include <immintrin.h>

#define UNROLL _Pragma("GCC unroll 16")

enum { VECTOR = 8, VECTORS = FG_PANEL / VECTOR };

/* rows x (panels * 16) results. rows and panels are constants at every call, so that all sums stay in registers; few
 * rows take several panels at once to have enough independent sums for the latency of an FMA. */
FG_INLINE void tile(const fg_gemm_f32_args *args, size_t panel, const size_t rows, const size_t panels)
{
    const size_t columns = panels * VECTORS, panel_floats = args->taps * args->depth * FG_PANEL;
    const float *weights = args->panels + panel * panel_floats;
    __m256 sum[6][8];
    UNROLL
    for (size_t v = 0; v < columns; v++) {
        const __m256 start =
            args->bias ? _mm256_loadu_ps(args->bias + panel * FG_PANEL + v * VECTOR) : _mm256_setzero_ps();
        UNROLL
        for (size_t r = 0; r < rows; r++) sum[r][v] = start;
    }
    for (size_t t = 0; t < args->taps; t++) {
        const float *x[6];
        UNROLL
        for (size_t r = 0; r < rows; r++) x[r] = args->a[t * args->rows_stride + r];
        for (size_t k = 0; k < args->depth; k++, weights += FG_PANEL) {
            __m256 w[8];
            UNROLL
            for (size_t v = 0; v < columns; v++)
                w[v] = _mm256_load_ps(weights + v / VECTORS * panel_floats + v % VECTORS * VECTOR);
            UNROLL
            for (size_t r = 0; r < rows; r++) {
                const __m256 value = _mm256_broadcast_ss(x[r] + k);
                UNROLL
                for (size_t v = 0; v < columns; v++) sum[r][v] = _mm256_fmadd_ps(value, w[v], sum[r][v]);
            }
        }
    }
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        UNROLL
        for (size_t v = 0; v < columns; v++)
            _mm256_storeu_ps(args->out + r * args->out_stride + panel * FG_PANEL + v * VECTOR, sum[r][v]);
    }
}

FG_INLINE void all_panels(const fg_gemm_f32_args *args, const size_t rows, const size_t panels)
{
    size_t p = 0;
    for (; p + panels <= args->panel_count; p += panels) tile(args, p, rows, panels);
    for (; p < args->panel_count; p++) tile(args, p, rows, 1);
}

void fg_gemm_f32_avx2(const fg_gemm_f32_args *args)
{
    /* clang-format off */
    switch (args->rows) {
    case 1: all_panels(args, 1, 4); break;
    case 2: all_panels(args, 2, 2); break;
    case 3: all_panels(args, 3, 2); break;
    case 4: all_panels(args, 4, 1); break;
    case 5: all_panels(args, 5, 1); break;
    case 6: all_panels(args, 6, 1); break;
    default: break; /* 0 rows; more than gemm_rows is against the contract */
    }
    /* clang-format on */
}

#endif
