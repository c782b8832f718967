/* judge.c: distance_f32 and judge_f32 with NEON. The 8 lanes of kernels.h are two vectors; rests are filled up with
 * equal numbers, whose distance of 0 changes no bit of a sum that is never -0. */
#include "neon.h"

#if defined(__ARM_NEON) && defined(__ARM_FEATURE_FMA)

#include <arm_neon.h>

#include "../loops.h"

typedef struct lanes {
    float32x4_t low, high;
} lanes;

FG_INLINE float32x4_t add_distance(float32x4_t sum, float32x4_t a, float32x4_t b, const uint32_t norm)
{
    if (norm == FG_NORM_L1) return vaddq_f32(sum, vabdq_f32(a, b));
    if (norm == FG_NORM_MAX) return vmaxq_f32(sum, vabdq_f32(a, b)); /* a NaN stays */
    const float32x4_t difference = vsubq_f32(a, b);
    return vaddq_f32(sum, vmulq_f32(difference, difference));
}

/* ((0+4)+(2+6))+((1+5)+(3+7)) */
FG_INLINE float join(lanes l, const uint32_t norm)
{
    if (norm == FG_NORM_MAX) {
        const float32x4_t most = vmaxq_f32(l.low, l.high);
        const float32x2_t pair = vmax_f32(vget_low_f32(most), vget_high_f32(most));
        return vget_lane_f32(vpmax_f32(pair, pair), 0);
    }
    const float32x4_t sum = vaddq_f32(l.low, l.high);
    const float32x2_t pair = vadd_f32(vget_low_f32(sum), vget_high_f32(sum));
    return vget_lane_f32(vpadd_f32(pair, pair), 0);
}

FG_INLINE float distance(const uint32_t norm, const float *a, const float *b, size_t count)
{
    lanes l = {vdupq_n_f32(0.0f), vdupq_n_f32(0.0f)};
    size_t i = 0;
    for (; i + FG_LANES <= count; i += FG_LANES) {
        l.low = add_distance(l.low, vld1q_f32(a + i), vld1q_f32(b + i), norm);
        l.high = add_distance(l.high, vld1q_f32(a + i + 4), vld1q_f32(b + i + 4), norm);
    }
    if (i < count) {
        float x[FG_LANES] = {0}, y[FG_LANES] = {0};
        for (size_t k = 0; i + k < count; k++) {
            x[k] = a[i + k];
            y[k] = b[i + k];
        }
        l.low = add_distance(l.low, vld1q_f32(x), vld1q_f32(y), norm);
        l.high = add_distance(l.high, vld1q_f32(x + 4), vld1q_f32(y + 4), norm);
    }
    return join(l, norm);
}

float fg_distance_f32_neon(uint32_t norm, const float *a, const float *b, size_t count)
{
    switch (norm) {
    case FG_NORM_L1: return distance(FG_NORM_L1, a, b, count);
    case FG_NORM_RMS: return distance(FG_NORM_RMS, a, b, count);
    default: return distance(FG_NORM_MAX, a, b, count);
    }
}

static int bits_differ(const float *a, const float *b, size_t count)
{
    uint32x4_t differ = vdupq_n_u32(0);
    uint32_t rest = 0;
    size_t i = 0;
    for (; i + 4 <= count; i += 4)
        differ = vorrq_u32(differ,
                           veorq_u32(vreinterpretq_u32_f32(vld1q_f32(a + i)), vreinterpretq_u32_f32(vld1q_f32(b + i))));
    for (; i < count; i++) {
        const uint32x2_t x = vreinterpret_u32_f32(vld1_dup_f32(a + i)), y = vreinterpret_u32_f32(vld1_dup_f32(b + i));
        rest |= vget_lane_u32(veor_u32(x, y), 0);
    }
    const uint32x2_t pair = vorr_u32(vget_low_u32(differ), vget_high_u32(differ));
    return (vget_lane_u32(pair, 0) | vget_lane_u32(pair, 1) | rest) != 0;
}

FG_INLINE void copy(float *to, const float *from, size_t count)
{
    size_t i = 0;
    for (; i + 4 <= count; i += 4) vst1q_f32(to + i, vld1q_f32(from + i));
    for (; i < count; i++) to[i] = from[i];
}

/* Numbers that lie apart differ in their bits; where nothing lies apart, or something is no number, the bits tell. */
FG_INLINE void judge(const fg_judge_f32_args *args, const uint32_t gated, const uint32_t norm)
{
    const float *fresh = args->fresh;
    for (size_t p = 0; p < args->count; p++, fresh += args->channels) {
        float *held = args->held + args->pixels[p] * args->stride;
        const float apart = gated ? distance(norm, fresh, held, args->channels) : 0.0f;
        uint8_t flag = FG_PIXEL_CHANGED;
        if (apart > 0.0f) {
            if (apart <= args->limit) flag = FG_PIXEL_HELD;
        } else if (!bits_differ(fresh, held, args->channels)) {
            flag = FG_PIXEL_SAME;
        } else if (gated && apart <= args->limit) {
            flag = FG_PIXEL_HELD;
        }
        args->flags[p] = flag;
        if (args->commit && flag == FG_PIXEL_CHANGED) copy(held, fresh, args->channels);
    }
}

void fg_judge_f32_neon(const fg_judge_f32_args *args)
{
    if (!args->gated) {
        judge(args, 0, FG_NORM_L1);
    } else if (args->norm == FG_NORM_L1) {
        judge(args, 1, FG_NORM_L1);
    } else if (args->norm == FG_NORM_RMS) {
        judge(args, 1, FG_NORM_RMS);
    } else {
        judge(args, 1, FG_NORM_MAX);
    }
}

#endif
