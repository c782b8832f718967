/* depthwise.c: depthwise_f32 with AVX2. */
#include "avx2.h"

#if defined(__AVX2__) && defined(__FMA__)

#include "vector.h"

enum { VECTOR = 8, MAX_FIXED_TAPS = 9, MAX_FIXED_TAPS_WIDE = 0, SHARED_LEAST = 3 };

#include "../depthwise_tmpl.h"

void fg_depthwise_f32_avx2(const fg_depthwise_f32_args *args) { depthwise(args); }

#endif
