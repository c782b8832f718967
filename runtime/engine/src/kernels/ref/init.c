/* init.c: every slot in plain C. */
#include "ref.h"

#include "../pointwise_tmpl.h"

void fg_kernels_init_ref(fg_kernels *kernels)
{
    kernels->isa = 0;
    kernels->gemm_f32 = fg_gemm_f32_ref;
    kernels->depthwise_f32 = fg_depthwise_f32_ref;
    kernels->winograd_input_f32 = fg_winograd_input_f32_ref;
    kernels->winograd_output_f32 = fg_winograd_output_f32_ref;
    fill_pointwise(kernels);
}
