/* depthwise_tmpl.h: depthwise_f32 for one vector type. The including file defines what gemm_tmpl.h asks for, and
 * vec_load_part(p, n), vec_store_part(p, v, n): the first n lanes, the others neither read nor written;
 * PARTS_ARE_QUICK, where whole vectors may be loaded and stored as parts of VECTOR lanes: less code;
 * WINDOW_ROWS(size): in so many rows, 0 to 2, windows of 3x3 and 5x5 taps are computed together. */
#include "depthwise_window.h"
#include "finish_tmpl.h"

#define UNROLL _Pragma("GCC unroll 32")

enum { PIXELS = 4, MOST_TAPS = 25 };

/* Bias, activation and store of pixels x vectors sums from pixel i, channel c on. */
FG_INLINE void store_sums(const fg_depthwise_f32_args *args, const fg_depthwise_run *run, size_t i, size_t c,
                          const size_t pixels, const size_t vectors, vec *sum, size_t part)
{
    if (args->bias) {
        UNROLL
        for (size_t n = 0; n < pixels * vectors; n++)
            sum[n] = vec_add(sum[n], load_lanes(args->bias + c + n % vectors * VECTOR, part));
    }
    if (args->finish.steps) finish(&args->finish, sum, pixels * vectors);
    UNROLL
    for (size_t n = 0; n < pixels * vectors; n++)
        store_lanes(run->out + (i + n / vectors) * args->out_stride + c + n % vectors * VECTOR, sum[n], part);
}

/* pixels x vectors results from pixel i of a run, channel c: any taps. pixels and vectors are constants at every call.
 */
FG_INLINE void group(const fg_depthwise_f32_args *args, const fg_depthwise_run *run, size_t i, size_t c,
                     const size_t pixels, const size_t vectors, size_t part)
{
    vec sum[PIXELS * 2];
    UNROLL
    for (size_t n = 0; n < pixels * vectors; n++) sum[n] = vec_zero();
    for (size_t t = 0; t < run->tap_count; t++) {
        const float *x = run->x + i * args->step + c + run->taps[t].x;
        const float *weights = args->weights + run->taps[t].weights + c;
        UNROLL
        for (size_t v = 0; v < vectors; v++) {
            const vec weight = load_lanes(weights + v * VECTOR, part);
            UNROLL
            for (size_t p = 0; p < pixels; p++)
                sum[p * vectors + v] =
                    vec_fma(load_lanes(x + p * args->step + v * VECTOR, part), weight, sum[p * vectors + v]);
        }
    }
    store_sums(args, run, i, c, pixels, vectors, sum, part);
}

/* Channels begin .. end - 1 of pixels pixels from pixel i on, most vectors at a time. */
FG_INLINE void groups(const fg_depthwise_f32_args *args, const fg_depthwise_run *run, size_t i, size_t begin,
                      size_t end, const size_t pixels, const size_t most)
{
    size_t c = begin;
    for (; c + most * VECTOR <= end; c += most * VECTOR) group(args, run, i, c, pixels, most, 0);
#ifdef PARTS_ARE_QUICK
    for (; c < end; c += VECTOR) group(args, run, i, c, pixels, 1, fg_at_most(end - c, VECTOR));
#else
    for (; c + VECTOR <= end; c += VECTOR) group(args, run, i, c, pixels, 1, 0);
    if (c < end) group(args, run, i, c, pixels, 1, end - c);
#endif
}

/* Channels begin .. end - 1 of a run. A multiply-add waits for the one before: several sums at a time. */
static void channel_block(const fg_depthwise_f32_args *args, const fg_depthwise_run *run, size_t begin, size_t end)
{
    size_t i = 0;
    for (; i + PIXELS <= run->pixels; i += PIXELS) groups(args, run, i, begin, end, PIXELS, 2);
    for (; i < run->pixels; i++) groups(args, run, i, begin, end, 1, PIXELS);
}

/* rows x PIXELS neighbouring windows of one vector: a column is read once for all that it is part of, which take their
 * taps in order all the same. Constants at every call: size, stride, rows. */
