/* permute_tmpl.h: channels of many pixels put in another order. Included by one file per instruction set. */
#include "kernels.h"
#include "loops.h"

#include <string.h>

/* Eight numbers at a time, the last ones again where they are fewer: no call per pixel as memcpy would be. */
FG_INLINE void copy_pixels(const fg_permute_f32_args *args, const size_t channels)
{
    const float *x = args->x;
    float *out = args->out;
    for (size_t p = 0; p < args->pixels; p++, x += args->x_step, out += args->out_step) {
        if (channels < FG_LANES) {
            for (size_t c = 0; c < channels; c++) out[c] = x[c];
            continue;
        }
        for (size_t c = 0; c < channels; c += FG_LANES) {
            const size_t at = fg_at_most(c, channels - FG_LANES);
            memcpy(out + at, x + at, FG_LANES * sizeof *out);
        }
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

static void permute_f32(const fg_permute_f32_args *args)
{
    if (args->map) {
        permute_pixels(args);
    } else {
        copy_pixels(args, args->channels);
    }
}
