/* test_fused.c: fg_fused against libm's fmaf, bit for bit. On machines without the instruction that is our own. */
#include "harness.h"

#include "kernels/fused.h"

#include <float.h>
#include <math.h>

static void check(test_count *count, float a, float b, float c)
{
    const float ours = fg_fused(a, b, c), truth = fmaf(a, b, c);
    CHECK(count, same_float(&ours, &truth), "%a * %a + %a: %a, not %a", (double)a, (double)b, (double)c, (double)ours,
          (double)truth);
}

/* Any bits but those of infinities and NaN. */
static float any_float(test_random *random)
{
    const float value = 1.0f + (float)(random_u32(random) >> 9) * 0x1p-23f;
    return ldexpf(random_u32(random) & 1 ? value : -value, (int)random_below(random, 280) - 150);
}

int main(void)
{
    static const float edges[] = {0.0f,     -0.0f,         1.0f,          -1.0f,    0x1p-24f,  -0x1p-24f,   0x1p-149f,
                                  FLT_MIN,  -FLT_MIN,      FLT_MAX,       -FLT_MAX, 0x1p-75f,  0x1p-74f,    -0x1p-75f,
                                  INFINITY, -INFINITY,     NAN,           0x1p-63f, 0x1p-102f, 0x1.8p-127f, 0x1p103f,
                                  3.0f,     0x1.fffffep0f, 0x1.000002p0f, -0x1p103f};
    enum { EDGES = sizeof edges / sizeof *edges };
    test_random random = {1};
    test_count count = {0, 0};
    for (size_t i = 0; i < EDGES * EDGES * EDGES; i++)
        check(&count, edges[i / EDGES / EDGES], edges[i / EDGES % EDGES], edges[i % EDGES]);
    for (unsigned i = 0; i < 300000; i++) {
        const float a = any_float(&random), b = any_float(&random), c = any_float(&random);
        const float half = ldexpf(1.0f, (int)random_below(&random, 60) - 30), sign = i % 2 ? 1.0f : -1.0f;
        check(&count, a, b, c);
        check(&count, a, b, -a * b); /* what the product's rounding lost */
        /* A product in the middle between two floats and something tiny beside it, and the other way round. */
        check(&count, 1.0f + 0x1p-12f, half * (1.0f + 0x1p-12f), sign * half * 0x1p-40f);
        check(&count, half * 0x1p-24f, sign * (1.0f + (float)(i % 3) * 0x1p-23f), half * (1.0f + 0x1p-23f * (float)i));
        /* Beside the middle between two subnormal numbers: (1 + u)(1 - u + u^2) = 1 + u^3. */
        const float up = (1.0f + 0x1p-12f) * 0x1p-75f, down = (1.0f - 0x1p-11f) * 0x1p-75f;
        check(&count, up, (1.0f - 0x1p-12f + 0x1p-24f) * 0x1p-75f, sign * (0x1p-127f + (float)i * 0x1p-149f));
        check(&count, down, (1.0f + 0x1p-11f + 0x1p-22f) * 0x1p-75f, sign * (0x1p-127f + (float)i * 0x1p-149f));
    }
    printf("%lu checks, %lu failures\n", count.checks, count.failures);
    return count.failures != 0;
}
