/* runs_tmpl.h: runs of numbers reduced to one, what reduce_tmpl.h and softmax_tmpl.h share. */
#ifndef FG_RUNS_TMPL_H
#define FG_RUNS_TMPL_H

#include "lanes.h"
#include "registers.h"

/* Reduces to one number. */
#define LANES(first, LOAD, update, value, f)                                                                           \
    float lane[FG_LANES];                                                                                              \
    FILL_LANES(lane, first, LOAD, update, value, f);                                                                   \
    return JOIN(f, lane)

#define LOAD_X memcpy(&v, x + i, sizeof v)

static float run_sum(const float *x, size_t count) { LANES(0.0f, LOAD_X, lanes + v, x[i], add); }

static float run_max(const float *x, size_t count)
{
    enum { PARTS = FG_LANES / FG_WIDTH };
    const size_t whole = count / FG_LANES * FG_LANES;
    float lane[FG_LANES];
    fg_vector largest[PARTS];
    for (size_t i = 0; i < FG_LANES; i++) lane[i] = -FG_INFINITY;
    memcpy(largest, lane, sizeof lane);
    for (size_t i = 0; i < whole; i += FG_LANES) {
        _Pragma("GCC unroll 8") for (size_t k = 0; k < PARTS; k++)
        {
            fg_vector v;
            memcpy(&v, x + i + k * FG_WIDTH, sizeof v);
            largest[k] = fg_larger(largest[k], v);
        }
    }
    memcpy(lane, largest, sizeof lane);
    for (size_t i = whole; i < count; i++) lane[i - whole] = fg_max(lane[i - whole], x[i]);
    return JOIN(fg_max, lane);
}

static FG_NOINLINE void accumulate_f32(uint32_t kind, float *restrict accumulator, const float *restrict x,
                                       size_t count)
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

/* The same of several rows. */
FG_UNUSED static FG_NOINLINE void accumulate_rows(uint32_t kind, float *restrict accumulator, const float *restrict x,
                                                  size_t step, size_t rows, size_t count)
{
    const int sum = kind == FG_REDUCE_SUM || kind == FG_REDUCE_MEAN;
    size_t row = 0;
    for (; sum && row + 4 <= rows; row += 4, x += 4 * step) {
        const float *a = x, *b = a + step, *c = b + step, *d = c + step;
        for (size_t i = 0; i < count; i++) accumulator[i] = (((accumulator[i] + a[i]) + b[i]) + c[i]) + d[i];
    }
    for (; row < rows; row++, x += step) accumulate_f32(kind, accumulator, x, count);
}

#endif
