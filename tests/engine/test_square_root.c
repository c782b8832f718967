/* test_square_root.c: fg_square_root against libm's, bit for bit. */
#include "harness.h"

#include "kernels/square_root.h"

#include <float.h>
#include <math.h>

static void check(test_count *count, double x)
{
    const double ours = fg_square_root(x), truth = sqrt(x);
    CHECK(count, memcmp(&ours, &truth, sizeof ours) == 0, "square root of %a: %a, not %a", x, ours, truth);
}

int main(void)
{
    static const double edges[] = {1.0, 2.0, 3.0, 4.0, 0.25, 0.5, DBL_MIN, DBL_MAX, INFINITY, 1e-300, 1e300};
    test_random random = {1};
    test_count count = {0, 0};
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++) {
        check(&count, edges[i]);
        check(&count, nextafter(edges[i], 1.5));
    }
    for (unsigned i = 0; i < 200000; i++) {
        const double size = 1.0 + random_u32(&random) * 0x1p-32 + random_u32(&random) * 0x1p-52;
        check(&count, ldexp(size, (int)random_below(&random, 2000) - 1000));
        check(&count, (double)(i + 1) * (double)(i + 1)); /* exact */
    }
    printf("%lu checks, %lu failures\n", count.checks, count.failures);
    return count.failures != 0;
}
