/* isa.h: instruction set flags and their detection. */
#ifndef FG_ISA_H
#define FG_ISA_H

#include <stdint.h>

#define FG_ISA_AVX2 0x1u   /* with FMA */
#define FG_ISA_AVX512 0x2u /* F, BW, DQ, VL */
#define FG_ISA_NEON 0x100u /* with fused multiply-add */
/* AArch64, detected and not used yet: an f32 engine has nothing they could do with the same bits. */
#define FG_ISA_DOTPROD 0x200u /* sdot, udot */
#define FG_ISA_FP16 0x400u    /* half-precision arithmetic, scalar and vector */
#define FG_ISA_I8MM 0x800u    /* smmla and its kin */

/* What this machine has; what the build has is up to each fg_kernels_init_*. */
uint32_t fg_isa_detect(void);

/* The flags of an AArch64 machine whose Linux kernel reports these capabilities. They are those that all its cores
 * have: on big.LITTLE a thread may move to any of them at any time. */
uint32_t fg_isa_of_hwcap(uint64_t hwcap, uint64_t hwcap2);

#endif
