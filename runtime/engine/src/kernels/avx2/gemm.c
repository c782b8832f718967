/* gemm.c: gemm_f32 with AVX2, tiles of up to 12 vectors: 6 rows of 16 columns and the like. */
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

#define vec_load_part(p, n) _mm256_maskload_ps(p, first_lanes(n))
#define vec_store_part(p, v, n) _mm256_maskstore_ps(p, first_lanes(n), v)

enum { VECTOR = 8, MAX_ROWS = 6, MAX_SUMS = 12, ROWS_AT_ONCE = 36 };

static inline __m256i first_lanes(size_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/* Few rows take more columns at once: an FMA's latency wants many independent sums. */
static inline size_t column_step(size_t left, size_t rows)
{
    if (rows <= 3) return left < 4 ? left : 4;
    return left < 2 || left == 3 ? left : 2;
}
#define COLUMN_STEP(left, rows) column_step(left, rows)

#include "../gemm_tmpl.h"

void fg_gemm_f32_avx2(const fg_gemm_f32_args *args) { gemm(args); }

#endif
