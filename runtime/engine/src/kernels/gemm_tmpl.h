/* gemm_tmpl.h: gemm_f32 for one vector type. The including file defines
 *     vec, VECTOR (its floats), MAX_ROWS of a register tile, MAX_SUMS (vectors) in it,
 *     vec_keep(v), vec_zero(), vec_load(p), vec_store(p, v), vec_spread(p), vec_fma(a, b, sum), vec_add(a, b),
 *     VEC_FENCE,
 * what finish_tmpl.h asks for, and
 *     vec_load_part(p, n), vec_store_part(p, v, n): the first n lanes, the others neither read nor written,
 *     ROWS_AT_ONCE: so many rows pass before a column step's next block of weights,
 *     PRODUCTS_AT_ONCE(columns): so many in a loop's step,
 *     COLUMN_STEP(left): how many of left vectors a tile takes, 1 to 4; one that does not begin a panel ends in it,
 * and, where a machine spreads numbers to all lanes more quickly by permuting some of them than by loading all,
 *     SPREAD_ROWS(rows, columns): of so many rows, vec_load_four(p): four numbers in every four lanes, and
 *     vec_lane(v, lane): number lane, a literal, of them in all lanes.
 */
#include "finish_tmpl.h"

#define UNROLL _Pragma("GCC unroll 24")

/* One block of FG_GEMM_BLOCK products of some columns: what all tiles of rows share. */
typedef struct gemm_block {
    const float *weights, *bias; /* of the first column; bias NULL: none, or not yet */
    size_t panel_floats;         /* from a panel's weights to the next one's */
    size_t tap, k, count;        /* the first product's tap and place in it; products */
    int first, last;
} gemm_block;

#ifdef SPREAD_ROWS
/* One of four products of every row and column. */
#define PRODUCT_OF_FOUR(lane)                                                                                          \
    UNROLL                                                                                                             \
    for (size_t v = 0; v < columns; v++)                                                                               \
        w[v] = vec_load(weights + lane * FG_PANEL + v / per_panel * panel_floats + v % per_panel * VECTOR);            \
    UNROLL                                                                                                             \
    for (size_t r = 0; r < rows; r++) {                                                                                \
        const vec value = r < spread ? vec_lane(four[r], lane) : vec_spread(x[r] + i + lane);                          \
        UNROLL                                                                                                         \
        for (size_t v = 0; v < columns; v++) sum[r * columns + v] = vec_fma(value, w[v], sum[r * columns + v]);        \
    }

FG_INLINE void four_products(const float *const *x, ptrdiff_t i, const float *weights, size_t panel_floats, vec *sum,
                             const size_t rows, const size_t columns)
{
    const size_t per_panel = FG_PANEL / VECTOR, spread = SPREAD_ROWS(rows, columns);
    vec four[MAX_ROWS], w[MAX_SUMS];
    UNROLL
    for (size_t r = 0; r < spread; r++) four[r] = vec_load_four(x[r] + i);
    PRODUCT_OF_FOUR(0)
    PRODUCT_OF_FOUR(1)
    PRODUCT_OF_FOUR(2)
    PRODUCT_OF_FOUR(3)
}
#endif

/* One product of every row and column. The fewer of both wait in registers for the others, which pass one by one. */
FG_INLINE void one_product(const float *const *x, ptrdiff_t i, const float *weights, size_t panel_floats, vec *sum,
                           const size_t rows, const size_t columns)
{
    const size_t per_panel = FG_PANEL / VECTOR;
    vec few[MAX_SUMS];
    if (rows < columns) {
        UNROLL
        for (size_t r = 0; r < rows; r++) few[r] = vec_spread(x[r] + i);
        UNROLL
        for (size_t v = 0; v < columns; v++) {
            vec w = vec_load(weights + v / per_panel * panel_floats + v % per_panel * VECTOR);
            if (rows == 2) vec_keep(w); /* GCC would read it twice */
            UNROLL
            for (size_t r = 0; r < rows; r++) sum[r * columns + v] = vec_fma(few[r], w, sum[r * columns + v]);
            VEC_FENCE;
        }
    } else {
        UNROLL
        for (size_t v = 0; v < columns; v++)
            few[v] = vec_load(weights + v / per_panel * panel_floats + v % per_panel * VECTOR);
        UNROLL
        for (size_t r = 0; r < rows; r++) {
            const vec value = vec_spread(x[r] + i);
            UNROLL
            for (size_t v = 0; v < columns; v++) sum[r * columns + v] = vec_fma(value, few[v], sum[r * columns + v]);
            VEC_FENCE;
        }
    }
}

