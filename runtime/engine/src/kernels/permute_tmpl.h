/* permute_tmpl.h: channels of many pixels put in another order. Included by one file per instruction set. */
#include "kernels.h"
#include "loops.h"

#include <string.h>
#if defined(__aarch64__)
#include <arm_neon.h>
#endif

/* Sixteen or eight numbers at a time, the last ones again where they are fewer: no call per pixel as memcpy would be.
 */
static void copy_pixels(const fg_permute_f32_args *args)
{
    const ptrdiff_t x_step = args->x_step;
    const size_t channels = args->channels, pixels = args->pixels, out_step = args->out_step;
    const float *x = args->x;
    float *out = args->out;
    for (size_t p = 0; p < pixels; p++, x += x_step, out += out_step) {
        size_t c = 0;
        if (channels < FG_LANES) {
            for (; c < channels; c++) out[c] = x[c];
            continue;
        }
        for (; c + 2 * FG_LANES <= channels; c += 2 * FG_LANES) memcpy(out + c, x + c, 2 * FG_LANES * sizeof *out);
        if (c + FG_LANES <= channels) memcpy(out + c, x + c, FG_LANES * sizeof *out);
        if (channels % FG_LANES) memcpy(out + channels - FG_LANES, x + channels - FG_LANES, FG_LANES * sizeof *out);
    }
}

/* The same for few channels, whose count is a constant at every call. */
FG_INLINE void copy_few(const fg_permute_f32_args *args, const size_t channels)
{
    const ptrdiff_t x_step = args->x_step;
    const size_t pixels = args->pixels, out_step = args->out_step;
    const float *x = args->x;
    float *out = args->out;
    for (size_t p = 0; p < pixels; p++, x += x_step, out += out_step) memcpy(out, x, channels * sizeof *out);
}

static void copy_all(const fg_permute_f32_args *args)
{
    switch (args->channels) {
    case 1: copy_few(args, 1); break;
    case 2: copy_few(args, 2); break;
    case 4: copy_few(args, 4); break;
    default: copy_pixels(args); break;
    }
}

/* Four pixels per index: it is loaded once for them. */
static void permute_pixels(const fg_permute_f32_args *args)
{
    const int32_t *map = args->map;
    size_t p = 0;
    for (; p + 4 <= args->pixels; p += 4) {
        const float *a = args->x + (ptrdiff_t)p * args->x_step, *b = a + args->x_step, *c = b + args->x_step;
        const float *d = c + args->x_step;
        float *to = args->out + p * args->out_step, *to_b = to + args->out_step, *to_c = to_b + args->out_step;
        float *to_d = to_c + args->out_step;
        FG_INDEPENDENT
        for (size_t i = 0; i < args->channels; i++) {
            const int32_t from = map[i];
            to[i] = a[from];
            to_b[i] = b[from];
            to_c[i] = c[from];
            to_d[i] = d[from];
        }
    }
    for (; p < args->pixels; p++) {
        const float *x = args->x + (ptrdiff_t)p * args->x_step;
        float *out = args->out + p * args->out_step;
        FG_INDEPENDENT
        for (size_t i = 0; i < args->channels; i++) out[i] = x[map[i]];
    }
}

#if defined(__aarch64__)
/* Eight numbers, by loads of two numbers for one, of which none reaches beyond the last. */
FG_INLINE void eight_of_sixteen(const float *x, float *out)
{
    vst1q_f32(out, vld2q_f32(x).val[0]);
    vst1q_f32(out + 4, vld2q_f32(x + 7).val[1]);
}
#endif

/* Every second channel, as a shuffle or a split of interleaved ones takes them; FG_LANES at least. */
static void every_second(const fg_permute_f32_args *args)
{
    const ptrdiff_t x_step = args->x_step;
    const size_t channels = args->channels, pixels = args->pixels, out_step = args->out_step;
    const float *x = args->x + args->map[0];
    float *out = args->out;
    for (size_t p = 0; p < pixels; p++, x += x_step, out += out_step) {
#if defined(__aarch64__)
        size_t i = 0;
        for (; i + 2 * FG_LANES <= channels; i += 2 * FG_LANES) {
            eight_of_sixteen(x + 2 * i, out + i);
            eight_of_sixteen(x + 2 * (i + FG_LANES), out + i + FG_LANES);
        }
        if (i + FG_LANES <= channels) eight_of_sixteen(x + 2 * i, out + i);
        if (channels % FG_LANES) eight_of_sixteen(x + 2 * (channels - FG_LANES), out + channels - FG_LANES);
#else
        FG_INDEPENDENT
        for (size_t i = 0; i < channels; i++) out[i] = x[2 * i];
#endif
    }
}

static int takes_every_second(const fg_permute_f32_args *args)
{
    size_t i = 1;
    while (i < args->channels && args->map[i] == args->map[i - 1] + 2) i++;
    return i == args->channels;
}

/* Two runs of channels by turns, as a shuffle of two groups takes them. */
static FG_NOINLINE void by_turns(const fg_permute_f32_args *args)
{
    const ptrdiff_t x_step = args->x_step;
    const size_t pairs = args->channels / 2, odd = args->channels % 2, pixels = args->pixels, out_step = args->out_step;
    const float *a = args->x + args->map[0], *b = args->x + args->map[1];
    float *out = args->out;
    for (size_t p = 0; p < pixels; p++, a += x_step, b += x_step, out += out_step) {
        FG_INDEPENDENT
        for (size_t i = 0; i < pairs; i++) {
            out[2 * i] = a[i];
            out[2 * i + 1] = b[i];
        }
        if (odd) out[2 * pairs] = a[pairs];
    }
}

static int takes_turns(const fg_permute_f32_args *args)
{
    size_t i = 2;
    while (i < args->channels && args->map[i] == args->map[i - 2] + 1) i++;
    return i == args->channels;
}

static void permute_f32(const fg_permute_f32_args *args)
{
    if (!args->map) {
        copy_all(args);
    } else if (args->channels > FG_LANES && args->pixels > 1 && takes_every_second(args)) {
        every_second(args);
    } else if (args->channels > FG_LANES && args->pixels > 1 && takes_turns(args)) {
        by_turns(args);
    } else {
        permute_pixels(args);
    }
}
