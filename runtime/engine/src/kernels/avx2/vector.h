/* vector.h: the vectors of the templates with AVX2. vec_max and vec_min give b where either is NaN; a part is the first
 * n lanes, the others are neither read nor written. */
#ifndef FG_KERNELS_AVX2_VECTOR_H
#define FG_KERNELS_AVX2_VECTOR_H

#include <immintrin.h>
#include <stddef.h>

static inline __m256i first_lanes(size_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/* n below 8. AMD's machines take 40 steps for a store with a mask. */
static inline void store_part(float *p, __m256 v, size_t n)
{
    __m128 part = _mm256_castps256_ps128(v);
    if (n & 4) {
        _mm_storeu_ps(p, part);
        part = _mm256_extractf128_ps(v, 1);
        p += 4;
    }
    if (n & 2) {
        _mm_storel_pi((__m64 *)(void *)p, part);
        part = _mm_movehl_ps(part, part);
        p += 2;
    }
    if (n & 1) _mm_store_ss(p, part);
}

#define vec __m256
#define vec_keep(v) __asm__("" : "+x"(v)) /* in a register, not read from memory for each use */
#define vec_zero() _mm256_setzero_ps()
#define vec_load(p) _mm256_loadu_ps(p)
#define vec_store(p, v) _mm256_storeu_ps(p, v)
#define vec_spread(p) _mm256_broadcast_ss(p)
#define vec_fma(a, b, sum) _mm256_fmadd_ps(a, b, sum)
#define vec_add(a, b) _mm256_add_ps(a, b)
#define vec_sub(a, b) _mm256_sub_ps(a, b)
#define vec_mul(a, b) _mm256_mul_ps(a, b)
#define vec_max(a, b) _mm256_max_ps(a, b)
#define vec_min(a, b) _mm256_min_ps(a, b)
#define vec_load_part(p, n) _mm256_maskload_ps(p, first_lanes(n))
#define vec_store_part(p, v, n) store_part(p, v, n)

#endif
