/* depthwise.c: depthwise_f32 with NEON. On AArch64 by kernels of its own: instructions go into products, not into
 * addresses. */
#if defined(__GNUC__) && !defined(__clang__)
/* As in gemm.c; without the other, a tenth of the instructions of shared columns would copy sums. */
#pragma GCC optimize("no-schedule-insns", "no-tree-ter")
#endif

#include "neon.h"

#if defined(__ARM_NEON) && defined(__ARM_FEATURE_FMA)

#include "vector.h"

enum { VECTOR = 4 };

#if defined(__aarch64__)

#include "../depthwise_window.h"
#include "../finish_tmpl.h"

enum { MOST_SUMS = 16, MOST_TAPS = 25, MOST_ROWS = 5, MOST_COLUMNS = 11 };

#define UNROLL _Pragma("GCC unroll 32")

/* The compiler does not know any more how a number came about: it stays in a register. */
#define KEEP(x) __asm__("" : "+r"(x))

FG_INLINE const float *ahead(const float *p, ptrdiff_t bytes)
{
    return (const float *)(const void *)((const char *)p + bytes);
}

FG_INLINE float *ahead_to(float *p, ptrdiff_t bytes) { return (float *)(void *)((char *)p + bytes); }

/* count vectors side by side, four by one instruction; part: the first part lanes of one. */
FG_INLINE void load_row(const float *p, vec *v, const size_t count, size_t part)
{
    if (count == 4) {
        const float32x4x4_t four = vld1q_f32_x4(p);
        v[0] = four.val[0], v[1] = four.val[1], v[2] = four.val[2], v[3] = four.val[3];
        return;
    }
    UNROLL
    for (size_t n = 0; n < count; n++) v[n] = load_lanes(p + n * VECTOR, part);
}

/* pixels x vectors results from pixel i of a run, channel c: any taps. pixels and vectors are constants at every call.
 */
FG_INLINE void group(const fg_depthwise_f32_args *args, const fg_depthwise_run *run, size_t i, size_t c,
                     const size_t pixels, const size_t vectors, size_t part)
{
    const size_t together = vectors < 4 ? vectors : 4, step = args->step;
    const float *x = run->x + i * step + c, *weights = args->weights + c;
    float *out = run->out + i * args->out_stride + c;
    vec sum[MOST_SUMS];
    KEEP(x);
    KEEP(weights);
    UNROLL
    for (size_t n = 0; n < pixels * vectors; n++) sum[n] = vec_zero();
    for (const fg_tap *tap = run->taps, *end = tap + run->tap_count; tap < end; tap++) {
        const float *from = x + tap->x, *weight = weights + tap->weights;
        UNROLL
        for (size_t n = 0; n < vectors; n += together) { /* several times for a single pixel only */
            vec w[4];
            load_row(weight, w, together, part);
            weight += together * VECTOR;
            KEEP(weight);
            UNROLL
            for (size_t p = 0; p < pixels; p++) {
                vec v[4], *s = &sum[p * vectors + n];
                load_row(from, v, together, part);
                from += pixels > 1 ? step : together * VECTOR;
                KEEP(from);
                UNROLL
                for (size_t k = 0; k < together; k++) s[k] = vec_fma(v[k], w[k], s[k]);
            }
        }
    }
    if (args->bias) {
        UNROLL
        for (size_t n = 0; n < vectors; n++) {
            const vec bias = load_lanes(args->bias + c + n * VECTOR, part);
            UNROLL
            for (size_t p = 0; p < pixels; p++) sum[p * vectors + n] = vec_add(sum[p * vectors + n], bias);
        }
    }
    if (args->finish.steps) finish(&args->finish, sum, pixels * vectors);
    UNROLL
    for (size_t p = 0; p < pixels; p++, out += args->out_stride) {
        KEEP(out);
        UNROLL
        for (size_t n = 0; n < vectors; n++) store_lanes(out + n * VECTOR, sum[p * vectors + n], part);
    }
}

#define GROUPS(pixels, vectors)                                                                                        \
    for (; c + vectors * VECTOR <= end; c += vectors * VECTOR) group(args, run, i, c, pixels, vectors, 0);

/* Channels begin .. end - 1 of a run from pixel first on. A multiply-add waits for the one before, and a tap's
 * addresses cost the same, however much is read there: many sums at a time. Where channels do not fill vectors, some
 * results are computed twice. */
