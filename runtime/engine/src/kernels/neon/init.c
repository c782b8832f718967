/* init.c: the slots that NEON fills. On AArch64 compilers vectorise the other twins anyway. On Armv7 they vectorise
 * those on camera bytes once they may use NEON, as here; floats they leave scalar, because its vectors flush subnormal
 * numbers to zero. */
#include "neon.h"

#include "../isa.h"

#if defined(__ARM_NEON) && defined(__ARM_FEATURE_FMA)

#if defined(__arm__)
#include "../frame_tmpl.h"
#endif

void fg_kernels_init_neon(fg_kernels *kernels)
{
#if defined(__arm__)
    kernels->gate_u8 = gate_u8;
    kernels->normalize_u8 = normalize_u8;
    kernels->resize_row_u8 = resize_row_u8;
#endif
    kernels->isa |= FG_ISA_NEON;
    kernels->gemm_f32 = fg_gemm_f32_neon;
    kernels->depthwise_f32 = fg_depthwise_f32_neon;
    kernels->winograd_input_f32 = fg_winograd_input_f32_neon;
    kernels->winograd_output_f32 = fg_winograd_output_f32_neon;
    kernels->distance_f32 = fg_distance_f32_neon;
    kernels->judge_f32 = fg_judge_f32_neon;
}

#else

void fg_kernels_init_neon(fg_kernels *kernels) { (void)kernels; }

#endif
