/* gemm.c: gemm_f32 with AVX2, tiles of up to 12 vectors: 6 rows of 16 columns and the like. */
#include "avx2.h"

#if defined(__AVX2__) && defined(__FMA__)

#include "vector.h"

#define VEC_FENCE (void)0

enum { VECTOR = 8, MAX_ROWS = 6, MAX_SUMS = 12, ROWS_AT_ONCE = 36 };

/* Few rows take more columns at once: an FMA's latency wants many independent sums. */
static inline size_t column_step(size_t left, size_t rows)
{
    if (rows <= 3) return left < 4 ? left : 4;
    return left < 2 || left == 3 ? left : 2;
}
#define COLUMN_STEP(left, rows) column_step(left, rows)

#include "../gemm_tmpl.h"

void fg_gemm_f32_avx2(const fg_gemm_f32_args *args) { gemm(args); }

#endif
