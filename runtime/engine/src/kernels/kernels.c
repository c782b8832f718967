/* kernels.c: which kernel runs. */
#include "kernels.h"

#include "isa.h"

void fg_kernels_select(fg_kernels *kernels, uint32_t isa_mask)
{
    const uint32_t usable = isa_mask & fg_isa_detect();
    fg_kernels_init_ref(kernels);
    if (usable & (FG_ISA_AVX2 | FG_ISA_AVX512)) fg_kernels_init_avx2(kernels); /* AVX-512 leaves it slots */
    if (usable & FG_ISA_AVX512) fg_kernels_init_avx512(kernels);
    if (usable & FG_ISA_NEON) fg_kernels_init_neon(kernels);
}
