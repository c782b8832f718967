/* judge.c: distance_f32 and judge_f32 with NEON. The 8 lanes of kernels.h are two vectors; rests are filled up with
 * equal numbers, whose distance of 0 changes no bit of a sum that is never -0. */
#include "neon.h"

#if defined(__ARM_NEON) && defined(__ARM_FEATURE_FMA)

#include "vector.h"

enum { VECTOR = 4, FOUR = 4 * VECTOR };

typedef struct lanes {
    float32x4_t low, high;
} lanes;

FG_INLINE void copy_four(float *to, const float *from)
{
#if defined(__aarch64__)
    vst1q_f32_x4(to, vld1q_f32_x4(from));
#else
    for (size_t i = 0; i < FOUR; i += VECTOR) vst1q_f32(to + i, vld1q_f32(from + i));
#endif
}

/* Fewer numbers than a vector has, zeros behind them. */
FG_INLINE float32x4_t load_rest(const float *from, size_t count)
{
    float32x4_t v = vdupq_n_f32(0.0f);
    if (count > 0) v = vld1q_lane_f32(from, v, 0);
    if (count > 1) v = vld1q_lane_f32(from + 1, v, 1);
    if (count > 2) v = vld1q_lane_f32(from + 2, v, 2);
    return v;
}

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

/* What is known of a count of numbers when compiled: that it is some FOURs and a rest of 0 or 8, or FG_LANES alone. */
enum { ANY = -1, REST_0 = 0, REST_8 = 8, LANES_ALONE = 9 };
FG_INLINE int has_four(const int known) { return known == REST_0 || known == REST_8; }
FG_INLINE size_t rest_of(size_t count, const int known)
{
    return known == ANY ? count % FOUR : known == REST_0 ? 0 : FG_LANES;
}

/* FOUR numbers; first: the lanes are 0 till now. */
FG_INLINE void add_four(lanes *l, const float *a, const float *b, const uint32_t norm, const int first)
{
    const float32x4_t zero = vdupq_n_f32(0.0f);
    float32x4_t x[4], y[4];
    load_four(a, x);
    load_four(b, y);
    if (first && norm == FG_NORM_L1) { /* 0 + |d| is |d| */
        l->low = vabdq_f32(x[0], y[0]);
        l->high = vabdq_f32(x[1], y[1]);
    } else {
        l->low = add_distance(first ? zero : l->low, x[0], y[0], norm);
        l->high = add_distance(first ? zero : l->high, x[1], y[1], norm);
    }
    l->low = add_distance(l->low, x[2], y[2], norm);
    l->high = add_distance(l->high, x[3], y[3], norm);
}

FG_INLINE float distance(const uint32_t norm, const float *a, const float *b, size_t count, const int known)
{
    const float *const end = a + count / FOUR * FOUR;
    lanes l = {vdupq_n_f32(0.0f), vdupq_n_f32(0.0f)};
    if (has_four(known)) {
        add_four(&l, a, b, norm, 1);
        a += FOUR, b += FOUR;
    }
    for (; known != LANES_ALONE && a < end; a += FOUR, b += FOUR) add_four(&l, a, b, norm, 0);
    count = rest_of(count, known);
    if (count >= FG_LANES) {
        l.low = add_distance(l.low, vld1q_f32(a), vld1q_f32(b), norm);
        l.high = add_distance(l.high, vld1q_f32(a + VECTOR), vld1q_f32(b + VECTOR), norm);
        count -= FG_LANES, a += FG_LANES, b += FG_LANES;
    }
    if (count >= VECTOR) {
        l.low = add_distance(l.low, vld1q_f32(a), vld1q_f32(b), norm);
        count -= VECTOR, a += VECTOR, b += VECTOR;
        if (count) l.high = add_distance(l.high, load_rest(a, count), load_rest(b, count), norm);
    } else if (count) {
        l.low = add_distance(l.low, load_rest(a, count), load_rest(b, count), norm);
    }
    return join(l, norm);
}

float fg_distance_f32_neon(uint32_t norm, const float *a, const float *b, size_t count)
{
    switch (norm) {
    case FG_NORM_L1: return distance(FG_NORM_L1, a, b, count, ANY);
    case FG_NORM_RMS: return distance(FG_NORM_RMS, a, b, count, ANY);
    default: return distance(FG_NORM_MAX, a, b, count, ANY);
    }
}

