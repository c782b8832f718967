/* vector.h: the vectors of the templates with AVX-512. vec_max and vec_min give b where either is NaN; a part is the
 * first n lanes, the others are neither read nor written. */
#ifndef FG_KERNELS_AVX512_VECTOR_H
#define FG_KERNELS_AVX512_VECTOR_H

#include <immintrin.h>
#include <stddef.h>

#define vec __m512
#define vec_keep(v) __asm__("" : "+v"(v)) /* in a register, not read from memory for each use */
#define vec_zero() _mm512_setzero_ps()
#define vec_load(p) _mm512_loadu_ps(p)
#define vec_store(p, v) _mm512_storeu_ps(p, v)
#define vec_spread(p) _mm512_set1_ps(*(p))
#define vec_fma(a, b, sum) _mm512_fmadd_ps(a, b, sum)
#define vec_add(a, b) _mm512_add_ps(a, b)
#define vec_sub(a, b) _mm512_sub_ps(a, b)
#define vec_mul(a, b) _mm512_mul_ps(a, b)
#define vec_max(a, b) _mm512_max_ps(a, b)
#define vec_min(a, b) _mm512_min_ps(a, b)
#define vec_load_part(p, n) _mm512_maskz_loadu_ps((__mmask16)((1u << (n)) - 1u), p)
#define vec_store_part(p, v, n) _mm512_mask_storeu_ps(p, (__mmask16)((1u << (n)) - 1u), v)

#endif
