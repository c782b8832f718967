/* depthwise.c: depthwise_f32 with AVX2. */
#include "avx2.h"

#if defined(__AVX2__) && defined(__FMA__)

#include "vector.h"

enum { VECTOR = 8 };

#define WINDOW_ROWS(size) ((size) == 3 ? 2 : 0) /* 5x5 comes as pieces of rows */

#include "../depthwise_tmpl.h"

/* Seven sums, five weights and a column; of 3x3 windows two rows of four, without a branch for each column, are
 * quicker. */
enum { TILE_ROWS = 1, TILE_COLS = 7 };

#include "../depthwise_rows_tmpl.h"

void fg_depthwise_rows_f32_avx2(const fg_depthwise_rows_f32_args *args) { depthwise_rows(args); }

void fg_depthwise_f32_avx2(const fg_depthwise_f32_args *args) { depthwise(args); }

#endif
