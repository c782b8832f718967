/* gemm.c: gemm_f32 with NEON: tiles of up to 5 rows by a panel in the 32 registers of AArch64, 4 rows by half a panel
 * in the 16 of Armv7. */
#if defined(__GNUC__) && !defined(__clang__)
/* Loads moved up before registers are given out push sums out of them. */
#pragma GCC optimize("no-schedule-insns")
#endif

#include "neon.h"

#if defined(__ARM_NEON) && defined(__ARM_FEATURE_FMA)

#include "vector.h"

#include "../loops.h"

#if defined(__aarch64__)

#include "../finish_tmpl.h"

enum { VECTOR = 4, PANEL_VECTORS = FG_PANEL / VECTOR, MAX_ROWS = 10, MAX_SUMS = 20, MAX_PANELS = 4 };

#define UNROLL _Pragma("GCC unroll 24")

/* Compilers would count addresses from where p once was, and add for each of them, where a load can move p on. */
#define KEEP(p) __asm__("" : "+r"(p))

/* One block of FG_GEMM_BLOCK products of some columns: what all tiles of rows share. */
typedef struct gemm_block {
    const float *weights, *bias; /* of the first column; bias NULL: none, or not yet */
    size_t panel_floats;         /* from a panel's weights to the next one's */
    const ptrdiff_t *offset;     /* of the first product's tap */
    ptrdiff_t begin;             /* where its numbers begin */
    size_t count, run, depth;    /* products, in the first tap, in a tap */
    int first, biased;           /* biased: a bias is added sooner or later */
    fg_finish finish;
} gemm_block;

/* Whether four vectors of weights are loaded by one instruction, into registers in a row, which Clang does not find
 * beside many sums. */
#if defined(__clang__)
#define IN_A_ROW(vectors, sums) ((vectors) > 2 && (sums) <= 16)
#else
#define IN_A_ROW(vectors, sums) ((vectors) > 2)
#endif

/* Weights of product (0 to 3) of a step of four; those in a row are taken one after the other. */
FG_INLINE void load_weights(const float **at, const size_t product, vec *w, const size_t vectors, const int in_a_row)
{
    if (in_a_row) {
        const float32x4x4_t panel = vld1q_f32_x4(*at);
        w[0] = panel.val[0], w[1] = panel.val[1], w[2] = panel.val[2], w[3] = panel.val[3];
        *at += FG_PANEL;
        KEEP(*at);
    } else {
        UNROLL
        for (size_t n = 0; n < vectors; n++) w[n] = vld1q_f32(*at + product * FG_PANEL + n * VECTOR);
    }
}

/* One product of every row and column; the rows' numbers are a lane of x4. */
#define PRODUCT(number, lane, start)                                                                                   \
    UNROLL                                                                                                             \
    for (size_t v = 0; v < columns; v += PANEL_VECTORS) {                                                              \
        vec w[PANEL_VECTORS];                                                                                          \
        load_weights(&at[v / PANEL_VECTORS], number, w, vectors, in_a_row);                                            \
        UNROLL                                                                                                         \
        for (size_t r = 0; r < rows; r++) {                                                                            \
            UNROLL                                                                                                     \
            for (size_t n = 0; n < vectors; n++) {                                                                     \
                vec *s = &sum[r * columns + v + n];                                                                    \
                *s = (start) ? vmulq_laneq_f32(w[n], x4[r], lane) : vfmaq_laneq_f32(*s, w[n], x4[r], lane);            \
            }                                                                                                          \
        }                                                                                                              \
    }

/* The next products of all rows: four, or one. */
FG_INLINE void four_products(const float **x, const float **at, vec *sum, const size_t rows, const size_t columns,
                             const int start)
{
    const size_t vectors = columns < PANEL_VECTORS ? columns : PANEL_VECTORS;
    const int in_a_row = IN_A_ROW(vectors, rows * columns);
    vec x4[MAX_ROWS];
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        x4[r] = vld1q_f32(x[r]);
        x[r] += VECTOR;
        KEEP(x[r]);
    }
    PRODUCT(0, 0, start)
    PRODUCT(1, 1, 0)
    PRODUCT(2, 2, 0)
    PRODUCT(3, 3, 0)
    if (!in_a_row) at[0] += 4 * FG_PANEL;
}

FG_INLINE void one_product(const float **x, const float **at, vec *sum, const size_t rows, const size_t columns)
{
    const size_t vectors = columns < PANEL_VECTORS ? columns : PANEL_VECTORS;
    const int in_a_row = IN_A_ROW(vectors, rows * columns);
    vec x4[MAX_ROWS];
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        x4[r] = vld1q_dup_f32(x[r]);
        x[r]++;
        KEEP(x[r]);
    }
    PRODUCT(0, 0, 0)
    if (!in_a_row) at[0] += FG_PANEL;
}

