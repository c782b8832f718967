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

static float distance_f32(uint32_t norm, const float *a, const float *b, size_t count)
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
static uint32_t bits_differ(const float *a, const float *b, size_t count)
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

/* distance_f32 of count pixels: the joins last, where they no longer wait for one another. */
static void judge_distances(uint32_t norm, const float *const *fresh, float *const *held, size_t count, size_t channels,
                            float *distance)
{
    float lane[FG_JUDGE_PIXELS][FG_LANES];
    if (norm == FG_NORM_L1) {
        for (size_t p = 0; p < count; p++) lanes_l1(fresh[p], held[p], channels, lane[p]);
    } else if (norm == FG_NORM_RMS) {
        for (size_t p = 0; p < count; p++) lanes_rms(fresh[p], held[p], channels, lane[p]);
    } else {
        for (size_t p = 0; p < count; p++) lanes_max(fresh[p], held[p], channels, lane[p]);
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

static void judge_some(const fg_judge_f32_args *args, size_t begin, size_t count)
{
    const float *fresh[FG_JUDGE_PIXELS];
    float *held[FG_JUDGE_PIXELS], distance[FG_JUDGE_PIXELS];
    uint8_t *flags = args->flags + begin;
    for (size_t p = 0; p < count; p++) {
        fresh[p] = args->fresh + (begin + p) * args->channels;
        held[p] = args->held + args->pixels[begin + p] * args->stride;
        distance[p] = 0.0f;
    }
    if (args->gated) judge_distances(args->norm, fresh, held, count, args->channels, distance);
    for (size_t p = 0; p < count; p++) {
        /* Numbers apart by more than nothing differ; at 0 (zeros of two signs, tiny squares) and NaN the bits tell. */
        if (distance[p] > 0.0f) {
            flags[p] = distance[p] > args->limit ? FG_PIXEL_CHANGED : FG_PIXEL_HELD;
        } else if (!bits_differ(fresh[p], held[p], args->channels)) {
            flags[p] = FG_PIXEL_SAME;
        } else {
            flags[p] = args->gated && distance[p] <= args->limit ? FG_PIXEL_HELD : FG_PIXEL_CHANGED;
        }
    }
    for (size_t p = 0; p < count; p++) {
        if (args->commit && flags[p] == FG_PIXEL_CHANGED) copy_numbers(held[p], fresh[p], args->channels);
    }
}

static void judge_f32(const fg_judge_f32_args *args)
{
    for (size_t p = 0; p < args->count; p += FG_JUDGE_PIXELS)
        judge_some(args, p, fg_at_most(args->count - p, FG_JUDGE_PIXELS));
}

#undef LOAD_SIZE
#undef LOAD_DIFFERENCE
