/* gemm.c: the scalar twin of every gemm_f32 and depthwise_f32. */
#include "../fused.h"
#include "ref.h"

/* One row's sums of one panel, block by block. */
static void panel_row(const fg_gemm_f32_args *args, const float *weights, const float *bias, size_t row, float *out)
{
    const size_t total = args->taps * args->depth;
    float sum[FG_PANEL] = {0};
    for (size_t i = 0; i < total; i++, weights += FG_PANEL) {
        const float x = args->a[i / args->depth * args->rows_stride + row][i % args->depth];
        if (i % FG_GEMM_BLOCK == 0 && i > 0) {
            for (size_t j = 0; j < FG_PANEL; j++) out[j] = i == FG_GEMM_BLOCK ? sum[j] : out[j] + sum[j];
            memset(sum, 0, sizeof sum);
        }
        for (size_t j = 0; j < FG_PANEL; j++) sum[j] = fg_fused(x, weights[j], sum[j]);
    }
    for (size_t j = 0; j < FG_PANEL; j++) {
        out[j] = total <= FG_GEMM_BLOCK ? sum[j] : out[j] + sum[j];
        if (bias) out[j] += bias[j];
    }
}

void fg_gemm_f32_ref(const fg_gemm_f32_args *args)
{
    const size_t panel_floats = args->taps * args->depth * FG_PANEL;
    for (size_t p = 0; p < args->panel_count; p++) {
        const float *bias = args->bias ? args->bias + p * FG_PANEL : NULL;
        for (size_t r = 0; r < args->rows; r++)
            panel_row(args, args->panels + p * panel_floats, bias, r, args->out[r] + p * FG_PANEL);
    }
}

static void depthwise_run(const fg_depthwise_f32_args *args, const fg_depthwise_run *run)
{
    for (size_t i = 0; i < run->pixels; i++) {
        for (size_t c = 0; c < args->channels; c++) {
            float sum = 0.0f;
            for (size_t t = 0; t < args->taps; t++)
                sum = fg_fused(run->x[t][i * args->step + c], args->weights[t * args->channels + c], sum);
            run->out[i * args->out_stride + c] = args->bias ? sum + args->bias[c] : sum;
        }
    }
}

void fg_depthwise_f32_ref(const fg_depthwise_f32_args *args)
{
    for (size_t r = 0; r < args->run_count; r++) depthwise_run(args, &args->runs[r]);
}
