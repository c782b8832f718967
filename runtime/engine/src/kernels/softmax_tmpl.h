/* softmax_tmpl.h: softmax and its logarithm. Included by one file per instruction set; the compiler vectorises. */
#include "runs_tmpl.h"

/* Functions of their own, since what they call is long: out[j] = exp(x[j] - largest[j]), which is at most 1, */
static FG_NOINLINE void decay(const float *largest, const float *x, float *out, size_t count)
{
    FG_INDEPENDENT
    for (size_t j = 0; j < count; j++) out[j] = fg_exp_decay(largest[j] - x[j]);
}

/* and x[j] = log(x[j]). */
static FG_NOINLINE void logarithms(float *x, size_t count)
{
    for (size_t j = 0; j < count; j++) x[j] = fg_log(x[j]);
}

static void softmax_run(const float *x, float *out, size_t count, uint32_t log)
{
    const float largest = run_max(x, count);
    float same[FG_CHUNK], power[FG_CHUNK], sum = 0.0f;
    for (size_t j = 0; j < FG_CHUNK; j++) same[j] = largest;
    for (size_t base = 0; base < count; base += FG_CHUNK) {
        const size_t width = fg_at_most(count - base, FG_CHUNK);
        decay(same, x + base, log ? power : out + base, width);
        if (log) sum += run_sum(power, width);
    }
    if (log) {
        logarithms(&sum, 1);
        FG_INDEPENDENT
        for (size_t i = 0; i < count; i++) out[i] = (x[i] - largest) - sum;
        return;
    }
    sum = run_sum(out, count);
    for (size_t i = 0; i < count; i++) out[i] = out[i] / sum;
}

/* width <= FG_CHUNK neighbouring columns at once. */
static void softmax_columns(const float *x, float *out, size_t count, size_t stride, size_t width, uint32_t log)
{
    float largest[FG_CHUNK], power[FG_CHUNK], sum[FG_CHUNK] = {0};
    memcpy(largest, x, width * sizeof *x);
    for (size_t i = 1; i < count; i++) accumulate_f32(FG_REDUCE_MAX, largest, x + i * stride, width);
    for (size_t i = 0; i < count; i++) {
        decay(largest, x + i * stride, power, width);
        accumulate_f32(FG_REDUCE_SUM, sum, power, width);
    }
    if (log) logarithms(sum, width);
    for (size_t i = 0; i < count; i++) {
        const float *from = x + i * stride;
        float *to = out + i * stride;
        if (log) {
            FG_INDEPENDENT
            for (size_t j = 0; j < width; j++) to[j] = (from[j] - largest[j]) - sum[j];
        } else {
            decay(largest, from, to, width);
            for (size_t j = 0; j < width; j++) to[j] /= sum[j];
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
    for (size_t c = 0; c < count; c++) {
        FG_SCALAR
        for (size_t j = 0; j < rows; j++) column[c][j] = lane[c][j] = x[j * count + c];
    }
    join_columns(FG_REDUCE_MAX, lane, count, rows);
    memcpy(largest, lane[0], rows * sizeof *largest);
    for (size_t c = 0; c < count; c++) {
        decay(largest, column[c], lane[c], rows);
        for (size_t j = 0; j < rows; j++) column[c][j] = log ? column[c][j] - largest[j] : lane[c][j];
    }
    join_columns(FG_REDUCE_SUM, lane, count, rows);
    if (log) logarithms(lane[0], rows);
    for (size_t c = 0; c < count; c++) {
        for (size_t j = 0; j < rows; j++) column[c][j] = log ? column[c][j] - lane[0][j] : column[c][j] / lane[0][j];
        FG_SCALAR
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
