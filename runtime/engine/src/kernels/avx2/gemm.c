/* gemm.c: gemm_f32 with AVX2, tiles of up to 12 vectors: 3 rows of 32 columns, 4 of 24, 6 of 16. */
#include "avx2.h"

#if defined(__AVX2__) && defined(__FMA__)

#include "vector.h"

#define VEC_FENCE (void)0

enum { VECTOR = 8, MAX_ROWS = 6, MAX_SUMS = 12, ROWS_AT_ONCE = 72 };

#define PRODUCTS_AT_ONCE(columns) ((columns) == 3 ? 1 : 2) /* with three GCC would read weights anew for each row */

/* Three rows of four vectors need the fewest instructions, 19 for 12 multiply-adds, which counts where two threads
 * share a core. Five and six vectors go as two and the rest: a step that ends within a panel must be the last. */
static inline size_t column_step(size_t left) { return left == 5 || left == 6 ? 2 : left < 4 ? left : 4; }
#define COLUMN_STEP(left) column_step(left)

#include "../gemm_tmpl.h"

void fg_gemm_f32_avx2(const fg_gemm_f32_args *args) { gemm(args); }

#endif
