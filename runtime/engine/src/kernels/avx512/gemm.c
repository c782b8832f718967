/* gemm.c: gemm_f32 with AVX-512, up to 12 rows of 32 columns in registers. */
#include "avx512.h"

#if defined(__AVX512F__) && defined(__AVX512VL__) && defined(__FMA__)

#include "../loops.h"

#include <immintrin.h>

#define UNROLL _Pragma("GCC unroll 16")

/* rows x (panels * 16) results. rows and panels are constants at every call, so that all sums stay in registers; few
 * rows take more panels at once to have enough independent sums for the latency of an FMA. */
FG_INLINE void tile(const fg_gemm_f32_args *args, size_t panel, const size_t rows, const size_t panels)
{
    const size_t panel_floats = args->taps * args->depth * FG_PANEL;
    const float *weights = args->panels + panel * panel_floats;
    __m512 sum[12][4];
    UNROLL
    for (size_t p = 0; p < panels; p++) {
        const __m512 start = args->bias ? _mm512_loadu_ps(args->bias + (panel + p) * FG_PANEL) : _mm512_setzero_ps();
        UNROLL
        for (size_t r = 0; r < rows; r++) sum[r][p] = start;
    }
    for (size_t t = 0; t < args->taps; t++) {
        const float *x[12];
        UNROLL
        for (size_t r = 0; r < rows; r++) x[r] = args->a[t * args->rows_stride + r];
        for (size_t k = 0; k < args->depth; k++, weights += FG_PANEL) {
            __m512 w[4];
            UNROLL
            for (size_t p = 0; p < panels; p++) w[p] = _mm512_load_ps(weights + p * panel_floats);
            UNROLL
            for (size_t r = 0; r < rows; r++) {
                const __m512 value = _mm512_set1_ps(x[r][k]);
                UNROLL
                for (size_t p = 0; p < panels; p++) sum[r][p] = _mm512_fmadd_ps(value, w[p], sum[r][p]);
            }
        }
    }
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        UNROLL
        for (size_t p = 0; p < panels; p++)
            _mm512_storeu_ps(args->out + r * args->out_stride + (panel + p) * FG_PANEL, sum[r][p]);
    }
}

FG_INLINE void all_panels(const fg_gemm_f32_args *args, const size_t rows, const size_t panels)
{
    size_t p = 0;
    for (; p + panels <= args->panel_count; p += panels) tile(args, p, rows, panels);
    for (; p < args->panel_count; p++) tile(args, p, rows, 1);
}

void fg_gemm_f32_avx512(const fg_gemm_f32_args *args)
{
    /* clang-format off */
    switch (args->rows) {
    case 1: all_panels(args, 1, 4); break;
    case 2: all_panels(args, 2, 4); break;
    case 3: all_panels(args, 3, 4); break;
    case 4: all_panels(args, 4, 2); break;
    case 5: all_panels(args, 5, 2); break;
    case 6: all_panels(args, 6, 2); break;
    case 7: all_panels(args, 7, 2); break;
    case 8: all_panels(args, 8, 2); break;
    case 9: all_panels(args, 9, 2); break;
    case 10: all_panels(args, 10, 2); break;
    case 11: all_panels(args, 11, 2); break;
    case 12: all_panels(args, 12, 2); break;
    default: break; /* 0 rows; more than gemm_rows is against the contract */
    }
    /* clang-format on */
}

#endif
