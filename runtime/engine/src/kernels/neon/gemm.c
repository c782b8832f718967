/* gemm.c: gemm_f32 with NEON: tiles of up to 6 rows by a panel in the 32 registers of AArch64, 4 rows by half a panel
 * in the 16 of Armv7. */
#if defined(__GNUC__) && !defined(__clang__)
/* Loads moved up before registers are given out push sums out of them. */
#pragma GCC optimize("no-schedule-insns")
#endif

#include "neon.h"

#if defined(__ARM_NEON) && defined(__ARM_FEATURE_FMA)

#include "vector.h"

#include "../loops.h"

/* Loading all rows' values early would push sums out of registers. */
#define VEC_FENCE __asm__ volatile("" ::: "memory")

#if defined(__aarch64__)

enum { VECTOR = 4, MAX_ROWS = 6, MAX_SUMS = 24 };

/* Vectors of weights loaded together: as many as the sums leave registers for, by each compiler's way with them. */
#if defined(__clang__)
#define AT_ONCE(sums) ((sums) > 20 ? 1 : (sums) > 16 ? 2 : 4)
#else
#define AT_ONCE(sums) ((sums) > 20 ? 2 : 4)
#endif

#define OWN_PRODUCTS
#define UNROLL _Pragma("GCC unroll 24")

FG_INLINE void load_weights(const float *from, vec *w, const size_t vectors)
{
    if (vectors == 4) {
        const float32x4x4_t panel = vld1q_f32_x4(from);
        w[0] = panel.val[0], w[1] = panel.val[1], w[2] = panel.val[2], w[3] = panel.val[3];
    } else {
        UNROLL
        for (size_t n = 0; n < vectors; n++) w[n] = vld1q_f32(from + n * VECTOR);
    }
}

/* One product of every row and column; the rows' numbers are lane of x4. */
#define ADD_LANE(lane)                                                                                                 \
    UNROLL                                                                                                             \
    for (size_t v = 0; v < columns; v += at_once) {                                                                    \
        vec w[4] = {vec_zero(), vec_zero(), vec_zero(), vec_zero()};                                                   \
        load_weights(at[v / 4] + v % 4 * VECTOR, w, at_once);                                                          \
        if (v + at_once == columns || v % 4 + at_once == 4) at[v / 4] += FG_PANEL;                                     \
        UNROLL                                                                                                         \
        for (size_t r = 0; r < rows; r++) {                                                                            \
            UNROLL                                                                                                     \
            for (size_t n = 0; n < at_once; n++)                                                                       \
                sum[r * columns + v + n] = vfmaq_laneq_f32(sum[r * columns + v + n], w[n], x4[r], lane);               \
        }                                                                                                              \
    }

/* As in gemm_tmpl.h, four numbers of a row at a time. */
FG_INLINE void add_products(const float *const *x, ptrdiff_t begin, size_t count, const float *weights,
                            size_t panel_floats, vec *sum, const size_t rows, const size_t columns)
{
    const size_t at_once = columns % 4 ? 1 : AT_ONCE(rows * columns);
    const ptrdiff_t end = begin + (ptrdiff_t)count;
    const float *at[4];
    vec x4[MAX_ROWS];
    ptrdiff_t i = begin;
    UNROLL
    for (size_t p = 0; p < (columns + 3) / 4; p++) at[p] = weights + p * panel_floats;
    for (; i + 4 <= end; i += 4) {
        UNROLL
        for (size_t r = 0; r < rows; r++) x4[r] = vld1q_f32(x[r] + i);
        ADD_LANE(0)
        ADD_LANE(1)
        ADD_LANE(2)
        ADD_LANE(3)
    }
    for (; i < end; i++) {
        UNROLL
        for (size_t r = 0; r < rows; r++) x4[r] = vld1q_dup_f32(x[r] + i);
        ADD_LANE(0)
    }
}

#include "../gemm_tmpl.h"

/* A function for each number of columns: once in the library is enough. */
#define COLUMNS(name, columns)                                                                                         \
    static __attribute__((noinline)) void name(const fg_gemm_f32_args *args, size_t panel, const float *const *from,   \
                                               float *const *out, size_t at, size_t rows)                              \
    {                                                                                                                  \
        rows_of(args, panel, 0, from, out, at, rows, columns);                                                         \
    }
COLUMNS(four_panels, 16)
COLUMNS(two_panels, 8)
COLUMNS(one_panel, 4)
COLUMNS(three_vectors, 3)
COLUMNS(two_vectors, 2)
COLUMNS(one_vector, 1)

static void (*const part_of_panel[])(const fg_gemm_f32_args *args, size_t panel, const float *const *from,
                                     float *const *out, size_t at,
                                     size_t rows) = {NULL, one_vector, two_vectors, three_vectors, one_panel};

/* The columns behind the last whole panel: as many vectors as there are numbers for, the last one from a panel of our
 * own where it is not full. */
static void last_part(const fg_gemm_f32_args *args, size_t panel)
{
    const size_t left = args->columns % FG_PANEL, vectors = (left + VECTOR - 1) / VECTOR;
    if (left % VECTOR == 0) {
        part_of_panel[vectors](args, panel, args->x, args->out, panel * FG_PANEL, args->rows);
        return;
    }
    float spill[MAX_ROWS][FG_PANEL], *out[MAX_ROWS];
    for (size_t r = 0; r < MAX_ROWS; r++) out[r] = spill[r];
    for (size_t done = 0, rows; done < args->rows; done += rows) {
        rows = fg_at_most(args->rows - done, MAX_ROWS);
        part_of_panel[vectors](args, panel, args->x + done, out, 0, rows);
        for (size_t r = 0; r < rows; r++)
            memcpy(args->out[done + r] + panel * FG_PANEL, spill[r], left * sizeof(float));
    }
}

/* Few rows take more columns at once: an FMA's latency wants many independent sums. */
void fg_gemm_f32_neon(const fg_gemm_f32_args *args)
{
    const size_t panels = args->columns / FG_PANEL, rows = args->rows;
    size_t p = 0;
    for (; rows == 1 && p + 4 <= panels; p += 4) four_panels(args, p, args->x, args->out, p * FG_PANEL, rows);
    for (; rows <= 2 && p + 2 <= panels; p += 2) two_panels(args, p, args->x, args->out, p * FG_PANEL, rows);
    for (; p < panels; p++) one_panel(args, p, args->x, args->out, p * FG_PANEL, rows);
    if (p * FG_PANEL < args->columns) last_part(args, p);
}

#else

enum { VECTOR = 4, MAX_ROWS = 4, MAX_SUMS = 8, ROWS_AT_ONCE = 36 };

#define COLUMN_STEP(left, rows) ((left) < 2 ? (left) : 2)

#include "../gemm_tmpl.h"

void fg_gemm_f32_neon(const fg_gemm_f32_args *args) { gemm(args); }

#endif

#endif
