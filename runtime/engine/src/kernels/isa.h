/* isa.h: instruction set flags and their detection. */
#ifndef FG_ISA_H
#define FG_ISA_H

#include <stdint.h>

#define FG_ISA_AVX2 0x1u   /* with FMA */
#define FG_ISA_AVX512 0x2u /* F, BW, DQ, VL */
#define FG_ISA_NEON 0x100u /* with fused multiply-add */

/* What this machine has; what the build has is up to each fg_kernels_init_*. */
uint32_t fg_isa_detect(void);

#endif
