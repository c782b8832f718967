/* init.c: every slot in plain C. */
#include "ref.h"

#include "../frame_tmpl.h"
#include "../pointwise_tmpl.h"

void fg_activation_f32_ref(uint32_t kind, const float *parameters, float *data, size_t count)
{
    activation_f32(kind, parameters, data, count);
}

void fg_kernels_init_ref(fg_kernels *kernels)
{
    kernels->isa = kernels->judge_asks = 0;
    kernels->gemm_f32 = fg_gemm_f32_ref;
    kernels->depthwise_f32 = fg_depthwise_f32_ref;
    kernels->depthwise_rows_f32 = NULL;
    kernels->winograd_weights_f32 = fg_winograd_weights_f32_ref;
    kernels->winograd_input_f32 = fg_winograd_input_f32_ref;
    kernels->winograd_output_f32 = fg_winograd_output_f32_ref;
    fill_pointwise(kernels);
    kernels->activation_f32 = fg_activation_f32_ref;
    kernels->finite_f32 = finite_f32;
    kernels->gate_f32 = gate_f32;
    kernels->gate_u8 = gate_u8;
    kernels->normalize_u8 = normalize_u8;
    kernels->resize_row_u8 = resize_row_u8;
}