static void any_taps(const fg_depthwise_f32_args *args, const fg_depthwise_run *run, size_t first, size_t begin,
                     size_t end)
{
    const size_t last = args->channels < VECTOR ? begin : end - VECTOR;
    /* clang-format off */
    for (size_t i = first; i < run->pixels;) {
        size_t c = begin;
        if (args->channels >= VECTOR && run->pixels - i >= 4) {
            GROUPS(4, 4)
            GROUPS(4, 2)
            GROUPS(4, 1)
            if (c < end) group(args, run, i, last, 4, 1, 0);
            i += 4;
            continue;
        }
        GROUPS(1, 8)
        GROUPS(1, 4)
        GROUPS(1, 2)
        GROUPS(1, 1)
        if (c < end) group(args, run, i, last, 1, 1, args->channels < VECTOR ? end - c : 0);
        i++;
    }
    /* clang-format on */
}

/* rows x pixels neighbouring windows of one vector: a column is read once for all that it is part of, which take their
 * taps in order all the same. There is a bias: no zero keeps its sign, and the first product needs none to start from
 * (kernels.h). row: where the windows' rows of taps begin; col: from a row's first column to the others, in bytes.
 * Constants at every call: size, stride, rows, pixels. */
FG_INLINE void windows(const float *const *row, const ptrdiff_t *col, const vec *w, const vec bias,
                       const fg_finish *how, float *const *out, const ptrdiff_t *out_col, const size_t size,
                       const size_t stride, const size_t rows, const size_t pixels)
{
    vec sum[8];
    UNROLL
    for (size_t i = 0; i < (rows - 1) * stride + size; i++) {
        vec column[MOST_COLUMNS];
        UNROLL
        for (size_t j = 0; j < (pixels - 1) * stride + size; j++) column[j] = vec_load(ahead(row[i], col[j]));
        UNROLL
        for (size_t kx = 0; kx < size; kx++) {
            UNROLL
            for (size_t n = 0; n < rows * pixels; n++) {
                const size_t ky = i - n / pixels * stride; /* huge if before the window */
                if (ky >= size) continue;
                const vec x = column[n % pixels * stride + kx], weight = w[ky * size + kx];
                sum[n] = ky + kx == 0 ? vec_mul(x, weight) : vec_fma(x, weight, sum[n]);
            }
        }
    }
    UNROLL
    for (size_t n = 0; n < rows * pixels; n++) sum[n] = vec_add(sum[n], bias);
    if (how->steps) finish(how, sum, rows * pixels);
    UNROLL
    for (size_t n = 0; n < rows * pixels; n++) vec_store(ahead_to(out[n / pixels], out_col[n % pixels]), sum[n]);
}

#define ADVANCE(by_pixels)                                                                                             \
    UNROLL                                                                                                             \
    for (size_t i = 0; i < tap_rows; i++) {                                                                            \
        row[i] = ahead(row[i], (by_pixels) * step);                                                                    \
        KEEP(row[i]);                                                                                                  \
    }                                                                                                                  \
    UNROLL                                                                                                             \
    for (size_t i = 0; i < rows; i++) {                                                                                \
        out[i] = ahead_to(out[i], (by_pixels) * out_step);                                                             \
        KEEP(out[i]);                                                                                                  \
    }

/* Channels begin .. end - 1, a vector at least before end, of a run of 4 pixels at least and, with two rows, of the
 * next one, which lies below. Results are computed twice where channels do not fill vectors and where three pixels are
 * left; a single last pixel is left out. */
