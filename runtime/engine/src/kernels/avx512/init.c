/* init.c: the slots that AVX-512 fills: all. */
#include "avx512.h"

#include "../isa.h"

#if defined(__AVX512F__) && defined(__AVX512VL__) && defined(__FMA__)

#include "../pointwise_tmpl.h"

void fg_kernels_init_avx512(fg_kernels *kernels)
{
    kernels->isa |= FG_ISA_AVX512;
    kernels->gemm_f32 = fg_gemm_f32_avx512;
    kernels->depthwise_f32 = fg_depthwise_f32_avx512;
    kernels->winograd_input_f32 = fg_winograd_input_f32_avx512;
    kernels->winograd_output_f32 = fg_winograd_output_f32_avx512;
    fill_pointwise(kernels);
}

#else

void fg_kernels_init_avx512(fg_kernels *kernels) { (void)kernels; }

#endif
