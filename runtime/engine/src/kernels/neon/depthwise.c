/* depthwise.c: depthwise_f32 with NEON. On AArch64 neighbouring pixels of 3x3 and 5x5 kernels share what they read. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-schedule-insns") /* as in gemm.c */
#endif

#include "neon.h"

#if defined(__ARM_NEON) && defined(__ARM_FEATURE_FMA)

#include "vector.h"

#define UNROLL _Pragma("GCC unroll 32")

#if defined(__aarch64__)
enum { VECTOR = 4, MAX_FIXED_TAPS = 25, MAX_FIXED_TAPS_WIDE = 9, SHARED_LEAST = 6, MAX_SLIDE = 8, MAX_SIZE = 5 };
#else
enum { VECTOR = 4, MAX_FIXED_TAPS = 9, MAX_FIXED_TAPS_WIDE = 0, SHARED_LEAST = 6 };
#endif

#include "../finish_tmpl.h"

#if defined(__aarch64__)

/* How the taps of a kernel row lie: a tap is the next pixel's tap before it (stride 1), or the next pixel's tap two
 * before it (stride 2). NO: neither, or not enough pixels to tell. */
enum { NO = 0, STRIDE_1 = 1, STRIDE_2 = 2 };

static size_t overlap(const fg_depthwise_run *run, ptrdiff_t step, size_t size)
{
    int next = run->pixels > 1, after_next = run->pixels > 1;
    for (size_t t = 0; t < size * size; t++) {
        next = next && (t % size + 1 >= size || run->taps[t + 1].x == run->taps[t].x + step);
        after_next = after_next && (t % size + 2 >= size || run->taps[t + 2].x == run->taps[t].x + step);
    }
    return next ? STRIDE_1 : after_next ? STRIDE_2 : NO;
}

/* pixels results of one vector from x on, x being where the first pixel's kernel rows begin. A column that is read
 * serves every pixel it belongs to; every pixel takes its taps in order. Constants: size, stride, pixels. */
FG_INLINE void slide(const fg_depthwise_f32_args *args, const float *(*x)[2], const vec *w, vec bias, float *out,
                     const size_t size, const size_t stride, const size_t pixels)
{
    vec sum[MAX_SLIDE];
    UNROLL
    for (size_t p = 0; p < pixels; p++) sum[p] = vec_zero();
    UNROLL
    for (size_t row = 0; row < size; row++) {
        UNROLL
        for (size_t col = 0; col < (pixels - 1) * stride + size; col++) {
            const vec value = vec_load(x[row][col % stride] + col / stride * args->step);
            UNROLL
            for (size_t p = 0; p < pixels; p++) {
                if (col >= p * stride && col - p * stride < size)
                    sum[p] = vec_fma(value, w[row * size + col - p * stride], sum[p]);
            }
        }
    }
    UNROLL
    for (size_t p = 0; p < pixels; p++) sum[p] = vec_add(sum[p], bias);
    if (args->finish.steps) finish(&args->finish, sum, pixels);
    UNROLL
    for (size_t p = 0; p < pixels; p++) vec_store(out + p * args->out_stride, sum[p]);
}

FG_INLINE void advance(const float *(*x)[2], const size_t size, size_t by)
{
    UNROLL
    for (size_t row = 0; row < size; row++) {
        x[row][0] += by;
        x[row][1] += by;
    }
}

/* Channels begin .. end - 1 of a run, end - begin a multiple of VECTOR. */
FG_INLINE void slide_run(const fg_depthwise_f32_args *args, const fg_depthwise_run *run, size_t begin, size_t end,
                         const size_t size, const size_t stride)
{
    const size_t most = size == 3 ? 8 : 4; /* weights and sums fit into registers */
    for (size_t c = begin; c < end; c += VECTOR) {
        vec w[MAX_FIXED_TAPS];
        UNROLL
        for (size_t t = 0; t < size * size; t++) w[t] = vec_load(args->weights + run->taps[t].weights + c);
        const vec bias = args->bias ? vec_load(args->bias + c) : vdupq_n_f32(-0.0f); /* adding -0 changes no bit */
        const float *x[MAX_SIZE][2];
        UNROLL
        for (size_t row = 0; row < size; row++) {
            x[row][0] = run->x + run->taps[row * size].x + c;
            x[row][1] = run->x + run->taps[row * size + 1].x + c;
        }
        float *out = run->out + c;
        size_t left = run->pixels;
        for (; left >= most; left -= most, out += most * args->out_stride) {
            slide(args, x, w, bias, out, size, stride, most);
            advance(x, size, most * args->step);
        }
        for (; left >= 2; left -= 2, out += 2 * args->out_stride) {
            slide(args, x, w, bias, out, size, stride, 2);
            advance(x, size, 2 * args->step);
        }
        if (left) slide(args, x, w, bias, out, size, stride, 1);
    }
}

/* Whole vectors of channels from begin on, where pixels share what they read; where it stopped. */
static size_t shared_columns(const fg_depthwise_f32_args *args, const fg_depthwise_run *run, size_t begin, size_t end)
{
    const size_t size = run->tap_count == 9 ? 3 : run->tap_count == 25 ? 5 : 0;
    const size_t stride = overlap(run, (ptrdiff_t)args->step, size), whole = begin + (end - begin) / VECTOR * VECTOR;
    if (size == 3 && stride == 1) slide_run(args, run, begin, whole, 3, 1);
    if (size == 3 && stride == 2) slide_run(args, run, begin, whole, 3, 2);
    if (size == 5 && stride == 1) slide_run(args, run, begin, whole, 5, 1);
    if (size == 5 && stride == 2) slide_run(args, run, begin, whole, 5, 2);
    return size && stride ? whole : begin;
}

#define OWN_CHANNELS(args, run, begin, end) shared_columns(args, run, begin, end)

#endif

#include "../depthwise_tmpl.h"

void fg_depthwise_f32_neon(const fg_depthwise_f32_args *args) { depthwise(args); }

#endif
