/* depthwise.c: depthwise_f32 with AVX-512, 4 pixels by 32 channels in registers so that a weight is loaded once for 4
 * pixels. */
#include "avx512.h"

#if defined(__AVX512F__) && defined(__AVX512VL__) && defined(__FMA__)

#include "../loops.h"

#include <immintrin.h>

#define UNROLL _Pragma("GCC unroll 16")

enum { VECTOR = 16, PIXELS = 4 };

/* pixels x (vectors * 16) results from pixel i, channel c; pixels and vectors are constants at every call. mask: the
 * lanes of the last vector that exist; the others are neither read nor written. */
FG_INLINE void tile(const fg_depthwise_f32_args *args, size_t i, size_t c, const size_t pixels, const size_t vectors,
                    const __mmask16 mask)
{
    const float *const *x = args->x + i * args->taps;
    const float *weights = args->weights + c;
    __m512 sum[PIXELS][2];
    UNROLL
    for (size_t v = 0; v < vectors; v++) {
        UNROLL
        for (size_t p = 0; p < pixels; p++) sum[p][v] = _mm512_setzero_ps();
    }
    for (size_t t = 0; t < args->taps; t++, weights += args->channels) {
        UNROLL
        for (size_t v = 0; v < vectors; v++) {
            const __m512 w = _mm512_maskz_loadu_ps(mask, weights + v * VECTOR);
            UNROLL
            for (size_t p = 0; p < pixels; p++)
                sum[p][v] =
                    _mm512_fmadd_ps(_mm512_maskz_loadu_ps(mask, x[p * args->taps + t] + c + v * VECTOR), w, sum[p][v]);
        }
    }
    if (args->bias) {
        UNROLL
        for (size_t v = 0; v < vectors; v++) {
            UNROLL
            for (size_t p = 0; p < pixels; p++)
                sum[p][v] = _mm512_add_ps(sum[p][v], _mm512_maskz_loadu_ps(mask, args->bias + c + v * VECTOR));
        }
    }
    UNROLL
    for (size_t p = 0; p < pixels; p++) {
        UNROLL
        for (size_t v = 0; v < vectors; v++)
            _mm512_mask_storeu_ps(args->out + (i + p) * args->out_stride + c + v * VECTOR, mask, sum[p][v]);
    }
}

FG_INLINE void all_channels(const fg_depthwise_f32_args *args, size_t i, const size_t pixels)
{
    const __mmask16 all = 0xFFFF;
    size_t c = 0;
    for (; c + 2 * VECTOR <= args->channels; c += 2 * VECTOR) tile(args, i, c, pixels, 2, all);
    for (; c + VECTOR <= args->channels; c += VECTOR) tile(args, i, c, pixels, 1, all);
    if (c < args->channels) tile(args, i, c, pixels, 1, (__mmask16)((1u << (args->channels - c)) - 1u));
}

void fg_depthwise_f32_avx512(const fg_depthwise_f32_args *args)
{
    size_t i = 0;
    for (; i + PIXELS <= args->pixels; i += PIXELS) all_channels(args, i, PIXELS);
    for (; i < args->pixels; i++) all_channels(args, i, 1);
}

#endif
