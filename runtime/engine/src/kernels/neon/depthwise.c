/* depthwise.c: depthwise_f32 with NEON, 4 pixels by 8 channels in registers so that a weight is loaded once for 4
 * pixels. */
#include "neon.h"

#if defined(__ARM_NEON) && defined(__ARM_FEATURE_FMA)

#include "../loops.h"

#include <arm_neon.h>
#include <string.h>

#define UNROLL _Pragma("GCC unroll 16")

enum { VECTOR = 4, PIXELS = 4 };

/* pixels x (vectors * 4) results from pixel i, channel c; pixels and vectors are constants at every call. */
FG_INLINE void tile(const fg_depthwise_f32_args *args, size_t i, size_t c, const size_t pixels, const size_t vectors)
{
    const float *const *x = args->x + i * args->taps;
    const float *weights = args->weights + c;
    float32x4_t sum[PIXELS][2];
    UNROLL
    for (size_t v = 0; v < vectors; v++) {
        UNROLL
        for (size_t p = 0; p < pixels; p++) sum[p][v] = vdupq_n_f32(0.0f);
    }
    for (size_t t = 0; t < args->taps; t++, weights += args->channels) {
        UNROLL
        for (size_t v = 0; v < vectors; v++) {
            const float32x4_t w = vld1q_f32(weights + v * VECTOR);
            UNROLL
            for (size_t p = 0; p < pixels; p++)
                sum[p][v] = vfmaq_f32(sum[p][v], vld1q_f32(x[p * args->taps + t] + c + v * VECTOR), w);
        }
    }
    if (args->bias) {
        UNROLL
        for (size_t v = 0; v < vectors; v++) {
            UNROLL
            for (size_t p = 0; p < pixels; p++)
                sum[p][v] = vaddq_f32(sum[p][v], vld1q_f32(args->bias + c + v * VECTOR));
        }
    }
    UNROLL
    for (size_t p = 0; p < pixels; p++) {
        UNROLL
        for (size_t v = 0; v < vectors; v++)
            vst1q_f32(args->out + (i + p) * args->out_stride + c + v * VECTOR, sum[p][v]);
    }
}

static inline float32x4_t load_part(const float *x, size_t count)
{
    float part[VECTOR] = {0.0f, 0.0f, 0.0f, 0.0f};
    memcpy(part, x, count * sizeof *x);
    return vld1q_f32(part);
}

/* The last channels, fewer than a vector, of one pixel: in a vector too, because Armv7's scalar unit treats subnormal
 * numbers differently. */
static void tail(const fg_depthwise_f32_args *args, size_t i, size_t c)
{
    const size_t count = args->channels - c;
    const float *const *x = args->x + i * args->taps;
    float32x4_t sum = vdupq_n_f32(0.0f);
    for (size_t t = 0; t < args->taps; t++)
        sum = vfmaq_f32(sum, load_part(x[t] + c, count), load_part(args->weights + t * args->channels + c, count));
    if (args->bias) sum = vaddq_f32(sum, load_part(args->bias + c, count));
    float part[VECTOR];
    vst1q_f32(part, sum);
    memcpy(args->out + i * args->out_stride + c, part, count * sizeof *part);
}

FG_INLINE void all_channels(const fg_depthwise_f32_args *args, size_t i, const size_t pixels)
{
    size_t c = 0;
    for (; c + 2 * VECTOR <= args->channels; c += 2 * VECTOR) tile(args, i, c, pixels, 2);
    for (; c + VECTOR <= args->channels; c += VECTOR) tile(args, i, c, pixels, 1);
    if (c < args->channels)
        for (size_t p = 0; p < pixels; p++) tail(args, i + p, c);
}

void fg_depthwise_f32_neon(const fg_depthwise_f32_args *args)
{
    size_t i = 0;
    for (; i + PIXELS <= args->pixels; i += PIXELS) all_channels(args, i, PIXELS);
    for (; i < args->pixels; i++) all_channels(args, i, 1);
}

#endif
