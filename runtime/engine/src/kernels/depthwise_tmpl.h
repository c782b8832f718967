/* depthwise_tmpl.h: depthwise_f32 for one vector type. The including file defines what gemm_tmpl.h asks for, and
 * vec_load_part(p, n), vec_store_part(p, v, n): the first n lanes, the others neither read nor written; MAX_FIXED_TAPS:
 * so many weights of one vector fit into registers, MAX_FIXED_TAPS_WIDE: of two; SHARED_LEAST: from so many taps across
 * on neighbouring windows share the columns they read, 3, 5 or 6: never. It may define OWN_CHANNELS(args, run, begin,
 * end), which does channels from begin on in another way and tells where it stopped. */
#include "finish_tmpl.h"

#ifndef OWN_CHANNELS
#define OWN_CHANNELS(args, run, begin, end) (begin)
#endif

#define UNROLL _Pragma("GCC unroll 32")

enum { PIXELS = 4, SHARED_PIXELS = 8 };

/* One tap of pixels x vectors results; w: its weights, or NULL to read them. */
FG_INLINE void add_tap(const fg_depthwise_f32_args *args, const fg_depthwise_run *run, size_t t, const float *from,
                       size_t c, const size_t pixels, const size_t vectors, const vec *w, vec *sum, size_t part)
{
    const float *x = from + run->taps[t].x, *weights = args->weights + run->taps[t].weights + c;
    UNROLL
    for (size_t v = 0; v < vectors; v++) {
        const vec weight = w ? w[v] : load_lanes(weights + v * VECTOR, part);
        UNROLL
        for (size_t p = 0; p < pixels; p++)
            sum[p * vectors + v] =
                vec_fma(load_lanes(x + p * args->step + v * VECTOR, part), weight, sum[p * vectors + v]);
    }
}

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

/* pixels x vectors results from pixel i of a run, channel c. Constants at every call: pixels, vectors, and fixed, the
 * number of taps whose weights wait in w; 0: any number, read as they are needed. */
FG_INLINE void group(const fg_depthwise_f32_args *args, const fg_depthwise_run *run, size_t i, size_t c,
                     const size_t pixels, const size_t vectors, const size_t fixed, vec (*w)[2], size_t part)
{
    const float *from = run->x + i * args->step + c;
    vec sum[PIXELS * 2];
    UNROLL
    for (size_t n = 0; n < pixels * vectors; n++) sum[n] = vec_zero();
    if (fixed) {
        UNROLL
        for (size_t t = 0; t < fixed; t++) add_tap(args, run, t, from, c, pixels, vectors, w[t], sum, part);
    } else {
        for (size_t t = 0; t < run->tap_count; t++) add_tap(args, run, t, from, c, pixels, vectors, NULL, sum, part);
    }
    store_sums(args, run, i, c, pixels, vectors, sum, part);
}

/* A run's pixels of vectors vectors of channels; fixed as in group. */
FG_INLINE void channels_at(const fg_depthwise_f32_args *args, const fg_depthwise_run *run, size_t c,
                           const size_t vectors, const size_t fixed, size_t part)
{
    vec w[MAX_FIXED_TAPS][2];
    UNROLL
    for (size_t t = 0; t < fixed; t++) {
        UNROLL
        for (size_t v = 0; v < vectors; v++)
            w[t][v] = load_lanes(args->weights + run->taps[t].weights + c + v * VECTOR, part);
    }
    size_t i = 0;
    for (; i + PIXELS <= run->pixels; i += PIXELS) group(args, run, i, c, PIXELS, vectors, fixed, w, part);
    for (; i < run->pixels; i++) group(args, run, i, c, 1, vectors, fixed, w, part);
}

/* Channels begin .. end - 1 of a run. fixed, fixed_wide: taps whose weights are kept in registers for one and for two
 * vectors; 0: none. */
FG_INLINE void channel_block(const fg_depthwise_f32_args *args, const fg_depthwise_run *run, size_t begin, size_t end,
                             const size_t fixed, const size_t fixed_wide)
{
    size_t c = begin;
    for (; c + 2 * VECTOR <= end && (fixed_wide || !fixed); c += 2 * VECTOR)
        channels_at(args, run, c, 2, fixed_wide, 0);
    for (; c + VECTOR <= end; c += VECTOR) channels_at(args, run, c, 1, fixed, 0);
    if (c < end) channels_at(args, run, c, 1, 0, end - c);
}

