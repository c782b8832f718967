/* winograd.c: Winograd's transforms with AVX2. */
#include "avx2.h"

#if defined(__AVX2__) && defined(__FMA__)

#include "vector.h"

enum { VECTOR = 8 };

#undef vec_store_part /* seldom, and in many places: less code */
#define vec_store_part(p, v, n) _mm256_maskstore_ps(p, first_lanes(n), v)

#include "../winograd_tmpl.h"
#include "../winograd_weights_tmpl.h"

void fg_winograd_weights_f32_avx2(const fg_winograd_weights_f32_args *args) { winograd_weights(args); }

void fg_winograd_input_f32_avx2(const fg_winograd_input_f32_args *args) { winograd_input(args); }

void fg_winograd_output_f32_avx2(const fg_winograd_output_f32_args *args) { winograd_output(args); }

#endif
