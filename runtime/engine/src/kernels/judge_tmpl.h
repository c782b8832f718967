/* judge_tmpl.h: how far pixels moved. Included by one file per instruction set; the compiler vectorises. */
#include "lanes.h"

#define LOAD_DIFFERENCE                                                                                                \
    fg_lanes other;                                                                                                    \
    memcpy(&v, a + i, sizeof v);                                                                                       \
    memcpy(&other, b + i, sizeof other);                                                                               \
    v -= other
#define LOAD_SIZE                                                                                                      \
    LOAD_DIFFERENCE;                                                                                                   \
    v = (fg_lanes)((fg_lane_bits)v & 0x7FFFFFFF)

static inline void lanes_l1(const float *a, const float *b, size_t count, float *lane)
{
    FILL_LANES(lane, 0.0f, LOAD_SIZE, lanes + v, fg_abs(a[i] - b[i]), add);
}

static inline void lanes_rms(const float *a, const float *b, size_t count, float *lane)
{
    FILL_LANES(lane, 0.0f, LOAD_DIFFERENCE, lanes + v * v, (a[i] - b[i]) * (a[i] - b[i]), add);
}

static inline void lanes_max(const float *a, const float *b, size_t count, float *lane)
{
    FILL_LANES(lane, 0.0f, LOAD_SIZE, SELECT((v > lanes) | (v != v)), fg_abs(a[i] - b[i]), fg_max); /* a NaN stays */
}

FG_UNUSED static float distance_f32(uint32_t norm, const float *a, const float *b, size_t count)
{
    float lane[FG_LANES];
    if (norm == FG_NORM_L1) {
        lanes_l1(a, b, count, lane);
    } else if (norm == FG_NORM_RMS) {
        lanes_rms(a, b, count, lane);
    } else {
        lanes_max(a, b, count, lane);
        return JOIN(fg_max, lane);
    }
    return JOIN(add, lane);
}

/* Whether any bit differs. Numbers as they lie in memory: -0 and 0 differ, equal NaNs do not. */
static FG_NOINLINE uint32_t bits_differ(const float *a, const float *b, size_t count)
{
    uint32_t differ = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t x, y;
        memcpy(&x, a + i, sizeof x);
        memcpy(&y, b + i, sizeof y);
        differ |= x ^ y;
    }
    return differ;
}

/* In passes over a few pixels at a time, so that one pixel's long sum overlaps with the next one's. */
enum { FG_JUDGE_PIXELS = 16 };

static inline const float *fresh_of(const fg_judge_f32_args *args, size_t p)
{
    return args->fresh + p * args->channels;
}

static inline float *held_of(const fg_judge_f32_args *args, size_t p)
{
    return args->held + args->pixels[p] * args->stride;
}

#define EACH_PIXEL(lanes_of)                                                                                           \
    for (size_t p = 0; p < count; p++)                                                                                 \
    lanes_of(fresh_of(args, begin + p), held_of(args, begin + p), args->channels, lane[p])

/* distance_f32 of count pixels from begin on: the joins last, where they no longer wait for one another. */
static inline void judge_distances(const fg_judge_f32_args *args, size_t begin, size_t count, float *distance)
{
    float lane[FG_JUDGE_PIXELS][FG_LANES];
    if (args->norm == FG_NORM_L1) {
        EACH_PIXEL(lanes_l1);
    } else if (args->norm == FG_NORM_RMS) {
        EACH_PIXEL(lanes_rms);
    } else {
        EACH_PIXEL(lanes_max);
        for (size_t p = 0; p < count; p++) distance[p] = JOIN(fg_max, lane[p]);
        return;
    }
    for (size_t p = 0; p < count; p++) distance[p] = JOIN(add, lane[p]);
}

/* Short copies, as most pixels are, without a call. */
static inline void copy_numbers(float *to, const float *from, size_t count)
{
    size_t i = 0;
    for (; i + FG_LANES <= count; i += FG_LANES) memcpy(to + i, from + i, sizeof(fg_lanes));
    for (; i < count; i++) to[i] = from[i];
}

/* Numbers apart by more than nothing differ; at 0 (zeros of two signs, tiny squares) and NaN the bits tell. */
static inline uint8_t flag_of(const fg_judge_f32_args *args, const float *fresh, const float *held, float apart)
{
    if (apart > 0.0f) return apart > args->limit ? FG_PIXEL_CHANGED : FG_PIXEL_HELD;
    if (!bits_differ(fresh, held, args->channels)) return FG_PIXEL_SAME;
    return args->gated && apart <= args->limit ? FG_PIXEL_HELD : FG_PIXEL_CHANGED;
}

static void judge_some(const fg_judge_f32_args *args, size_t begin, size_t count)
{
    float distance[FG_JUDGE_PIXELS] = {0};
    if (args->gated) judge_distances(args, begin, count, distance);
    for (size_t p = 0; p < count; p++) {
        const float *fresh = fresh_of(args, begin + p);
        float *held = held_of(args, begin + p);
        const uint8_t flag = flag_of(args, fresh, held, distance[p]);
        args->flags[begin + p] = flag;
        if (args->gated && args->moved)
            args->moved[args->pixels[begin + p]] = flag == FG_PIXEL_CHANGED ? distance[p] : 0.0f;
        if (args->commit && flag == FG_PIXEL_CHANGED) copy_numbers(held, fresh, args->channels);
    }
}

FG_UNUSED static void judge_f32(const fg_judge_f32_args *args)
{
    for (size_t p = 0; p < args->count; p += FG_JUDGE_PIXELS)
        judge_some(args, p, fg_at_most(args->count - p, FG_JUDGE_PIXELS));
}

#undef EACH_PIXEL
#undef LOAD_SIZE
#undef LOAD_DIFFERENCE
