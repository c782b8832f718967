/* isa.c: what this machine can execute. */
#include "isa.h"

#include "../../include/framegate.h"
#include "kernels.h"

/* Bits of AT_HWCAP and AT_HWCAP2 in Linux's arch/arm64/include/uapi/asm/hwcap.h. */
uint32_t fg_isa_of_hwcap(uint64_t hwcap, uint64_t hwcap2)
{
    const uint64_t asimd = 1u << 1, half = 1u << 9 | 1u << 10, dot_product = 1u << 20, matrix = 1u << 13;
    if (!(hwcap & asimd)) return 0;
    return FG_ISA_NEON | (hwcap & dot_product ? FG_ISA_DOTPROD : 0u) | ((hwcap & half) == half ? FG_ISA_FP16 : 0u) |
           (hwcap2 & matrix ? FG_ISA_I8MM : 0u);
}

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>

/* Which registers the operating system saves on a switch of threads. */
static uint32_t saved_state(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    (void)high;
    return low;
}

uint32_t fg_isa_detect(void)
{
    const uint32_t ymm_state = 0x6, zmm_state = 0xE6;
    const uint32_t osxsave = 1u << 27, avx = 1u << 28, fma = 1u << 12;
    const uint32_t avx2 = 1u << 5, avx512_f_dq_bw_vl = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;
    uint32_t eax, ebx, ecx, edx;
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx)) return 0;
    if ((ecx & (osxsave | avx | fma)) != (osxsave | avx | fma)) return 0;
    if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) || !(ebx & avx2)) return 0;
    const uint32_t saved = saved_state();
    if ((saved & ymm_state) != ymm_state) return 0;
    const uint32_t wide = (ebx & avx512_f_dq_bw_vl) == avx512_f_dq_bw_vl && (saved & zmm_state) == zmm_state;
    return FG_ISA_AVX2 | (wide ? FG_ISA_AVX512 : 0u);
}

#elif defined(__linux__) && (defined(__aarch64__) || defined(__arm__))
#include <sys/auxv.h>

uint32_t fg_isa_detect(void)
{
#if defined(__aarch64__)
    return fg_isa_of_hwcap(getauxval(AT_HWCAP), getauxval(AT_HWCAP2));
#else
    const unsigned long needed = 1ul << 12 | 1ul << 16; /* NEON, VFPv4 */
    return (getauxval(AT_HWCAP) & needed) == needed ? FG_ISA_NEON : 0u;
#endif
}

#else

uint32_t fg_isa_detect(void)
{
#if (defined(__ARM_NEON) && defined(__ARM_FEATURE_FMA)) || defined(__aarch64__)
    return FG_ISA_NEON;
#else
    return 0;
#endif
}

#endif

const char *fg_isa_name(uint32_t isa_mask)
{
    fg_kernels kernels;
    fg_kernels_select(&kernels, isa_mask);
    if (kernels.isa & FG_ISA_AVX512) return "avx512";
    if (kernels.isa & FG_ISA_AVX2) return "avx2";
    if (kernels.isa & FG_ISA_NEON) return "neon";
    return "ref";
}