FG_INLINE void window_rows(const fg_depthwise_f32_args *args, const fg_depthwise_run *run, const window *at,
                           size_t begin, size_t end, const size_t size, const size_t stride, const size_t rows)
{
    const size_t most = rows == 1 && size == 3 && stride == 1 ? 8 : 4; /* pixels: as far as registers go */
    const size_t tap_rows = (rows - 1) * stride + size, columns = (most - 1) * stride + size;
    const ptrdiff_t bytes = sizeof(float), step = (ptrdiff_t)args->step * bytes,
                    out_step = (ptrdiff_t)args->out_stride * bytes, row_step = at->row, pixels = (ptrdiff_t)run->pixels;
    const size_t weight_step = at->weights;
    const float *const x = run->x + run->taps[0].x, *const bias = args->bias,
                       *const weights = args->weights + run->taps[0].weights;
    float *const to[2] = {run->out, rows > 1 ? run[1].out : NULL};
    const fg_finish how = args->finish;
    ptrdiff_t col[MOST_COLUMNS], out_col[8];
    UNROLL
    for (size_t j = 0; j < columns; j++) {
        col[j] = (ptrdiff_t)j * at->col * bytes;
        if (j) KEEP(col[j]);
    }
    UNROLL
    for (size_t p = 0; p < most; p++) {
        out_col[p] = (ptrdiff_t)p * out_step;
        if (p) KEEP(out_col[p]);
    }
    for (size_t at_least = begin; at_least < end; at_least += VECTOR) {
        const size_t c = fg_at_most(at_least, end - VECTOR);
        const float *row[MOST_ROWS], *weight = weights + c;
        float *out[2];
        vec w[MOST_TAPS];
        UNROLL
        for (size_t t = 0; t < size * size; t++, weight += weight_step) w[t] = vec_load(weight);
        const vec b = vec_load(bias + c);
        UNROLL
        for (size_t i = 0; i < tap_rows; i++) row[i] = i ? row[i - 1] + row_step : x + c;
        UNROLL
        for (size_t i = 0; i < rows; i++) out[i] = to[i] + c;
        ptrdiff_t left = pixels;
        for (; most == 8 && left >= 8; left -= 8) {
            windows(row, col, w, b, &how, out, out_col, size, stride, rows, 8);
            ADVANCE(8)
        }
        for (; left >= 4; left -= 4) {
            windows(row, col, w, b, &how, out, out_col, size, stride, rows, 4);
            ADVANCE(4)
        }
        if (left == 2) windows(row, col, w, b, &how, out, out_col, size, stride, rows, 2);
        if (left == 3) {
            ADVANCE(-1)
            windows(row, col, w, b, &how, out, out_col, size, stride, rows, 4);
        }
    }
}

#define WINDOW_CASE(size, stride, rows)                                                                                \
    case 100 * size + 10 * stride + rows: window_rows(args, run, at, begin, end, size, stride, rows); break;

static void window_block(const fg_depthwise_f32_args *args, const fg_depthwise_run *run, const window *at, size_t rows,
                         size_t begin, size_t end)
{
    /* clang-format off */
    switch (100 * at->size + 10 * at->stride + rows) {
    WINDOW_CASE(3, 1, 1)
    WINDOW_CASE(3, 1, 2)
    WINDOW_CASE(3, 2, 1)
    WINDOW_CASE(3, 2, 2)
    WINDOW_CASE(5, 1, 1)
    WINDOW_CASE(5, 2, 1)
    default: break;
    }
    /* clang-format on */
}

void fg_depthwise_f32_neon(const fg_depthwise_f32_args *args)
{
    const int shared = args->bias && args->channels >= VECTOR;
    for (size_t begin = 0; begin < args->channels; begin += FG_DEPTHWISE_BLOCK) {
        const size_t end = fg_at_most(begin + FG_DEPTHWISE_BLOCK, args->channels);
        const fg_tap *known = NULL; /* the taps whose window is at */
        window at = {0, 0, 0, 0, 0};
        for (size_t r = 0, rows; r < args->run_count; r += rows) {
            const fg_depthwise_run *run = &args->runs[r];
            const int fits = shared && run->pixels >= 4;
            if (fits && run->taps != known) at = window_of(run, args->step), known = run->taps;
            rows = 1;
            if (!fits || !at.size) {
                any_taps(args, run, 0, begin, end);
                continue;
            }
            if (at.size == 3 && r + 1 < args->run_count && lies_below(run, &at)) rows = 2;
            window_block(args, run, &at, rows, begin, end);
            for (size_t k = 0; k < rows && run->pixels % 4 == 1; k++)
                any_taps(args, run + k, run->pixels - 1, begin, end);
        }
    }
}

#else

#define WINDOW_ROWS(size) ((size) == 3 ? 1 : 0) /* as far as weights and sums fit into registers */

#include "../depthwise_tmpl.h"

void fg_depthwise_f32_neon(const fg_depthwise_f32_args *args) { depthwise(args); }

#endif

#endif
