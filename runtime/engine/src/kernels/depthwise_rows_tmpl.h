/* depthwise_rows_tmpl.h: depthwise_rows_f32 for one vector type, in tiles of windows that share what they read: a
 * number is loaded once for all windows of the tile it is in. Rows and columns outside the map are stepped over, so
 * tiles at the edges cost less than others, not more. The including file defines what gemm_tmpl.h asks for, and
 * ROWS_LEAST: the smallest size there is;
 * TILE_ROWS, 1 or 2, and TILE_COLS: so many windows are computed together. */
#include "finish_tmpl.h"

#define TILE_UNROLL _Pragma("GCC unroll 32")

/* Moves a pointer on, unseen: compilers would keep its sums with all multiples of the step in registers, and spill. */
#define MOVE_ON(pointer, step)                                                                                         \
    do {                                                                                                               \
        (pointer) += (step);                                                                                           \
        __asm__("" : "+r"(pointer));                                                                                   \
    } while (0)

/* Windows of one vector of channels, in one row or two. Steps count numbers. */
typedef struct tile {
    const float *x; /* where the first window begins, in the map or not */
    ptrdiff_t row, col;
    ptrdiff_t left, right; /* columns left .. right - 1 from there on lie inside and are needed */
    ptrdiff_t top, bottom; /* rows, likewise */
    const float *weights;
    size_t tap; /* between two taps' weights */
} tile;

/* Weights of kernel row ky. */
FG_INLINE void load_weights(const tile *t, ptrdiff_t ky, vec *w, const size_t size)
{
    const float *from = t->weights + (size_t)ky * size * t->tap;
    TILE_UNROLL
    for (size_t k = 0; k < size; k++) {
        w[k] = vec_load(from + k % 3 * t->tap);
        if (k % 3 == 2) MOVE_ON(from, 3 * t->tap);
    }
}

/* Adds row i of a tile: its products with the weights w[r] in row r of windows. Constants at every call: size, stride,
 * and which rows of windows, from first to end - 1. */
FG_INLINE void tile_row(const tile *t, ptrdiff_t i, const vec *const *w, vec *sum, const size_t size,
                        const size_t stride, const size_t first, const size_t end)
{
    const float *x = t->x + i * t->row;
    TILE_UNROLL
    for (size_t j = 0; j < (TILE_COLS - 1) * stride + size; j++) {
        if ((ptrdiff_t)j >= t->right) break;
        if (j >= size - 1 || (ptrdiff_t)j >= t->left) {
            vec column = vec_load(x + (ptrdiff_t)(j % 3) * t->col);
            vec_keep(column); /* GCC would read it anew for each product */
            TILE_UNROLL
            for (size_t p = 0; p < TILE_COLS; p++) {
                const size_t k = j - p * stride; /* huge if before the window */
                TILE_UNROLL
                for (size_t r = first; r < end; r++)
                    if (k < size) sum[r * TILE_COLS + p] = vec_fma(column, w[r][k], sum[r * TILE_COLS + p]);
            }
        }
        if (j % 3 == 2) MOVE_ON(x, 3 * t->col);
    }
}

/* 5x5: a kernel row's weights are loaded for every row of every tile. */
FG_INLINE void tile_5(const tile *t, size_t rows, vec *sum, const size_t stride)
{
    ptrdiff_t i = t->top;
    const ptrdiff_t second = TILE_ROWS > 1 && rows > 1 ? (ptrdiff_t)stride : t->bottom;
    vec w[2][5];
    const vec *const both[2] = {w[0], w[1]};
    for (; i < t->bottom && i < second; i++) {
        load_weights(t, i, w[0], 5);
        tile_row(t, i, both, sum, 5, stride, 0, 1);
    }
    if (TILE_ROWS == 1) return;
    for (; i < t->bottom && i < 5; i++) {
        load_weights(t, i, w[0], 5);
        load_weights(t, i - (ptrdiff_t)stride, w[1], 5);
        tile_row(t, i, both, sum, 5, stride, 0, 2);
    }
    for (; i < t->bottom; i++) {
        load_weights(t, i - (ptrdiff_t)stride, w[1], 5);
        tile_row(t, i, both, sum, 5, stride, 1, 2);
    }
}

/* 3x3: all weights stay in registers. With stride 2 a single row of windows goes as two would: one of five rows of
 * input is read by both. */
FG_INLINE void tile_3(const tile *t, size_t rows, const vec *w, vec *sum, const size_t stride)
{
    if (rows == 1 && stride == 1) {
        TILE_UNROLL
        for (ptrdiff_t i = 0; i < 3; i++) {
            const vec *const one[2] = {w + 3 * i, NULL};
            if (i >= t->top && i < t->bottom) tile_row(t, i, one, sum, 3, stride, 0, 1);
        }
        return;
    }
    TILE_UNROLL
    for (size_t i = 0; i < 3 + stride; i++) {
        const size_t first = i < 3 ? 0 : 1, end = i < stride ? 1 : 2;
        const vec *const both[2] = {first ? NULL : w + 3 * i, end > 1 ? w + 3 * (i - stride) : NULL};
        if ((ptrdiff_t)i >= t->top && (ptrdiff_t)i < t->bottom)
            tile_row(t, (ptrdiff_t)i, both, sum, 3, stride, first, end);
    }
}

