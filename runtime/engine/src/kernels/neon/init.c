/* init.c: the slots that NEON fills. The others stay with the twins, which AArch64 compilers vectorise anyway. */
#include "neon.h"

#include "../isa.h"

#if defined(__ARM_NEON) && defined(__ARM_FEATURE_FMA)

void fg_kernels_init_neon(fg_kernels *kernels)
{
    kernels->isa |= FG_ISA_NEON;
    kernels->gemm_f32 = fg_gemm_f32_neon;
    kernels->depthwise_f32 = fg_depthwise_f32_neon;
}

#else

void fg_kernels_init_neon(fg_kernels *kernels) { (void)kernels; }

#endif
