/* gemm.c: the scalar twin of every gemm_f32 and depthwise_f32. */
#include "../fused.h"
#include "ref.h"

void fg_gemm_f32_ref(const fg_gemm_f32_args *args)
{
    const size_t panel_floats = args->taps * args->depth * FG_PANEL;
    for (size_t p = 0; p < args->panel_count; p++) {
        const float *panel = args->panels + p * panel_floats;
        for (size_t r = 0; r < args->rows; r++) {
            float sum[FG_PANEL] = {0};
            if (args->bias) memcpy(sum, args->bias + p * FG_PANEL, sizeof sum);
            const float *weights = panel;
            for (size_t t = 0; t < args->taps; t++) {
                const float *x = args->a[t * args->rows_stride + r];
                for (size_t k = 0; k < args->depth; k++, weights += FG_PANEL)
                    for (size_t j = 0; j < FG_PANEL; j++) sum[j] = fg_fused(x[k], weights[j], sum[j]);
            }
            memcpy(args->out + r * args->out_stride + p * FG_PANEL, sum, sizeof sum);
        }
    }
}

void fg_depthwise_f32_ref(const fg_depthwise_f32_args *args)
{
    for (size_t i = 0; i < args->pixels; i++) {
        const float *const *x = args->x + i * args->taps;
        float *out = args->out + i * args->out_stride;
        for (size_t c = 0; c < args->channels; c++) {
            float sum = args->bias ? args->bias[c] : 0.0f;
            for (size_t t = 0; t < args->taps; t++) sum = fg_fused(x[t][c], args->weights[t * args->channels + c], sum);
            out[c] = sum;
        }
    }
}
