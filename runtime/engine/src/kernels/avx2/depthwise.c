/* depthwise.c: depthwise_f32 with AVX2, 4 pixels by 16 channels in registers so that a weight is loaded once for 4
 * pixels. */
#include "avx2.h"

#if defined(__AVX2__) && defined(__FMA__)

#include "../loops.h"

#include <immintrin.h>

#define UNROLL _Pragma("GCC unroll 16")

enum { VECTOR = 8, PIXELS = 4 };

/* pixels x (vectors * 8) results from pixel i, channel c; pixels and vectors are constants at every call. */
FG_INLINE void tile(const fg_depthwise_f32_args *args, size_t i, size_t c, const size_t pixels, const size_t vectors)
{
    const float *const *x = args->x + i * args->taps;
    const float *weights = args->weights + c;
    __m256 sum[PIXELS][2];
    UNROLL
    for (size_t v = 0; v < vectors; v++) {
        UNROLL
        for (size_t p = 0; p < pixels; p++) sum[p][v] = _mm256_setzero_ps();
    }
    for (size_t t = 0; t < args->taps; t++, weights += args->channels) {
        UNROLL
        for (size_t v = 0; v < vectors; v++) {
            const __m256 w = _mm256_loadu_ps(weights + v * VECTOR);
            UNROLL
            for (size_t p = 0; p < pixels; p++)
                sum[p][v] = _mm256_fmadd_ps(_mm256_loadu_ps(x[p * args->taps + t] + c + v * VECTOR), w, sum[p][v]);
        }
    }
    if (args->bias) {
        UNROLL
        for (size_t v = 0; v < vectors; v++) {
            UNROLL
            for (size_t p = 0; p < pixels; p++)
                sum[p][v] = _mm256_add_ps(sum[p][v], _mm256_loadu_ps(args->bias + c + v * VECTOR));
        }
    }
    UNROLL
    for (size_t p = 0; p < pixels; p++) {
        UNROLL
        for (size_t v = 0; v < vectors; v++)
            _mm256_storeu_ps(args->out + (i + p) * args->out_stride + c + v * VECTOR, sum[p][v]);
    }
}

/* The last channels, fewer than a vector, of one pixel: masked lanes are neither read nor written. */
static void tail(const fg_depthwise_f32_args *args, size_t i, size_t c)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i mask = _mm256_cmpgt_epi32(_mm256_set1_epi32((int)(args->channels - c)), lane);
    const float *const *x = args->x + i * args->taps;
    __m256 sum = _mm256_setzero_ps();
    for (size_t t = 0; t < args->taps; t++)
        sum = _mm256_fmadd_ps(_mm256_maskload_ps(x[t] + c, mask),
                              _mm256_maskload_ps(args->weights + t * args->channels + c, mask), sum);
    if (args->bias) sum = _mm256_add_ps(sum, _mm256_maskload_ps(args->bias + c, mask));
    _mm256_maskstore_ps(args->out + i * args->out_stride + c, mask, sum);
}

FG_INLINE void all_channels(const fg_depthwise_f32_args *args, size_t i, const size_t pixels)
{
    size_t c = 0;
    for (; c + 2 * VECTOR <= args->channels; c += 2 * VECTOR) tile(args, i, c, pixels, 2);
    for (; c + VECTOR <= args->channels; c += VECTOR) tile(args, i, c, pixels, 1);
    if (c < args->channels)
        for (size_t p = 0; p < pixels; p++) tail(args, i + p, c);
}

void fg_depthwise_f32_avx2(const fg_depthwise_f32_args *args)
{
    size_t i = 0;
    for (; i + PIXELS <= args->pixels; i += PIXELS) all_channels(args, i, PIXELS);
    for (; i < args->pixels; i++) all_channels(args, i, 1);
}

#endif
