/* winograd.c: Winograd's transforms with AVX2. */
#include "avx2.h"

#if defined(__AVX2__) && defined(__FMA__)

#include <immintrin.h>

#define vec __m256
#define vec_zero() _mm256_setzero_ps()
#define vec_load(p) _mm256_loadu_ps(p)
#define vec_store(p, v) _mm256_storeu_ps(p, v)
#define vec_fma(a, b, sum) _mm256_fmadd_ps(a, b, sum)
#define vec_add(a, b) _mm256_add_ps(a, b)
#define vec_sub(a, b) _mm256_sub_ps(a, b)
#define vec_spread(p) _mm256_broadcast_ss(p)
#define vec_mul(a, b) _mm256_mul_ps(a, b)
#define vec_max(a, b) _mm256_max_ps(a, b)
#define vec_min(a, b) _mm256_min_ps(a, b)
#define vec_load_part(p, n) _mm256_maskload_ps(p, first_lanes(n))
#define vec_store_part(p, v, n) _mm256_maskstore_ps(p, first_lanes(n), v)

enum { VECTOR = 8 };

static inline __m256i first_lanes(size_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

#include "../winograd_tmpl.h"

void fg_winograd_input_f32_avx2(const fg_winograd_input_f32_args *args) { winograd_input(args); }

void fg_winograd_output_f32_avx2(const fg_winograd_output_f32_args *args) { winograd_output(args); }

#endif
