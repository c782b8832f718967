/* gemm.c: gemm_f32 with AVX-512, tiles of up to 24 vectors: 6 rows of 64 columns, 8 of 48 and less. */
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

#define vec_load_part(p, n) _mm512_maskz_loadu_ps((__mmask16)((1u << (n)) - 1u), p)
#define vec_store_part(p, v, n) _mm512_mask_storeu_ps(p, (__mmask16)((1u << (n)) - 1u), v)

enum { VECTOR = 16, MAX_ROWS = 8, MAX_SUMS = 24, ROWS_AT_ONCE = 72 };

/* Six rows of four vectors need the fewest loads, and few enough pointers to stay in registers; five and six vectors go
 * as three and the rest, so that none is left alone. */
static inline size_t column_step(size_t left) { return left <= 4 ? left : left <= 6 ? 3 : 4; }
#define COLUMN_STEP(left, rows) column_step(left)

#include "../gemm_tmpl.h"

void fg_gemm_f32_avx512(const fg_gemm_f32_args *args) { gemm(args); }

#endif
