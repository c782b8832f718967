/* gemm_tmpl.h: gemm_f32 for one vector type. The including file defines
 *     vec, VECTOR (its floats), MAX_ROWS of a register tile, MAX_SUMS (vectors) in it,
 *     vec_zero(), vec_load(p), vec_store(p, v), vec_spread(p), vec_fma(a, b, sum), vec_add(a, b), VEC_FENCE,
 * and what finish_tmpl.h asks for. With OWN_PRODUCTS it defines add_products itself, which vec_fma and VEC_FENCE serve. */
#include "finish_tmpl.h"

#include <string.h>

#define UNROLL _Pragma("GCC unroll 24")

/* One block of FG_GEMM_BLOCK products of some columns: what all tiles of rows share. */
typedef struct gemm_block {
    const float *weights, *bias; /* of the first column; bias NULL: none, or not yet */
    size_t panel_floats;         /* from a panel's weights to the next one's */
    size_t tap, k, count;        /* the first product's tap and place in it; products */
    int first, last;
} gemm_block;

#ifndef OWN_PRODUCTS
/* sum[r * columns + v] += x[r][begin + i] * weights[i][v] for i < count in ascending order. */
FG_INLINE void add_products(const float *const *x, ptrdiff_t begin, size_t count, const float *weights,
                            size_t panel_floats, vec *sum, const size_t rows, const size_t columns)
{
    const size_t per_panel = FG_PANEL / VECTOR;
    for (ptrdiff_t i = begin; i < begin + (ptrdiff_t)count; i++, weights += FG_PANEL) {
        vec w[MAX_SUMS];
        UNROLL
        for (size_t v = 0; v < columns; v++)
            w[v] = vec_load(weights + v / per_panel * panel_floats + v % per_panel * VECTOR);
        UNROLL
        for (size_t r = 0; r < rows; r++) {
            const vec value = vec_spread(x[r] + i);
            UNROLL
            for (size_t v = 0; v < columns; v++) sum[r * columns + v] = vec_fma(value, w[v], sum[r * columns + v]);
            VEC_FENCE;
        }
    }
}
#endif

/* rows x columns vectors of results to out[r] + at. rows and columns are constants at every call, so that all sums stay
 * in registers. */
FG_INLINE void tile(const fg_gemm_f32_args *args, const gemm_block *block, const float *const *from, float *const *out,
                    size_t at, const size_t rows, const size_t columns)
{
    const size_t panel_floats = block->panel_floats;
    const float *weights = block->weights, *x[MAX_ROWS];
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
    if (!block->first) {
        UNROLL
        for (size_t i = 0; i < rows * columns; i++)
            sum[i] = vec_add(vec_load(out[i / columns] + at + i % columns * VECTOR), sum[i]);
    }
    if (block->bias) {
        UNROLL
        for (size_t i = 0; i < rows * columns; i++)
            sum[i] = vec_add(sum[i], vec_load(block->bias + i % columns * VECTOR));
    }
    if (block->last && args->finish.steps) finish(&args->finish, sum, rows * columns);
    UNROLL
    for (size_t i = 0; i < rows * columns; i++) vec_store(out[i / columns] + at + i % columns * VECTOR, sum[i]);
}

#define TILE_ROWS(n)                                                                                                   \
    case n:                                                                                                            \
        if (n <= MAX_ROWS && n * columns <= MAX_SUMS) tile(args, block, from, out, at, n, columns);                    \
        break;

FG_INLINE void tile_of(const fg_gemm_f32_args *args, const gemm_block *block, const float *const *from,
                       float *const *out, size_t at, size_t rows, const size_t columns)
{
    /* clang-format off */
    switch (rows) {
    TILE_ROWS(1) TILE_ROWS(2) TILE_ROWS(3) TILE_ROWS(4) TILE_ROWS(5) TILE_ROWS(6)
    TILE_ROWS(7) TILE_ROWS(8) TILE_ROWS(9) TILE_ROWS(10) TILE_ROWS(11) TILE_ROWS(12)
    default: break;
    }
    /* clang-format on */
}

/* columns vectors from float offset of a panel on, for count rows, to out[r] + at. Blocks of products outermost: a
 * block's weights stay in the first cache while all rows pass. */
FG_INLINE void rows_of(const fg_gemm_f32_args *args, size_t panel, size_t offset, const float *const *from,
                       float *const *out, size_t at, size_t count, const size_t columns)
{
    const size_t total = args->taps * args->depth;
    const float *bias = args->bias ? args->bias + panel * FG_PANEL + offset : NULL;
    gemm_block block = {.weights = args->panels + panel * total * FG_PANEL + offset, .panel_floats = total * FG_PANEL};
    size_t done = 0;
    do {
        block.count = fg_at_most(total - done, FG_GEMM_BLOCK);
        block.first = done == 0;
        block.last = done + block.count == total;
        block.bias = block.last ? bias : NULL;
        size_t tiles = (count + MAX_ROWS - 1) / MAX_ROWS, rows; /* of nearly equal height: no short last one */
        for (size_t r = 0; tiles > 0; tiles--, r += rows) {
            rows = (count - r + tiles - 1) / tiles;
            tile_of(args, &block, from + r, out + r, at, rows, columns);
        }
        done += block.count;
        block.weights += block.count * FG_PANEL;
        block.k += block.count;
        while (block.k >= args->depth && done < total) block.k -= args->depth, block.tap++;
    } while (done < total);
}

#ifndef OWN_PRODUCTS
/* The columns behind the last whole panel, through a panel of our own. */
FG_INLINE void last_columns(const fg_gemm_f32_args *args, const size_t step)
{
    const size_t panel = args->columns / FG_PANEL, left = args->columns % FG_PANEL;
    float spill[MAX_ROWS][FG_PANEL], *out[MAX_ROWS];
    for (size_t r = 0; r < MAX_ROWS; r++) out[r] = spill[r];
    for (size_t done = 0, rows; done < args->rows; done += rows) {
        rows = fg_at_most(args->rows - done, MAX_ROWS);
        for (size_t at = 0; at < left; at += step * VECTOR)
            rows_of(args, panel, at, args->x + done, out, at, rows, step);
        for (size_t r = 0; r < rows; r++)
            memcpy(args->out[done + r] + panel * FG_PANEL, spill[r], left * sizeof(float));
    }
}

/* All columns, step vectors at once (whole panels or parts of one). */
FG_INLINE void gemm(const fg_gemm_f32_args *args, const size_t step, const size_t last_step)
{
    const size_t whole = args->columns / FG_PANEL * FG_PANEL;
    size_t at = 0;
    for (; at + step * VECTOR <= whole; at += step * VECTOR)
        rows_of(args, at / FG_PANEL, at % FG_PANEL, args->x, args->out, at, args->rows, step);
    for (; at < whole; at += last_step * VECTOR)
        rows_of(args, at / FG_PANEL, at % FG_PANEL, args->x, args->out, at, args->rows, last_step);
    if (whole < args->columns) last_columns(args, last_step);
}
#endif
