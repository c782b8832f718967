/* winograd.c: Winograd's transforms with AVX-512. */
#include "avx512.h"

#if defined(__AVX512F__) && defined(__AVX512VL__) && defined(__FMA__)

#include <immintrin.h>

#define vec __m512
#define vec_zero() _mm512_setzero_ps()
#define vec_load(p) _mm512_loadu_ps(p)
#define vec_store(p, v) _mm512_storeu_ps(p, v)
#define vec_fma(a, b, sum) _mm512_fmadd_ps(a, b, sum)
#define vec_add(a, b) _mm512_add_ps(a, b)
#define vec_sub(a, b) _mm512_sub_ps(a, b)
#define vec_spread(p) _mm512_set1_ps(*(p))
#define vec_mul(a, b) _mm512_mul_ps(a, b)
#define vec_max(a, b) _mm512_max_ps(a, b)
#define vec_min(a, b) _mm512_min_ps(a, b)
#define vec_load_part(p, n) _mm512_maskz_loadu_ps((__mmask16)((1u << (n)) - 1u), p)
#define vec_store_part(p, v, n) _mm512_mask_storeu_ps(p, (__mmask16)((1u << (n)) - 1u), v)

#define WINOGRAD_MASKED

enum { VECTOR = 16 };

#include "../winograd_tmpl.h"

void fg_winograd_input_f32_avx512(const fg_winograd_input_f32_args *args) { winograd_input(args); }

void fg_winograd_output_f32_avx512(const fg_winograd_output_f32_args *args) { winograd_output(args); }

#endif