/* Moves all rows' pointers on. */
FG_INLINE void step(const float **x, ptrdiff_t by, const size_t rows)
{
    UNROLL
    for (size_t r = 0; r < rows; r++) x[r] += by;
}

/* Where there is a bias, which is never -0, no sum's zero keeps its sign: the first product needs no 0 to start from.
 */
FG_INLINE void add_products(const gemm_block *block, const float *const *from, vec *sum, const size_t rows,
                            const size_t columns)
{
    const float *at[MAX_PANELS], *x[MAX_ROWS];
    const ptrdiff_t *offset = block->offset;
    size_t run = block->run, left = block->count - run;
    UNROLL
    for (size_t r = 0; r < rows; r++) x[r] = from[r];
    if (block->begin) step(x, block->begin, rows); /* most often 0 */
    UNROLL
    for (size_t v = 0; v < columns; v += PANEL_VECTORS) at[v / 4] = block->weights + v / 4 * block->panel_floats;
    if (block->biased && run >= 4) {
        four_products(x, at, sum, rows, columns, 1);
        run -= 4;
    } else {
        UNROLL
        for (size_t s = 0; s < rows * columns; s++) sum[s] = vec_zero();
    }
    for (;;) {
        const float *const end = x[0] + run;
        for (const float *last = end - 4; x[0] <= last;) four_products(x, at, sum, rows, columns, 0);
        while (x[0] < end) one_product(x, at, sum, rows, columns);
        if (left == 0) break;
        step(x, from[0] + *++offset - x[0], rows);
        run = fg_at_most(left, block->depth);
        left -= run;
    }
}

/* rows x columns vectors of results to out[r] + at. rows and columns are constants at every call, so that all sums stay
 * in registers. */
FG_INLINE void tile(const gemm_block *block, const float *const *from, float *const *out, size_t at, const size_t rows,
                    const size_t columns)
{
    vec sum[MAX_SUMS];
    float *to[MAX_ROWS];
    add_products(block, from, sum, rows, columns);
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        to[r] = out[r] + at;
        KEEP(to[r]);
    }
    if (!block->first) {
        UNROLL
        for (size_t s = 0; s < rows * columns; s++)
            sum[s] = vec_add(vec_load(to[s / columns] + s % columns * VECTOR), sum[s]);
    }
    if (block->bias) {
        vec bias[MAX_SUMS];
        UNROLL
        for (size_t n = 0; n < columns; n++) bias[n] = vec_load(block->bias + n * VECTOR);
        UNROLL
        for (size_t s = 0; s < rows * columns; s++) sum[s] = vec_add(sum[s], bias[s % columns]);
    }
    if (block->finish.steps) finish(&block->finish, sum, rows * columns);
    UNROLL
    for (size_t s = 0; s < rows * columns; s++) vec_store(to[s / columns] + s % columns * VECTOR, sum[s]);
}

#include "gemm_tiles.h"

/* count tiles of the same height. */
#define TILES(n)                                                                                                       \
    case n:                                                                                                            \
        if (n <= MAX_ROWS && n * columns <= MAX_SUMS)                                                                  \
            for (; count > 0; count--, from += n, out += n) {                                                          \
                if (columns == 4 && n == 5) {                                                                          \
                    five_by_panel(own, &block->finish, from, out, at);                                                 \
                } else if (columns == 4 && n == 4) {                                                                   \
                    four_by_panel(own, &block->finish, from, out, at);                                                 \
                } else if (columns == 2 && n == 10) {                                                                  \
                    ten_by_half(own, &block->finish, from, out, at);                                                   \
                } else if (columns == 2 && n == 9) {                                                                   \
                    nine_by_half(own, &block->finish, from, out, at);                                                  \
                } else {                                                                                               \
                    tile(block, from, out, at, n, columns);                                                            \
                }                                                                                                      \
            }                                                                                                          \
        break;

/* A function for each number of columns. */
/* clang-format off */
#define COLUMNS(name, columns_)                                                                                        \
    static void name(const gemm_block *block, const float *const *from, float *const *out, size_t at, size_t rows,     \
                     size_t count)                                                                                     \
    {                                                                                                                  \
        const gemm_block own = *block;                                                                                 \
        const size_t columns = columns_;                                                                               \
        switch (rows) {                                                                                                \
        TILES(1) TILES(2) TILES(3) TILES(4) TILES(5)                                                                   \
        TILES(6) TILES(7) TILES(8) TILES(9) TILES(10)                                                                  \
        default: break;                                                                                                \
        }                                                                                                              \
    }