static int bits_differ(const float *a, const float *b, size_t count)
{
    uint32x4_t differ = vdupq_n_u32(0);
    for (; count >= FOUR; count -= FOUR, a += FOUR, b += FOUR) {
        float32x4_t x[4], y[4];
        load_four(a, x);
        load_four(b, y);
        for (size_t i = 0; i < 4; i++) differ = vorrq_u32(differ, differing(x[i], y[i]));
    }
    for (; count >= VECTOR; count -= VECTOR, a += VECTOR, b += VECTOR)
        differ = vorrq_u32(differ, differing(vld1q_f32(a), vld1q_f32(b)));
    if (count) differ = vorrq_u32(differ, differing(load_rest(a, count), load_rest(b, count)));
    const uint32x2_t pair = vorr_u32(vget_low_u32(differ), vget_high_u32(differ));
    return (vget_lane_u32(pair, 0) | vget_lane_u32(pair, 1)) != 0;
}

FG_INLINE void copy(float *to, const float *from, size_t count, const int known)
{
    const float *const end = from + count / FOUR * FOUR;
    if (has_four(known)) {
        copy_four(to, from);
        to += FOUR, from += FOUR;
    }
    for (; known != LANES_ALONE && from < end; to += FOUR, from += FOUR) copy_four(to, from);
    count = rest_of(count, known);
    for (; count >= VECTOR; count -= VECTOR, to += VECTOR, from += VECTOR) vst1q_f32(to, vld1q_f32(from));
    for (size_t i = 0; i < count; i++) to[i] = from[i];
}

/* Numbers that lie apart differ in their bits; where nothing lies apart, or something is no number, the bits tell. */
FG_INLINE uint8_t flag_of(const fg_judge_f32_args *args, const float *fresh, const float *held, float apart,
                          const uint32_t gated)
{
    if (apart > 0.0f) return apart <= args->limit ? FG_PIXEL_HELD : FG_PIXEL_CHANGED;
    if (!bits_differ(fresh, held, args->channels)) return FG_PIXEL_SAME;
    return gated && apart <= args->limit ? FG_PIXEL_HELD : FG_PIXEL_CHANGED;
}

/* The pixels from begin on. */
FG_INLINE void judge(const fg_judge_f32_args *args, size_t begin, const uint32_t gated, const uint32_t norm,
                     const int known)
{
    const size_t count = args->count, channels = args->channels, stride = args->stride;
    const uint32_t *pixels = args->pixels, commit = args->commit;
    const float *fresh = args->fresh + begin * channels;
    float *const first = args->held;
    for (size_t p = begin; p < count; p++, fresh += channels) {
        float *held = first + pixels[p] * stride;
        const float apart = gated ? distance(norm, fresh, held, channels, known) : 0.0f;
        const uint8_t flag = flag_of(args, fresh, held, apart, gated);
        args->flags[p] = flag;
        if (gated && args->moved) args->moved[pixels[p]] = flag == FG_PIXEL_CHANGED ? apart : 0.0f;
        if (commit && flag == FG_PIXEL_CHANGED) copy(held, fresh, channels, known);
    }
}

#if defined(__aarch64__)
#define EACH _Pragma("GCC unroll 4") for (size_t k = 0; k < 4; k++)
#define KEEP(p) __asm__("" : "+r"(p)) /* as in gemm.c */

FG_INLINE void next_four(lanes *l, const float **x, float **y, const int first)
{
    add_four(l, *x, *y, FG_NORM_L1, first);
    *x += FOUR, *y += FOUR;
    KEEP(*x);
    KEEP(*y);
}

/* The L1 distances of four pixels, of which x and y leave whole FOURs behind. */
FG_INLINE float32x4_t four_distances(const float **x, float **y, size_t channels, const int known)
{
    lanes l[4];
    float32x4_t sum[4];
    EACH l[k] = (lanes){vdupq_n_f32(0.0f), vdupq_n_f32(0.0f)};
    if (has_four(known)) EACH next_four(&l[k], &x[k], &y[k], 1);
    for (size_t left = has_four(known) ? channels / FOUR - 1 : 0; left > 0; left--)
        EACH next_four(&l[k], &x[k], &y[k], 0);
    if (rest_of(channels, known)) {
        EACH
        {
            l[k].low = add_distance(l[k].low, vld1q_f32(x[k]), vld1q_f32(y[k]), FG_NORM_L1);
            l[k].high = add_distance(l[k].high, vld1q_f32(x[k] + VECTOR), vld1q_f32(y[k] + VECTOR), FG_NORM_L1);
        }
    }
    EACH sum[k] = vaddq_f32(l[k].low, l[k].high);
    /* join, of all four: halves of two sums side by side, then neighbours */
    const float64x2_t a = vreinterpretq_f64_f32(sum[0]), b = vreinterpretq_f64_f32(sum[1]);
    const float64x2_t c = vreinterpretq_f64_f32(sum[2]), d = vreinterpretq_f64_f32(sum[3]);
    return vpaddq_f32(vaddq_f32(vreinterpretq_f32_f64(vzip1q_f64(a, b)), vreinterpretq_f32_f64(vzip2q_f64(a, b))),
                      vaddq_f32(vreinterpretq_f32_f64(vzip1q_f64(c, d)), vreinterpretq_f32_f64(vzip2q_f64(c, d))));
}

