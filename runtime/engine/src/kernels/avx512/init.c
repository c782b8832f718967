/* init.c: the slots that AVX-512 fills. The others stay AVX2's: loops that wait for memory, and sums whose stated order
 * has 8 lanes, gain nothing from wider vectors, and each slot left out makes the library smaller. */
#include "avx512.h"

#include "../isa.h"

#if defined(__AVX512F__) && defined(__AVX512VL__) && defined(__FMA__)

#include "../activation_tmpl.h"
#include "../pool_tmpl.h"

void fg_kernels_init_avx512(fg_kernels *kernels)
{
    kernels->isa |= FG_ISA_AVX512;
    kernels->gemm_f32 = fg_gemm_f32_avx512;
    kernels->depthwise_f32 = fg_depthwise_f32_avx512;
    kernels->depthwise_rows_f32 = fg_depthwise_rows_f32_avx512;
    kernels->rows_least = ROWS_LEAST;
    kernels->winograd_weights_f32 = fg_winograd_weights_f32_avx512;
    kernels->winograd_input_f32 = fg_winograd_input_f32_avx512;
    kernels->winograd_output_f32 = fg_winograd_output_f32_avx512;
    kernels->activation_f32 = activation_f32;
    kernels->pool_f32 = pool_f32;
}

#else

void fg_kernels_init_avx512(fg_kernels *kernels) { (void)kernels; }

#endif
