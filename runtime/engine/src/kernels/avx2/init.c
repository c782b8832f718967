/* init.c: the slots that AVX2 with FMA fills. */
#include "avx2.h"

#if defined(__AVX2__) && defined(__FMA__)

#include "../isa.h"
#include "../pointwise_tmpl.h"

void fg_kernels_init_avx2(fg_kernels *kernels)
{
    kernels->isa |= FG_ISA_AVX2;
    kernels->gemm_f32 = fg_gemm_f32_avx2;
    kernels->depthwise_f32 = fg_depthwise_f32_avx2;
    kernels->winograd_input_f32 = fg_winograd_input_f32_avx2;
    kernels->winograd_output_f32 = fg_winograd_output_f32_avx2;
    fill_pointwise(kernels);
}

#else

void fg_kernels_init_avx2(fg_kernels *kernels) { (void)kernels; }

#endif