/* Bias, activation and store of cols windows in each of rows rows. */
FG_INLINE void store_tile(const fg_depthwise_rows_f32_args *args, size_t c, vec *sum, float *const *out, size_t rows,
                          size_t cols)
{
    if (args->bias) {
        const vec bias = vec_load(args->bias + c);
        TILE_UNROLL
        for (size_t n = 0; n < TILE_ROWS * TILE_COLS; n++) sum[n] = vec_add(sum[n], bias);
    }
    if (args->finish.steps) finish(&args->finish, sum, TILE_ROWS * TILE_COLS);
    TILE_UNROLL
    for (size_t r = 0; r < TILE_ROWS; r++) {
        if (r >= rows) break;
        float *to = out[r];
        TILE_UNROLL
        for (size_t p = 0; p < TILE_COLS; p++) {
            if (p >= cols) break;
            vec_store(to, sum[r * TILE_COLS + p]);
            MOVE_ON(to, args->out_stride);
        }
    }
}

/* One vector of channels, from c on, of a piece, and of the one below it if rows is 2. Each window takes its taps in
 * order. Constants at every call: size, stride. */
FG_INLINE void tiles(const fg_depthwise_rows_f32_args *args, const fg_depthwise_piece *piece, size_t rows, size_t c,
                     const size_t size, const size_t stride)
{
    const ptrdiff_t top = (ptrdiff_t)(piece->row * stride) - (ptrdiff_t)args->pad_top,
                    below = (ptrdiff_t)args->rows - top, reach = (ptrdiff_t)((rows - 1) * stride + size);
    tile t = {.row = (ptrdiff_t)(args->cols * args->x_stride), .col = (ptrdiff_t)args->x_stride};
    t.weights = args->weights + c;
    t.tap = args->channels;
    t.top = top < 0 ? -top : 0;
    t.bottom = below < reach ? below : reach;
    vec w[9];
    if (size == 3) {
        TILE_UNROLL
        for (ptrdiff_t ky = 0; ky < 3; ky++) load_weights(&t, ky, w + 3 * ky, 3);
    }
    for (size_t i = 0; i < piece->pixels; i += TILE_COLS) {
        const size_t cols = fg_at_most(piece->pixels - i, TILE_COLS);
        const ptrdiff_t left = (ptrdiff_t)((piece->col + i) * stride) - (ptrdiff_t)args->pad_left,
                        behind = (ptrdiff_t)args->cols - left, needed = (ptrdiff_t)((cols - 1) * stride + size);
        t.left = left < 0 ? -left : 0;
        t.right = behind < needed ? behind : needed;
        t.x = args->x + top * t.row + left * t.col + (ptrdiff_t)c;
        vec sum[TILE_ROWS * TILE_COLS];
        TILE_UNROLL
        for (size_t n = 0; n < TILE_ROWS * TILE_COLS; n++) sum[n] = vec_zero();
        if (ROWS_LEAST == 3 && size == 3) tile_3(&t, rows, w, sum, stride);
        if (size == 5) tile_5(&t, rows, sum, stride);
        float *const out[2] = {piece->out + i * args->out_stride + c,
                               rows > 1 ? piece[1].out + i * args->out_stride + c : NULL};
        store_tile(args, c, sum, out, rows, cols);
    }
}

typedef void tiles_function(const fg_depthwise_rows_f32_args *args, const fg_depthwise_piece *piece, size_t rows,
                            size_t c);

#define TILES(size, stride)                                                                                            \
    static FG_NOINLINE void tiles_##size##_##stride(const fg_depthwise_rows_f32_args *args,                            \
                                                    const fg_depthwise_piece *piece, size_t rows, size_t c)            \
    {                                                                                                                  \
        tiles(args, piece, rows, c, size, stride);                                                                     \
    }
#if ROWS_LEAST == 3
TILES(3, 1)
TILES(3, 2)
#else
#define tiles_3_1 NULL
#define tiles_3_2 NULL
#endif
TILES(5, 1)
TILES(5, 2)

/* Few channels at a time, so that a pair of rows finds in the first cache what it shares with the pair before. */
enum { ROWS_BLOCK = 64 };

FG_INLINE void depthwise_rows(const fg_depthwise_rows_f32_args *args)
{
    static tiles_function *const all[2][2] = {{tiles_3_1, tiles_3_2}, {tiles_5_1, tiles_5_2}};
    tiles_function *compute = all[args->size == 5][args->stride == 2];
    for (size_t first = 0; first < args->channels; first += ROWS_BLOCK) {
        const size_t end = fg_at_most(first + ROWS_BLOCK, args->channels);
        for (size_t k = 0, rows; k < args->piece_count; k += rows) {
            const fg_depthwise_piece *piece = &args->pieces[k];
            rows = 1;
            if (TILE_ROWS > 1 && k + 1 < args->piece_count && piece[1].row == piece->row + 1 &&
                piece[1].col == piece->col && piece[1].pixels == piece->pixels)
                rows = 2;
            for (size_t at = first; at < end; at += VECTOR) compute(args, piece, rows, fg_at_most(at, end - VECTOR));
        }
    }
}
