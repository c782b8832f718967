/* gemm.c: gemm_f32 with AVX-512, tiles of up to 24 vectors: 6 rows of 64 columns, 8 of 48 and less. */
#include "avx512.h"

#if defined(__AVX512F__) && defined(__AVX512VL__) && defined(__FMA__)

#include "vector.h"

#define VEC_FENCE (void)0

enum { VECTOR = 16, MAX_ROWS = 8, MAX_SUMS = 24, ROWS_AT_ONCE = 72 };

#define PRODUCTS_AT_ONCE(columns) 1

/* Six rows of four vectors need the fewest loads, and few enough pointers to stay in registers; five and six vectors go
 * as three and the rest, so that none is left alone. */
static inline size_t column_step(size_t left) { return left <= 4 ? left : left <= 6 ? 3 : 4; }
#define COLUMN_STEP(left) column_step(left)

/* Loads fill one register of 512 bits a cycle, where two multiply-adds wait for numbers; a permutation takes the place
 * of a multiply-add. Of eight rows of one vector three are best spread so, of wider ones none. */
#define SPREAD_ROWS(rows, columns) ((columns) == 1 ? ((rows) * 3 + 4) / 8 : 0)
#define vec_load_four(p) _mm512_broadcast_f32x4(_mm_loadu_ps(p))
#define vec_lane(v, lane) _mm512_permute_ps(v, (lane) * 0x55)

#include "../gemm_tmpl.h"

void fg_gemm_f32_avx512(const fg_gemm_f32_args *args) { gemm(args); }

#endif
