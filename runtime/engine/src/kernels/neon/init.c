/* init.c: the slots that NEON fills. The other twins AArch64's compilers vectorise anyway; Armv7's leave floats scalar,
 * because its vectors flush subnormal numbers to zero, but fused multiply-adds are one instruction here. */
#include "neon.h"

#include "../isa.h"

#if defined(__ARM_NEON) && defined(__ARM_FEATURE_FMA)

#if defined(__arm__)
#include "../activation_tmpl.h"
#include "../softmax_tmpl.h"
#endif

void fg_kernels_init_neon(fg_kernels *kernels)
{
#if defined(__arm__)
    kernels->activation_f32 = activation_f32;
    kernels->softmax_f32 = softmax_f32;
#endif
#if defined(__aarch64__)
    kernels->activation_f32 = fg_activation_f32_neon;
#endif
    kernels->isa |= FG_ISA_NEON;
    kernels->gemm_f32 = fg_gemm_f32_neon;
    kernels->depthwise_f32 = fg_depthwise_f32_neon;
    kernels->winograd_weights_f32 = fg_winograd_weights_f32_neon;
    kernels->winograd_input_f32 = fg_winograd_input_f32_neon;
    kernels->winograd_output_f32 = fg_winograd_output_f32_neon;
    kernels->distance_f32 = fg_distance_f32_neon;
    kernels->judge_f32 = fg_judge_f32_neon;
    kernels->finite_f32 = fg_finite_f32_neon;
    kernels->gate_f32 = fg_gate_f32_neon;
    kernels->gate_u8 = fg_gate_u8_neon;
    kernels->normalize_u8 = fg_normalize_u8_neon;
    kernels->resize_row_u8 = fg_resize_row_u8_neon;
}

#else

void fg_kernels_init_neon(fg_kernels *kernels) { (void)kernels; }

#endif