/* sum[r * columns + v] += x[r][begin + i] * weights[i][v] for i < count in ascending order. */
FG_INLINE void add_products(const float *const *x, ptrdiff_t begin, size_t count, const float *weights,
                            size_t panel_floats, vec *sum, const size_t rows, const size_t columns)
{
    const ptrdiff_t end = begin + (ptrdiff_t)count;
    ptrdiff_t i = begin;
#ifdef SPREAD_ROWS
    for (; SPREAD_ROWS(rows, columns) > 0 && i + 4 <= end; i += 4, weights += 4 * FG_PANEL)
        four_products(x, i, weights, panel_floats, sum, rows, columns);
#endif
    const ptrdiff_t step = PRODUCTS_AT_ONCE(columns);
    for (; step > 1 && i + step <= end; i += step) {
        UNROLL
        for (ptrdiff_t n = 0; n < step; n++, weights += FG_PANEL)
            one_product(x, i + n, weights, panel_floats, sum, rows, columns);
    }
    _Pragma("GCC unroll 1") for (; i < end; i++, weights += FG_PANEL)
        one_product(x, i, weights, panel_floats, sum, rows, columns);
}

/* rows x columns vectors of results to out[r] + at, of the last one only part lanes if that is not 0. rows and columns
 * are constants at every call, so that all sums stay in registers. */
FG_INLINE void tile(const fg_gemm_f32_args *args, const gemm_block *block, const float *const *from, float *const *out,
                    size_t at, const size_t rows, const size_t columns, size_t part)
{
    const size_t panel_floats = block->panel_floats;
    const float *weights = block->weights, *x[MAX_ROWS];
    float *to[MAX_ROWS]; /* a store might change from and out, as far as compilers know */
    vec sum[MAX_SUMS];
    UNROLL
    for (size_t r = 0; r < rows; r++) x[r] = from[r];
    UNROLL
    for (size_t i = 0; i < rows * columns; i++) sum[i] = vec_zero();
    size_t left = block->count, tap = block->tap, k = block->k;
    while (left > 0) {
        const size_t run = fg_at_most(left, args->depth - k);
        add_products(x, args->offsets[tap] + (ptrdiff_t)k, run, weights, panel_floats, sum, rows, columns);
        weights += run * FG_PANEL;
        left -= run;
        k = 0;
        tap++;
    }
    UNROLL
    for (size_t r = 0; r < rows; r++) to[r] = out[r] + at;
    if (!block->first) {
        UNROLL
        for (size_t i = 0; i < rows * columns; i++)
            sum[i] = vec_add(load_lanes(to[i / columns] + i % columns * VECTOR, i % columns + 1 == columns ? part : 0),
                             sum[i]);
    }
    if (block->bias) {
        UNROLL
        for (size_t i = 0; i < rows * columns; i++)
            sum[i] = vec_add(sum[i], vec_load(block->bias + i % columns * VECTOR));
    }
    if (block->last && args->finish.steps) finish(&args->finish, sum, rows * columns);
    UNROLL
    for (size_t i = 0; i < rows * columns; i++)
        store_lanes(to[i / columns] + i % columns * VECTOR, sum[i], i % columns + 1 == columns ? part : 0);
}

#define TILE_ROWS(n)                                                                                                   \
    case n:                                                                                                            \
        if (n <= MAX_ROWS && n * columns <= MAX_SUMS) tile(args, block, from, out, at, n, columns, part);              \
        break;

