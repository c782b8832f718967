/* winograd.c: Winograd's transforms with AVX-512. */
#include "avx512.h"

#if defined(__AVX512F__) && defined(__AVX512VL__) && defined(__FMA__)

#include "vector.h"

#define WINOGRAD_MASKED

enum { VECTOR = 16 };

#include "../winograd_tmpl.h"
#include "../winograd_weights_tmpl.h"

void fg_winograd_weights_f32_avx512(const fg_winograd_weights_f32_args *args) { winograd_weights(args); }

void fg_winograd_input_f32_avx512(const fg_winograd_input_f32_args *args) { winograd_input(args); }

void fg_winograd_output_f32_avx512(const fg_winograd_output_f32_args *args) { winograd_output(args); }

#endif
