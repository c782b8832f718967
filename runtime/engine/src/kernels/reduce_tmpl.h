/* reduce_tmpl.h: sums and extremes in the orders of lanes.h. Included by one file per instruction set; the compiler
 * vectorises. */
#include "runs_tmpl.h"

static inline float multiply(float a, float b) { return a * b; }

/* Half as many, because compilers do not split wider conversions well. */
typedef float fg_half_lanes __attribute__((vector_size(FG_LANES / 2 * sizeof(float))));
typedef double fg_wide_lanes __attribute__((vector_size(FG_LANES / 2 * sizeof(double))));

static void moments_f64(const float *x, size_t count, double *sums)
{
    fg_wide_lanes sum[2] = {{0}, {0}}, squares[2] = {{0}, {0}};
    const size_t whole = count / FG_LANES * FG_LANES;
    for (size_t i = 0; i < whole; i += FG_LANES) {
        fg_half_lanes v[2];
        memcpy(v, x + i, sizeof v);
        for (size_t h = 0; h < 2; h++) {
            const fg_wide_lanes wide = __builtin_convertvector(v[h], fg_wide_lanes);
            sum[h] += wide;
            squares[h] += wide * wide;
        }
    }
    double s[FG_LANES], q[FG_LANES];
    memcpy(s, sum, sizeof s);
    memcpy(q, squares, sizeof q);
    for (size_t i = whole; i < count; i++) {
        const double value = x[i];
        s[i - whole] += value;
        q[i - whole] += value * value;
    }
    sums[0] = ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
    sums[1] = ((q[0] + q[4]) + (q[2] + q[6])) + ((q[1] + q[5]) + (q[3] + q[7]));
}

static float run_product(const float *x, size_t count) { LANES(1.0f, LOAD_X, lanes * v, x[i], multiply); }

static float run_min(const float *x, size_t count)
{
    LANES(FG_INFINITY, LOAD_X, SELECT((v < lanes) | (v != v)), x[i], fg_min);
}

#undef LOAD_X
#undef LANES

/* Index of the extreme in a column of stride numbers; a NaN is never one, unless it stands first. */
static float column_extreme_index(const float *x, size_t count, size_t stride, uint32_t largest, uint32_t select_last)
{
    float best = x[0];
    size_t index = 0;
    for (size_t i = 1; i < count; i++) {
        const float value = x[i * stride];
        if ((largest ? value > best : value < best) || (select_last && value == best)) {
            best = value;
            index = i;
        }
    }
    return (float)index;
}

/* width <= FG_CHUNK neighbouring columns at once, elements in order. */
static void reduce_columns(uint32_t kind, const float *x, size_t count, size_t stride, float *out, size_t width)
{
    float accumulator[FG_CHUNK];
    memcpy(accumulator, x, width * sizeof *x);
    accumulate_rows(kind, accumulator, x + stride, stride, count - 1, width);
    const float divisor = kind == FG_REDUCE_MEAN ? (float)count : 1.0f;
    for (size_t j = 0; j < width; j++) out[j] = accumulator[j] / divisor;
}

static float reduce_run(uint32_t kind, const float *x, size_t count)
{
    switch (kind) {
    case FG_REDUCE_MEAN: return run_sum(x, count) / (float)count;
    case FG_REDUCE_SUM: return run_sum(x, count);
    case FG_REDUCE_MAX: return run_max(x, count);
    case FG_REDUCE_MIN: return run_min(x, count);
    default: return run_product(x, count);
    }
}

static void reduce_channels_f32(const fg_reduce_channels_f32_args *args)
{
    const size_t count = args->count, inner = args->inner;
    if (count == 0) return;
    for (size_t o = 0; o < args->outer; o++) {
        const float *x = args->x + o * count * inner;
        float *out = args->out + o * inner;
        if (args->kind == FG_REDUCE_ARG_MAX || args->kind == FG_REDUCE_ARG_MIN) {
            for (size_t j = 0; j < inner; j++)
                out[j] = column_extreme_index(x + j, count, inner, args->kind == FG_REDUCE_ARG_MAX, args->select_last);
        } else if (inner == 1) {
            out[0] = reduce_run(args->kind, x, count);
        } else {
            for (size_t j = 0; j < inner; j += FG_CHUNK)
                reduce_columns(args->kind, x + j, count, inner, out + j, fg_at_most(inner - j, FG_CHUNK));
        }
    }
}
