/* gemm.c: the scalar twin of every gemm_f32 and depthwise_f32. */
#include "../fused.h"
#include "ref.h"

float fg_finished(const fg_finish *finish, float x)
{
    if (finish->steps & FG_FINISH_SLOPE) x = x < 0.0f ? finish->slope * x : x;
    if (finish->steps & FG_FINISH_LOW) x = x < finish->low ? finish->low : x;
    if (finish->steps & FG_FINISH_HIGH) x = x > finish->high ? finish->high : x;
    return x;
}

/* One row's sums of one panel, block by block; count of them are stored. */
static void panel_row(const fg_gemm_f32_args *args, const float *weights, const float *bias, size_t row, float *out,
                      size_t count)
{
    const size_t total = args->taps * args->depth;
    float sum[FG_PANEL] = {0}, sums[FG_PANEL] = {0};
    for (size_t i = 0; i < total; i++, weights += FG_PANEL) {
        const float x = args->x[row][args->offsets[i / args->depth] + (ptrdiff_t)(i % args->depth)];
        if (i % FG_GEMM_BLOCK == 0 && i > 0) {
            for (size_t j = 0; j < FG_PANEL; j++) sums[j] = i == FG_GEMM_BLOCK ? sum[j] : sums[j] + sum[j];
            memset(sum, 0, sizeof sum);
        }
        for (size_t j = 0; j < FG_PANEL; j++) sum[j] = fg_fused(x, weights[j], sum[j]);
    }
    for (size_t j = 0; j < count; j++) {
        float x = total <= FG_GEMM_BLOCK ? sum[j] : sums[j] + sum[j];
        if (bias) x += bias[j];
        out[j] = fg_finished(&args->finish, x);
    }
}

void fg_gemm_f32_ref(const fg_gemm_f32_args *args)
{
    const size_t panel_floats = args->taps * args->depth * FG_PANEL;
    for (size_t at = 0; at < args->columns; at += FG_PANEL) {
        const float *bias = args->bias ? args->bias + at : NULL;
        const size_t count = args->columns - at < FG_PANEL ? args->columns - at : FG_PANEL;
        for (size_t r = 0; r < args->rows; r++)
            panel_row(args, args->panels + at / FG_PANEL * panel_floats, bias, r, args->out[r] + at, count);
    }
}

static void depthwise_run(const fg_depthwise_f32_args *args, const fg_depthwise_run *run)
{
    for (size_t i = 0; i < run->pixels; i++) {
        for (size_t c = 0; c < args->channels; c++) {
            float sum = 0.0f;
            for (size_t t = 0; t < run->tap_count; t++) {
                const fg_tap *tap = &run->taps[t];
                sum = fg_fused(run->x[(ptrdiff_t)(i * args->step + c) + tap->x], args->weights[tap->weights + c], sum);
            }
            if (args->bias) sum += args->bias[c];
            run->out[i * args->out_stride + c] = fg_finished(&args->finish, sum);
        }
    }
}

void fg_depthwise_f32_ref(const fg_depthwise_f32_args *args)
{
    for (size_t r = 0; r < args->run_count; r++) depthwise_run(args, &args->runs[r]);
}