FG_INLINE void windows(const fg_depthwise_f32_args *args, const window *at, const float *x, const vec *w, size_t c,
                       float *const *out, const size_t size, const size_t stride, const size_t rows)
{
    vec sum[2 * PIXELS];
    UNROLL
    for (size_t n = 0; n < rows * PIXELS; n++) sum[n] = vec_zero();
    UNROLL
    for (size_t i = 0; i < (rows - 1) * stride + size; i++) {
        const float *from = x + (ptrdiff_t)i * at->row;
        UNROLL
        for (size_t j = 0; j < (PIXELS - 1) * stride + size; j++) {
            const vec column = vec_load(from + (ptrdiff_t)j * at->col);
            UNROLL
            for (size_t n = 0; n < rows * PIXELS; n++) {
                const size_t ky = i - n / PIXELS * stride, kx = j - n % PIXELS * stride; /* huge if before the window */
                if (ky < size && kx < size) sum[n] = vec_fma(column, w[ky * size + kx], sum[n]);
            }
        }
    }
    if (args->bias) {
        const vec bias = vec_load(args->bias + c);
        UNROLL
        for (size_t n = 0; n < rows * PIXELS; n++) sum[n] = vec_add(sum[n], bias);
    }
    if (args->finish.steps) finish(&args->finish, sum, rows * PIXELS);
    UNROLL
    for (size_t n = 0; n < rows * PIXELS; n++) vec_store(out[n / PIXELS] + n % PIXELS * args->out_stride, sum[n]);
}

/* Whether a single pixel is left over, which by itself costs less than four windows of which three are done. */
static inline size_t is_odd(const fg_depthwise_run *run) { return run->pixels % PIXELS == 1; }

/* Channels begin .. end - 1, a vector at least before end, of a run of PIXELS pixels at least and, with two rows, of
 * the next one, which lies below. Where channels or pixels do not divide, some results are computed twice; a single
 * last pixel is left out. */
FG_INLINE void window_rows(const fg_depthwise_f32_args *args, const fg_depthwise_run *run, const window *at,
                           size_t begin, size_t end, const size_t size, const size_t stride, const size_t rows)
{
    const size_t pixels = run->pixels - is_odd(run);
    for (size_t at_least = begin; at_least < end; at_least += VECTOR) {
        const size_t c = fg_at_most(at_least, end - VECTOR);
        vec w[MOST_TAPS];
        UNROLL
        for (size_t t = 0; t < size * size; t++) w[t] = vec_load(args->weights + run->taps[t].weights + c);
        for (size_t i = 0; i < pixels; i += PIXELS) {
            const size_t first = fg_at_most(i, pixels - PIXELS);
            float *const out[2] = {run->out + first * args->out_stride + c,
                                   rows > 1 ? run[1].out + first * args->out_stride + c : NULL};
            windows(args, at, run->x + run->taps[0].x + first * args->step + c, w, c, out, size, stride, rows);
        }
    }
}

#define WINDOW_CASE(size, stride)                                                                                      \
    case 10 * size + stride:                                                                                           \
        if (WINDOW_ROWS(size) > 1 && rows > 1) window_rows(args, run, at, begin, end, size, stride, 2);                \
        if (WINDOW_ROWS(size) > 0 && rows == 1) window_rows(args, run, at, begin, end, size, stride, 1);               \
        break;

static void window_block(const fg_depthwise_f32_args *args, const fg_depthwise_run *run, const window *at, size_t rows,
                         size_t begin, size_t end)
{
    /* clang-format off */
    switch (10 * at->size + at->stride) {
    WINDOW_CASE(3, 1)
    WINDOW_CASE(3, 2)
    WINDOW_CASE(5, 1)
    WINDOW_CASE(5, 2)
    default: break;
    }
    /* clang-format on */
}

FG_INLINE void depthwise(const fg_depthwise_f32_args *args)
{
    for (size_t first = 0; first < args->channels; first += FG_DEPTHWISE_BLOCK) {
        const size_t end = fg_at_most(first + FG_DEPTHWISE_BLOCK, args->channels);
        const fg_tap *known = NULL; /* the taps whose window is at */
        window at = {0, 0, 0, 0, 0};
        for (size_t r = 0, rows; r < args->run_count; r += rows) {
            const fg_depthwise_run *run = &args->runs[r];
            const int fits = run->pixels >= PIXELS && args->channels >= VECTOR;
            if (fits && run->taps != known) at = window_of(run, args->step), known = run->taps;
            rows = 1;
            if (!fits || !at.size || WINDOW_ROWS(at.size) == 0) {
                channel_block(args, run, first, end);
                continue;
            }
            if (WINDOW_ROWS(at.size) > 1 && r + 1 < args->run_count && lies_below(run, &at)) rows = 2;
            window_block(args, run, &at, rows, first, end);
            for (size_t k = 0; k < rows && is_odd(run); k++)
                groups(args, run + k, run->pixels - 1, first, end, 1, PIXELS);
        }
    }
}
