/* depthwise.c: depthwise_f32 with AVX2. */
#include "avx2.h"

#if defined(__AVX2__) && defined(__FMA__)

#include "vector.h"

enum { VECTOR = 8 };

#define WINDOW_ROWS(size) ((size) == 3 ? 2 : 1) /* eight sums and ten weights are more than there are registers */

#include "../depthwise_tmpl.h"

void fg_depthwise_f32_avx2(const fg_depthwise_f32_args *args) { depthwise(args); }

#endif
