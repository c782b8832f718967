/* gemm.c: gemm_f32 with AVX-512, tiles of up to 12 rows of 32 columns. */
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
#define vec_mul(a, b) _mm512_mul_ps(a, b)
#define vec_max(a, b) _mm512_max_ps(a, b)
#define vec_min(a, b) _mm512_min_ps(a, b)
#define VEC_FENCE (void)0

enum { VECTOR = 16, MAX_ROWS = 12, MAX_SUMS = 24, ROWS_AT_ONCE = 72 };

#include "../gemm_tmpl.h"

/* Few rows take more columns at once: an FMA's latency wants many independent sums. */
void fg_gemm_f32_avx512(const fg_gemm_f32_args *args)
{
    if (args->rows <= 4) {
        gemm(args, 4, 1);
    } else {
        gemm(args, 2, 1);
    }
}

#endif