FG_INLINE void tile_of(const fg_gemm_f32_args *args, const gemm_block *block, const float *const *from,
                       float *const *out, size_t at, size_t rows, const size_t columns, size_t part)
{
    /* clang-format off */
    switch (rows) {
    TILE_ROWS(1) TILE_ROWS(2) TILE_ROWS(3) TILE_ROWS(4) TILE_ROWS(5) TILE_ROWS(6)
    TILE_ROWS(7) TILE_ROWS(8) TILE_ROWS(9) TILE_ROWS(10) TILE_ROWS(11) TILE_ROWS(12)
    default: break;
    }
    /* clang-format on */
}

/* All tiles of count rows, of nearly equal height: no short last one. */
FG_INLINE void tiles_of(const fg_gemm_f32_args *args, const gemm_block *block, const float *const *from,
                        float *const *out, size_t at, size_t count, const size_t columns, size_t part)
{
    const size_t most = MAX_SUMS / columns < MAX_ROWS ? MAX_SUMS / columns : MAX_ROWS;
    const size_t tiles = (count + most - 1) / most, least = tiles ? count / tiles : 0;
    size_t higher = count - least * tiles; /* so many have a row more */
    for (size_t r = 0, rows; r < count; r += rows) {
        rows = higher ? least + 1 : least;
        if (higher) higher--;
        tile_of(args, block, from + r, out + r, at, rows, columns, part);
    }
}

/* A function for each number of columns: once in the library is enough. */
#define COLUMNS(columns)                                                                                               \
    static FG_NOINLINE void columns_##columns(const fg_gemm_f32_args *args, const gemm_block *block,                   \
                                              const float *const *from, float *const *out, size_t at, size_t count,    \
                                              size_t part)                                                             \
    {                                                                                                                  \
        tiles_of(args, block, from, out, at, count, columns, part);                                                    \
    }
COLUMNS(1)
COLUMNS(2)
COLUMNS(3)
COLUMNS(4)

static void (*const columns_of[])(const fg_gemm_f32_args *args, const gemm_block *block, const float *const *from,
                                  float *const *out, size_t at, size_t count,
                                  size_t part) = {NULL, columns_1, columns_2, columns_3, columns_4};

/* Some rows of all columns. Blocks of products outermost: the rows' numbers of one block stay in the first cache while
 * all columns pass, as do a column step's weights while all rows pass. */
FG_INLINE void rows_of(const fg_gemm_f32_args *args, size_t row, size_t count)
{
    const size_t total = args->taps * args->depth, vectors = (args->columns + VECTOR - 1) / VECTOR;
    gemm_block block = {.panel_floats = total * FG_PANEL};
    size_t done = 0;
    do {
        block.count = fg_at_most(total - done, FG_GEMM_BLOCK);
        block.first = done == 0;
        block.last = done + block.count == total;
        const float *weights = args->panels + done * FG_PANEL, *bias = block.last ? args->bias : NULL;
        for (size_t v = 0, width; v < vectors; v += width) {
            const size_t at = v * VECTOR;
            width = COLUMN_STEP(vectors - v);
            block.weights = weights + at / FG_PANEL * block.panel_floats + at % FG_PANEL;
            block.bias = bias ? bias + at : NULL;
            columns_of[width](args, &block, args->x + row, args->out + row, at, count,
                              v + width == vectors ? args->columns % VECTOR : 0);
        }
        done += block.count;
        block.k += block.count;
        while (block.k >= args->depth && done < total) block.k -= args->depth, block.tap++;
    } while (done < total);
}

FG_INLINE void gemm(const fg_gemm_f32_args *args)
{
    size_t parts = (args->rows + ROWS_AT_ONCE - 1) / ROWS_AT_ONCE, rows;
    for (size_t r = 0; parts > 0; parts--, r += rows) {
        rows = (args->rows - r + parts - 1) / parts;
        rows_of(args, r, rows);
    }
}
