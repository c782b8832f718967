/* reduce_tmpl.h: sums and extremes in the orders of lanes.h. Included by one file per instruction set; the compiler
 * vectorises. */
#include "lanes.h"

static inline float multiply(float a, float b) { return a * b; }

/* Half as many, because compilers do not split wider conversions well. */
typedef float fg_half_lanes __attribute__((vector_size(FG_LANES / 2 * sizeof(float))));
typedef double fg_wide_lanes __attribute__((vector_size(FG_LANES / 2 * sizeof(double))));

/* Reduces to one number. */
#define LANES(first, LOAD, update, value, f)                                                                           \
    float lane[FG_LANES];                                                                                              \
    FILL_LANES(lane, first, LOAD, update, value, f);                                                                   \
    return JOIN(f, lane)

#define LOAD_X memcpy(&v, x + i, sizeof v)

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

static float run_sum(const float *x, size_t count) { LANES(0.0f, LOAD_X, lanes + v, x[i], add); }
static float run_product(const float *x, size_t count) { LANES(1.0f, LOAD_X, lanes * v, x[i], multiply); }

static float run_max(const float *x, size_t count)
{
    LANES(-FG_INFINITY, LOAD_X, SELECT((v > lanes) | (v != v)), x[i], fg_max);
}

static float run_min(const float *x, size_t count)
{
    LANES(FG_INFINITY, LOAD_X, SELECT((v < lanes) | (v != v)), x[i], fg_min);
}

#undef LOAD_X
#undef LANES

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
    for (size_t i = 1; i < count; i++) accumulate_f32(kind, accumulator, x + i * stride, width);
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

static void softmax_run(const float *x, float *out, size_t count, uint32_t log)
{
    const float largest = run_max(x, count);
    if (log) {
        float sum = 0.0f;
        for (size_t base = 0; base < count; base += FG_CHUNK) {
            float power[FG_CHUNK];
            const size_t width = fg_at_most(count - base, FG_CHUNK);
            for (size_t i = 0; i < width; i++) power[i] = fg_exp_decay(largest - x[base + i]);
            sum += run_sum(power, width);
        }
        const float log_sum = fg_log(sum);
        FG_INDEPENDENT
        for (size_t i = 0; i < count; i++) out[i] = (x[i] - largest) - log_sum;
        return;
    }
    FG_INDEPENDENT
    for (size_t i = 0; i < count; i++) out[i] = fg_exp_decay(largest - x[i]);
    const float sum = run_sum(out, count);
    for (size_t i = 0; i < count; i++) out[i] = out[i] / sum;
}

/* width <= FG_CHUNK neighbouring columns at once. */
static void softmax_columns(const float *x, float *out, size_t count, size_t stride, size_t width, uint32_t log)
{
    float largest[FG_CHUNK], sum[FG_CHUNK] = {0};
    memcpy(largest, x, width * sizeof *x);
    for (size_t i = 1; i < count; i++) accumulate_f32(FG_REDUCE_MAX, largest, x + i * stride, width);
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < width; j++) sum[j] += fg_exp_decay(largest[j] - x[i * stride + j]);
    if (log)
        for (size_t j = 0; j < width; j++) sum[j] = fg_log(sum[j]);
    for (size_t i = 0; i < count; i++) {
        const float *from = x + i * stride;
        float *to = out + i * stride;
        if (log) {
            FG_INDEPENDENT
            for (size_t j = 0; j < width; j++) to[j] = (from[j] - largest[j]) - sum[j];
        } else {
            FG_INDEPENDENT
            for (size_t j = 0; j < width; j++) to[j] = fg_exp_decay(largest[j] - from[j]) / sum[j];
        }
    }
}

/* Joins count <= 8 columns as the lanes of one number each: those that are not there would change nothing. */
static void join_columns(uint32_t kind, float (*lane)[FG_CHUNK], size_t count, size_t width)
{
    for (size_t step = FG_LANES / 2; step > 0; step /= 2)
        for (size_t k = 0; k < step && k + step < count; k++) accumulate_f32(kind, lane[k], lane[k + step], width);
}

/* rows <= FG_CHUNK softmaxes of count <= 8 numbers each, side by side: the bits of softmax_run. */
static void softmax_rows(const float *x, float *out, size_t rows, size_t count, uint32_t log)
{
    float column[FG_LANES][FG_CHUNK], lane[FG_LANES][FG_CHUNK], largest[FG_CHUNK];
    for (size_t c = 0; c < count; c++)
        for (size_t j = 0; j < rows; j++) column[c][j] = lane[c][j] = x[j * count + c];
    join_columns(FG_REDUCE_MAX, lane, count, rows);
    memcpy(largest, lane[0], rows * sizeof *largest);
    for (size_t c = 0; c < count; c++) {
        for (size_t j = 0; j < rows; j++) lane[c][j] = fg_exp_decay(largest[j] - column[c][j]);
        for (size_t j = 0; j < rows; j++) column[c][j] = log ? column[c][j] - largest[j] : lane[c][j];
    }
    join_columns(FG_REDUCE_SUM, lane, count, rows);
    if (log)
        for (size_t j = 0; j < rows; j++) lane[0][j] = fg_log(lane[0][j]);
    for (size_t c = 0; c < count; c++) {
        for (size_t j = 0; j < rows; j++) column[c][j] = log ? column[c][j] - lane[0][j] : column[c][j] / lane[0][j];
        for (size_t j = 0; j < rows; j++) out[j * count + c] = column[c][j];
    }
}

static void softmax_f32(const float *x, float *out, size_t outer, size_t count, size_t inner, uint32_t log)
{
    if (count == 0) return;
    size_t o = 0;
    for (size_t rows; inner == 1 && count <= FG_LANES && outer - o > 1; o += rows) {
        rows = fg_at_most(outer - o, FG_CHUNK);
        softmax_rows(x + o * count, out + o * count, rows, count, log);
    }
    for (; o < outer; o++) {
        const size_t at = o * count * inner;
        if (inner == 1) {
            softmax_run(x + at, out + at, count, log);
        } else {
            for (size_t j = 0; j < inner; j += FG_CHUNK)
                softmax_columns(x + at + j, out + at + j, count, inner, fg_at_most(inner - j, FG_CHUNK), log);
        }
    }
}
