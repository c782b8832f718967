/* runs_tmpl.h: runs of numbers reduced to one, what reduce_tmpl.h and softmax_tmpl.h share. */
#ifndef FG_RUNS_TMPL_H
#define FG_RUNS_TMPL_H

#include "lanes.h"

/* Reduces to one number. */
#define LANES(first, LOAD, update, value, f)                                                                           \
    float lane[FG_LANES];                                                                                              \
    FILL_LANES(lane, first, LOAD, update, value, f);                                                                   \
    return JOIN(f, lane)

#define LOAD_X memcpy(&v, x + i, sizeof v)

static float run_sum(const float *x, size_t count) { LANES(0.0f, LOAD_X, lanes + v, x[i], add); }

static float run_max(const float *x, size_t count)
{
    LANES(-FG_INFINITY, LOAD_X, SELECT((v > lanes) | (v != v)), x[i], fg_max);
}

static void accumulate_f32(uint32_t kind, float *restrict accumulator, const float *restrict x, size_t count)
{
    switch (kind) {
    case FG_REDUCE_MAX:
        for (size_t i = 0; i < count; i++) accumulator[i] = fg_max(accumulator[i], x[i]);
        break;
    case FG_REDUCE_MIN:
        for (size_t i = 0; i < count; i++) accumulator[i] = fg_min(accumulator[i], x[i]);
        break;
    case FG_REDUCE_PRODUCT:
        for (size_t i = 0; i < count; i++) accumulator[i] *= x[i];
        break;
    default:
        for (size_t i = 0; i < count; i++) accumulator[i] += x[i];
        break;
    }
}

#endif
