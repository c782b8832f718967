/* depthwise.c: depthwise_f32 with AVX-512. */
#include "avx512.h"

#if defined(__AVX512F__) && defined(__AVX512VL__) && defined(__FMA__)

#include "vector.h"

enum { VECTOR = 16 };

#define WINDOW_ROWS(size) 2

#include "../depthwise_tmpl.h"

void fg_depthwise_f32_avx512(const fg_depthwise_f32_args *args) { depthwise(args); }

#endif
