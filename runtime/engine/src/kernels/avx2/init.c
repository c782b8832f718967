/* init.c: the slots that AVX2 with FMA fills. */
#include "avx2.h"

#if defined(__AVX2__) && defined(__FMA__)

#include "../isa.h"
#include "../pointwise_tmpl.h"

static void activation(uint32_t kind, const float *parameters, float *data, size_t count)
{
    if (kind == FG_ACT_SILU && parameters[0] == 1.0f) {
        fg_silu_f32_avx2(data, count);
    } else {
        activation_f32(kind, parameters, data, count);
    }
}

void fg_kernels_init_avx2(fg_kernels *kernels)
{
    kernels->isa |= FG_ISA_AVX2;
    kernels->gemm_f32 = fg_gemm_f32_avx2;
    kernels->depthwise_f32 = fg_depthwise_f32_avx2;
    kernels->depthwise_rows_f32 = fg_depthwise_rows_f32_avx2;
    kernels->rows_least = ROWS_LEAST;
    kernels->winograd_weights_f32 = fg_winograd_weights_f32_avx2;
    kernels->winograd_input_f32 = fg_winograd_input_f32_avx2;
    kernels->winograd_output_f32 = fg_winograd_output_f32_avx2;
    fill_pointwise(kernels);
    kernels->activation_f32 = activation;
    kernels->moments_f64 = fg_moments_f64_avx2;
    kernels->judge_f32 = fg_judge_f32_avx2;
    kernels->judge_asks = 1;
    kernels->finite_f32 = fg_finite_f32_avx2;
    kernels->gate_f32 = fg_gate_f32_avx2;
    kernels->gate_u8 = fg_gate_u8_avx2;
    kernels->normalize_u8 = fg_normalize_u8_avx2;
    kernels->resize_row_u8 = fg_resize_row_u8_avx2;
}

#else

void fg_kernels_init_avx2(fg_kernels *kernels) { (void)kernels; }

#endif
