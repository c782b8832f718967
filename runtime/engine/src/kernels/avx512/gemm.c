/* gemm.c: gemm_f32 with AVX-512, up to 12 rows of 32 columns in registers. */
#include "avx512.h"

#if defined(__AVX512F__) && defined(__AVX512VL__) && defined(__FMA__)

#include <immintrin.h>

#define vec __m512
#define vec_zero() _mm512_setzero_ps()
#define vec_load(p) _mm512_loadu_ps(p)
#define vec_store(p, v) _mm512_storeu_ps(p, v)
#define vec_spread(p) _mm512_set1_ps(*(p))
#define vec_fma(a, b, sum) _mm512_fmadd_ps(a, b, sum)
#define vec_add(a, b) _mm512_add_ps(a, b)
#define VEC_FENCE (void)0

enum { VECTOR = 16, MAX_ROWS = FG_GEMM_ROWS_AVX512, MAX_COLUMNS = 4 };

#include "../gemm_tmpl.h"

void fg_gemm_f32_avx512(const fg_gemm_f32_args *args)
{
    /* clang-format off */
    switch (args->rows) {
    case 1: all_panels(args, 1, 4); break;
    case 2: all_panels(args, 2, 4); break;
    case 3: all_panels(args, 3, 4); break;
    case 4: all_panels(args, 4, 4); break;
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