/* By L1 norm, four pixels at a time: what is left when distances are known costs the same for one and for four. */
FG_INLINE void judge_fours(const fg_judge_f32_args *args, const int known)
{
    const size_t channels = args->channels, stride = args->stride, whole = args->count / 4 * 4;
    const size_t moved = has_four(known) ? channels / FOUR * FOUR : 0;
    const uint32_t *pixels = args->pixels, commit = args->commit;
    const float *fresh = args->fresh;
    float *const first = args->held;
    uint8_t *flags = args->flags;
    const float32x4_t limit = vdupq_n_f32(args->limit);
    for (size_t p = 0; p < whole; p += 4, flags += 4) {
        const float *x[4];
        float *held[4];
        EACH
        {
            held[k] = first + pixels[p + k] * stride, x[k] = fresh;
            fresh += channels;
            KEEP(fresh);
        }
        const float32x4_t apart = four_distances(x, held, channels, known);
        EACH x[k] -= moved, held[k] -= moved;
        if (vminvq_u32(vcgtzq_f32(apart))) {
            const uint32x4_t all = vaddq_u32(vdupq_n_u32(FG_PIXEL_HELD), vcgtq_f32(apart, limit)); /* -1: changed */
            const uint8x8_t bytes = vreinterpret_u8_u16(vmovn_u32(all));
            vst1_lane_u32((uint32_t *)(void *)flags, vreinterpret_u32_u8(vuzp1_u8(bytes, bytes)), 0);
        } else {
            float each[4];
            vst1q_f32(each, apart);
            EACH flags[k] = flag_of(args, x[k], held[k], each[k], 1);
        }
        if (args->moved) {
            float each[4];
            const uint32x4_t stays = vcleq_f32(apart, limit);
            vst1q_f32(each, vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(apart), stays)));
            EACH args->moved[pixels[p + k]] = each[k];
        }
        uint32_t four;
        memcpy(&four, flags, sizeof four);
        if (!commit || four == FG_PIXEL_HELD * 0x01010101u) continue;
        if (four == FG_PIXEL_CHANGED * 0x01010101u) {
            EACH copy(held[k], x[k], channels, known);
        } else {
            EACH if (flags[k] == FG_PIXEL_CHANGED) copy(held[k], x[k], channels, known);
        }
    }
    judge(args, whole, 1, FG_NORM_L1, known);
}
#else
FG_INLINE void judge_fours(const fg_judge_f32_args *args, const int known) { judge(args, 0, 1, FG_NORM_L1, known); }
#endif

/* Functions of their own, so that registers suffice. */
static FG_NOINLINE void judge_eights(const fg_judge_f32_args *args) { judge_fours(args, LANES_ALONE); }
static FG_NOINLINE void judge_rest_0(const fg_judge_f32_args *args) { judge_fours(args, REST_0); }
static FG_NOINLINE void judge_rest_8(const fg_judge_f32_args *args) { judge_fours(args, REST_8); }

/* By L1 norm, the usual one, channels are usually a multiple of 8. */
void fg_judge_f32_neon(const fg_judge_f32_args *args)
{
    const size_t channels = args->channels;
    if (!args->gated) {
        judge(args, 0, 0, FG_NORM_L1, ANY);
    } else if (args->norm == FG_NORM_RMS) {
        judge(args, 0, 1, FG_NORM_RMS, ANY);
    } else if (args->norm == FG_NORM_MAX) {
        judge(args, 0, 1, FG_NORM_MAX, ANY);
    } else if (channels == FG_LANES) {
        judge_eights(args);
    } else if (channels >= FOUR && channels % FOUR == 0) {
        judge_rest_0(args);
    } else if (channels >= FOUR && channels % FOUR == FG_LANES) {
        judge_rest_8(args);
    } else {
        judge(args, 0, 1, FG_NORM_L1, ANY);
    }
}

#endif