/* clang-format on */
COLUMNS(one_vector, 1)
COLUMNS(two_vectors, 2)
COLUMNS(three_vectors, 3)
COLUMNS(one_panel, 4)
COLUMNS(two_panels, 8)
COLUMNS(four_panels, 16)

static void (*const tiles_of[])(const gemm_block *block, const float *const *from, float *const *out, size_t at,
                                size_t rows, size_t count) = {[1] = one_vector, [2] = two_vectors, [3] = three_vectors,
                                                              [4] = one_panel,  [8] = two_panels,  [16] = four_panels};

/* columns vectors from a panel on, for count rows, to out[r] + at. Blocks of products outermost: a block's weights stay
 * in the first cache while all rows pass. */
static void rows_of(const fg_gemm_f32_args *args, size_t panel, const float *const *from, float *const *out, size_t at,
                    size_t count, size_t columns)
{
    const size_t total = args->taps * args->depth, most = fg_at_most(MAX_SUMS / columns, MAX_ROWS);
    const size_t all = (count + most - 1) / most, low = count / all, higher = count - low * all;
    gemm_block block = {.weights = args->panels + panel * total * FG_PANEL,
                        .panel_floats = total * FG_PANEL,
                        .depth = args->depth,
                        .biased = args->bias != NULL,
                        .first = 1};
    size_t done = 0, k = 0;
    block.offset = args->offsets;
    do {
        block.count = fg_at_most(total - done, FG_GEMM_BLOCK);
        block.run = fg_at_most(block.count, args->depth - k);
        block.begin = total ? *block.offset + (ptrdiff_t)k : 0;
        done += block.count;
        if (done == total) {
            block.bias = args->bias ? args->bias + panel * FG_PANEL : NULL;
            block.finish = args->finish;
        }
        /* of nearly equal height: no short last one */
        if (higher) tiles_of[columns](&block, from, out, at, low + 1, higher);
        tiles_of[columns](&block, from + higher * (low + 1), out + higher * (low + 1), at, low, all - higher);
        block.first = 0;
        block.weights += block.count * FG_PANEL;
        for (k += block.count; k >= args->depth && done < total; k -= args->depth) block.offset++;
    } while (done < total);
}

/* The columns behind the last whole panel: as many vectors as there are numbers for, the last one from a panel of our
 * own where it is not full. */
static void last_part(const fg_gemm_f32_args *args, size_t panel)
{
    const size_t left = args->columns % FG_PANEL, vectors = (left + VECTOR - 1) / VECTOR;
    if (left % VECTOR == 0) {
        rows_of(args, panel, args->x, args->out, panel * FG_PANEL, args->rows, vectors);
        return;
    }
    float spill[MAX_ROWS][FG_PANEL], *out[MAX_ROWS];
    for (size_t r = 0; r < MAX_ROWS; r++) out[r] = spill[r];
    for (size_t done = 0, rows; done < args->rows; done += rows) {
        rows = fg_at_most(args->rows - done, MAX_ROWS);
        rows_of(args, panel, args->x + done, out, 0, rows, vectors);
        for (size_t r = 0; r < rows; r++)
            memcpy(args->out[done + r] + panel * FG_PANEL, spill[r], left * sizeof(float));
    }
}

/* Few rows take more columns at once: an FMA's latency wants many independent sums. */
void fg_gemm_f32_neon(const fg_gemm_f32_args *args)
{
    const size_t panels = args->columns / FG_PANEL, rows = args->rows;
    size_t p = 0;
    if (rows == 0) return;
    for (; rows == 1 && p + 4 <= panels; p += 4) rows_of(args, p, args->x, args->out, p * FG_PANEL, rows, 16);
    for (; rows <= 2 && p + 2 <= panels; p += 2) rows_of(args, p, args->x, args->out, p * FG_PANEL, rows, 8);
    for (; p < panels; p++) rows_of(args, p, args->x, args->out, p * FG_PANEL, rows, 4);
    if (p * FG_PANEL < args->columns) last_part(args, p);
}

#else

/* Loading all rows' values early would push sums out of registers. */
#define VEC_FENCE __asm__ volatile("" ::: "memory")

enum { VECTOR = 4, MAX_ROWS = 4, MAX_SUMS = 8, ROWS_AT_ONCE = 36 };

#define PRODUCTS_AT_ONCE(columns) 1

#define COLUMN_STEP(left) ((left) < 2 ? (left) : 2)

#include "../gemm_tmpl.h"

void fg_gemm_f32_neon(const fg_gemm_f32_args *args) { gemm(args); }

#endif

#endif
