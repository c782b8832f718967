/* depthwise_tmpl.h: depthwise_f32 for one vector type. The including file defines what gemm_tmpl.h asks for except
 * vec_spread, and vec_load_part(p, n), vec_store_part(p, v, n): the first n lanes, the others neither read nor written,
 *     MAX_FIXED_TAPS: so many weights of one vector fit into registers, MAX_FIXED_TAPS_WIDE: of two. */
#include "loops.h"

#define UNROLL _Pragma("GCC unroll 32")

enum { PIXELS = 4 };

/* Loads and stores whole vectors, or the first part lanes where part is not 0. */
FG_INLINE vec load_lanes(const float *p, size_t part) { return part ? vec_load_part(p, part) : vec_load(p); }

FG_INLINE void store_lanes(float *p, vec v, size_t part)
{
    if (part) {
        vec_store_part(p, v, part);
    } else {
        vec_store(p, v);
    }
}

/* pixels x vectors results from pixel i, channel c. Constants at every call: pixels, vectors, and fixed, the number of
 * taps whose weights wait in w; 0: any number, read as they are needed. */
FG_INLINE void group(const fg_depthwise_f32_args *args, size_t i, size_t c, const size_t pixels, const size_t vectors,
                     const size_t fixed, vec (*w)[2], size_t part)
{
    const size_t taps = fixed ? fixed : args->taps;
    vec sum[PIXELS][2];
    UNROLL
    for (size_t p = 0; p < pixels; p++) {
        UNROLL
        for (size_t v = 0; v < vectors; v++) sum[p][v] = vec_zero();
    }
    UNROLL
    for (size_t t = 0; t < taps; t++) {
        const float *x = args->x[t] + i * args->step + c;
        UNROLL
        for (size_t v = 0; v < vectors; v++) {
            const vec weight = fixed ? w[t][v] : load_lanes(args->weights + t * args->channels + c + v * VECTOR, part);
            UNROLL
            for (size_t p = 0; p < pixels; p++)
                sum[p][v] = vec_fma(load_lanes(x + p * args->step + v * VECTOR, part), weight, sum[p][v]);
        }
    }
    UNROLL
    for (size_t v = 0; v < vectors; v++) {
        UNROLL
        for (size_t p = 0; p < pixels; p++) {
            if (args->bias) sum[p][v] = vec_add(sum[p][v], load_lanes(args->bias + c + v * VECTOR, part));
            store_lanes(args->out + (i + p) * args->out_stride + c + v * VECTOR, sum[p][v], part);
        }
    }
}

/* All pixels of vectors vectors of channels. */
FG_INLINE void channels_at(const fg_depthwise_f32_args *args, size_t c, const size_t vectors, const size_t fixed,
                           size_t part)
{
    vec w[MAX_FIXED_TAPS][2];
    UNROLL
    for (size_t t = 0; t < fixed; t++) {
        UNROLL
        for (size_t v = 0; v < vectors; v++)
            w[t][v] = load_lanes(args->weights + t * args->channels + c + v * VECTOR, part);
    }
    size_t i = 0;
    for (; i + PIXELS <= args->pixels; i += PIXELS) group(args, i, c, PIXELS, vectors, fixed, w, part);
    for (; i < args->pixels; i++) group(args, i, c, 1, vectors, fixed, w, part);
}

/* fixed, fixed_wide: taps whose weights are kept in registers for one and for two vectors; 0: none. */
FG_INLINE void all_channels(const fg_depthwise_f32_args *args, const size_t fixed, const size_t fixed_wide)
{
    size_t c = 0;
    for (; c + 2 * VECTOR <= args->channels && (fixed_wide || !fixed); c += 2 * VECTOR)
        channels_at(args, c, 2, fixed_wide, 0);
    for (; c + VECTOR <= args->channels; c += VECTOR) channels_at(args, c, 1, fixed, 0);
    if (c < args->channels) channels_at(args, c, 1, 0, args->channels - c);
}

FG_INLINE void depthwise(const fg_depthwise_f32_args *args)
{
    const int many = args->pixels >= PIXELS; /* else keeping weights does not pay */
    if (many && args->taps == 9 && MAX_FIXED_TAPS >= 9) {
        all_channels(args, 9, MAX_FIXED_TAPS_WIDE >= 9 ? 9 : 0);
    } else if (many && args->taps == 25 && MAX_FIXED_TAPS >= 25) {
        all_channels(args, MAX_FIXED_TAPS >= 25 ? 25 : 0, 0);
    } else {
        all_channels(args, 0, 0);
    }
}
