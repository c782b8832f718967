/* test_isa.c: what is made of capabilities that a kernel might report, on any machine. */
#include "kernels/isa.h"
#include "kernels/kernels.h"

#include <stdio.h>

enum { ASIMD = 1 << 1, FPHP = 1 << 9, ASIMDHP = 1 << 10, ASIMDDP = 1 << 20, I8MM = 1 << 13 };

static const struct {
    const char *machine;
    uint64_t hwcap, hwcap2;
    uint32_t flags;
} cases[] = {
    {"Cortex-A53, A72", 0x8FB, 0, FG_ISA_NEON},
    {"Cortex-A76", 0x119FFB, 0, FG_ISA_NEON | FG_ISA_DOTPROD | FG_ISA_FP16},
    {"Cortex-A76 beside A53: what both have", 0x119FFB & 0x8FB, 0, FG_ISA_NEON},
    {"Cortex-A510", ASIMD | FPHP | ASIMDHP | ASIMDDP, I8MM, FG_ISA_NEON | FG_ISA_DOTPROD | FG_ISA_FP16 | FG_ISA_I8MM},
    {"half precision in scalars only", ASIMD | FPHP, 0, FG_ISA_NEON},
    {"half precision in vectors only", ASIMD | ASIMDHP, 0, FG_ISA_NEON},
    {"I8MM's bit in the wrong word", ASIMD | I8MM, 0, FG_ISA_NEON},
    {"no vectors", FPHP | ASIMDHP | ASIMDDP, I8MM, 0},
    {"nothing", 0, 0, 0},
};

int main(void)
{
    int failures = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const uint32_t flags = fg_isa_of_hwcap(cases[i].hwcap, cases[i].hwcap2);
        if (flags == cases[i].flags) continue;
        printf("%s: flags %#x, not %#x\n", cases[i].machine, flags, cases[i].flags);
        failures++;
    }
    fg_kernels kernels; /* flags without kernels of their own choose nothing else */
    fg_kernels_select(&kernels, ~0u);
    fg_kernels same;
    fg_kernels_select(&same, ~(FG_ISA_DOTPROD | FG_ISA_FP16 | FG_ISA_I8MM));
    if (kernels.isa != same.isa || kernels.gemm_f32 != same.gemm_f32) {
        printf("unused flags changed the choice of kernels\n");
        failures++;
    }
    printf("%d failures\n", failures);
    return failures != 0;
}
