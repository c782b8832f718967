/* moments.c: moments_f64 with AVX2, the twin's lanes in four registers. A square of a float is exact in double, so that
 * a fused multiply-add rounds where the twin does. */
#include "avx2.h"

#if defined(__AVX2__) && defined(__FMA__)

#include <immintrin.h>

#include "../loops.h"

#include <string.h>

/* ((0+4)+(2+6))+((1+5)+(3+7)) */
static inline double join(__m256d low, __m256d high)
{
    const __m256d four = _mm256_add_pd(low, high);
    const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
    return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}

typedef struct lanes {
    __m256d low, high, low_squares, high_squares;
} lanes;

FG_INLINE void add_eight(lanes *l, const float *x)
{
    const __m256d low = _mm256_cvtps_pd(_mm_loadu_ps(x)), high = _mm256_cvtps_pd(_mm_loadu_ps(x + 4));
    l->low = _mm256_add_pd(l->low, low);
    l->high = _mm256_add_pd(l->high, high);
    l->low_squares = _mm256_fmadd_pd(low, low, l->low_squares);
    l->high_squares = _mm256_fmadd_pd(high, high, l->high_squares);
}

void fg_moments_f64_avx2(const float *x, size_t count, double *sums)
{
    const __m256d zero = _mm256_setzero_pd();
    const size_t rest = count % FG_LANES;
    lanes l = {zero, zero, zero, zero};
    for (const float *end = x + (count - rest); x < end; x += FG_LANES) add_eight(&l, x);
    if (rest) { /* zeros behind it change no sum but one of -0, which none is */
        float last[FG_LANES] = {0};
        memcpy(last, x, rest * sizeof *last);
        add_eight(&l, last);
    }
    sums[0] = join(l.low, l.high);
    sums[1] = join(l.low_squares, l.high_squares);
}

#endif