/* Taps that lie side by side as a run's pixels do, in rows of so many: 3 or 5, or 0 where windows share no columns. */
static inline size_t taps_across(const fg_depthwise_run *run, size_t step)
{
    size_t across = 1;
    for (; across < run->tap_count && run->taps[across].x - run->taps[across - 1].x == (ptrdiff_t)step;) across++;
    if ((across != 3 && across != 5) || run->tap_count % across) return 0;
    for (size_t t = across; t < run->tap_count; t++)
        if (t % across && run->taps[t].x - run->taps[t - 1].x != (ptrdiff_t)step) return 0;
    return across;
}

/* pixels neighbours whose windows overlap: a column is read once for all that it is part of. */
FG_INLINE void shared_group(const fg_depthwise_f32_args *args, const fg_depthwise_run *run, size_t i, size_t c,
                            const size_t pixels, const size_t across, size_t part)
{
    const float *from = run->x + i * args->step + c;
    vec sum[SHARED_PIXELS], w[5];
    UNROLL
    for (size_t p = 0; p < pixels; p++) sum[p] = vec_zero();
    for (size_t t = 0; t < run->tap_count; t += across) {
        const float *x = from + run->taps[t].x;
        UNROLL
        for (size_t k = 0; k < across; k++) w[k] = load_lanes(args->weights + run->taps[t + k].weights + c, part);
        UNROLL
        for (size_t j = 0; j < pixels + across - 1; j++) {
            const vec column = load_lanes(x + j * args->step, part);
            UNROLL
            for (size_t k = 0; k < across; k++)
                if (j >= k && j - k < pixels) sum[j - k] = vec_fma(column, w[k], sum[j - k]);
        }
    }
    store_sums(args, run, i, c, pixels, 1, sum, part);
}

/* A vector of channels of all pixels of a run. */
FG_INLINE void shared_channels(const fg_depthwise_f32_args *args, const fg_depthwise_run *run, size_t c,
                               const size_t across, size_t part)
{
    size_t i = 0;
    for (; i + SHARED_PIXELS <= run->pixels; i += SHARED_PIXELS)
        shared_group(args, run, i, c, SHARED_PIXELS, across, part);
    for (; i + PIXELS <= run->pixels; i += PIXELS) shared_group(args, run, i, c, PIXELS, across, part);
    for (; i < run->pixels; i++) group(args, run, i, c, 1, 1, 0, NULL, part);
}

FG_INLINE void shared_block(const fg_depthwise_f32_args *args, const fg_depthwise_run *run, size_t begin, size_t end,
                            const size_t across)
{
    size_t c = begin;
    for (; c + VECTOR <= end; c += VECTOR) shared_channels(args, run, c, across, 0);
    if (c < end) shared_channels(args, run, c, across, end - c);
}

/* Blocks of channels outermost: a block's weights stay in the first cache for all runs, and a pixel's numbers are read
 * in pieces long enough for the machine to fetch ahead. Long runs keep their weights in registers. */
enum { FG_DEPTHWISE_BLOCK = 256, FG_DEPTHWISE_LONG = 8 };

FG_INLINE void depthwise(const fg_depthwise_f32_args *args)
{
    for (size_t first = 0; first < args->channels; first += FG_DEPTHWISE_BLOCK) {
        const size_t end = fg_at_most(first + FG_DEPTHWISE_BLOCK, args->channels);
        for (size_t r = 0; r < args->run_count; r++) {
            const fg_depthwise_run *run = &args->runs[r];
            const size_t begin = OWN_CHANNELS(args, run, first, end);
            if (begin == end) continue;
            const size_t across = run->pixels < PIXELS || SHARED_LEAST > 5 ? 0 : taps_across(run, args->step);
            if (across == 3 && SHARED_LEAST <= 3) {
                shared_block(args, run, begin, end, 3);
            } else if (across == 5 && SHARED_LEAST <= 5) {
                shared_block(args, run, begin, end, 5);
            } else if (run->pixels >= FG_DEPTHWISE_LONG && run->tap_count == 9) {
                channel_block(args, run, begin, end, 9, MAX_FIXED_TAPS_WIDE >= 9 ? 9 : 0);
            } else if (run->pixels >= FG_DEPTHWISE_LONG && run->tap_count == 25 && MAX_FIXED_TAPS >= 25) {
                channel_block(args, run, begin, end, MAX_FIXED_TAPS >= 25 ? 25 : 0, 0);
            } else {
                channel_block(args, run, begin, end, 0, 0);
            }
        }
    }
}
