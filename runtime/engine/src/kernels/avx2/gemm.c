/* gemm.c: gemm_f32 with AVX2, up to 6 rows of 16 columns in registers. */
#include "avx2.h"

#if defined(__AVX2__) && defined(__FMA__)

#include <immintrin.h>

#define vec __m256
#define vec_zero() _mm256_setzero_ps()
#define vec_load(p) _mm256_loadu_ps(p)
#define vec_store(p, v) _mm256_storeu_ps(p, v)
#define vec_spread(p) _mm256_broadcast_ss(p)
#define vec_fma(a, b, sum) _mm256_fmadd_ps(a, b, sum)
#define vec_add(a, b) _mm256_add_ps(a, b)
#define VEC_FENCE (void)0

enum { VECTOR = 8, MAX_ROWS = FG_GEMM_ROWS_AVX2, MAX_COLUMNS = 8 };

#include "../gemm_tmpl.h"

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
