/* gemm.c: gemm_f32 with AVX2, tiles of up to 6 rows of 16 columns. */
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
#define vec_mul(a, b) _mm256_mul_ps(a, b)
#define vec_max(a, b) _mm256_max_ps(a, b)
#define vec_min(a, b) _mm256_min_ps(a, b)
#define VEC_FENCE (void)0

enum { VECTOR = 8, MAX_ROWS = 6, MAX_SUMS = 12, ROWS_AT_ONCE = 36 };

#include "../gemm_tmpl.h"

/* Few rows take more columns at once: an FMA's latency wants many independent sums. */
void fg_gemm_f32_avx2(const fg_gemm_f32_args *args)
{
    if (args->rows == 1) {
        gemm(args, 8, 2);
    } else if (args->rows <= 3) {
        gemm(args, 4, 2);
    } else {
        gemm(args, 2, 2);
    }
}

#endif
