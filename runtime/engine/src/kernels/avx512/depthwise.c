/* depthwise.c: depthwise_f32 with AVX-512. */
#include "avx512.h"

#if defined(__AVX512F__) && defined(__AVX512VL__) && defined(__FMA__)

#include "vector.h"

enum { VECTOR = 16 };

#define PARTS_ARE_QUICK
#define WINDOW_ROWS(size) 0 /* such windows come as pieces of rows */

#include "../depthwise_tmpl.h"

enum { TILE_ROWS = 2, TILE_COLS = 7 }; /* 14, 28, 56 and 112 are multiples */

#include "../depthwise_rows_tmpl.h"

void fg_depthwise_rows_f32_avx512(const fg_depthwise_rows_f32_args *args) { depthwise_rows(args); }

void fg_depthwise_f32_avx512(const fg_depthwise_f32_args *args) { depthwise(args); }

#endif
