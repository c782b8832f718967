/* activation.c: SiLU with AVX2, the function that detectors spend a quarter of a frame in; other kinds are the twin's,
 * which compilers vectorise. Bit for bit fg_silu of numeric.h, in two passes over some numbers, two vectors side by
 * side: one chain of all steps is longer than the machine looks ahead. */
#include "avx2.h"

#if defined(__AVX2__) && defined(__FMA__)

#include "vector.h"

#include "../loops.h"
#include "../numeric.h"

#include <string.h>

enum { VECTOR = 8, VECTORS = 2, TOGETHER = VECTORS * VECTOR, MOST = 256 };

#define EACH _Pragma("GCC unroll 2") for (size_t v = 0; v < VECTORS; v++)

FG_INLINE __m256 all(float x) { return _mm256_set1_ps(x); }
FG_INLINE __m256i bits(__m256 x) { return _mm256_castps_si256(x); }
FG_INLINE __m256 number(__m256i x) { return _mm256_castsi256_ps(x); }

/* 1 + e^-x */
FG_INLINE void divisors(const float *x, float *to)
{
    __m256 r[VECTORS], s[VECTORS], low[VECTORS], high[VECTORS], square[VECTORS], n[VECTORS];
    EACH r[v] = _mm256_max_ps(all(-87.0f), vec_load(x + v * VECTOR)); /* of NaN and a number the second */
    EACH r[v] = _mm256_min_ps(all(87.0f), r[v]);
    EACH s[v] = _mm256_fnmadd_ps(r[v], all(1.44269504f), all(FG_EXP_MAGIC + 127.0f));
    EACH n[v] = vec_sub(s[v], all(FG_EXP_MAGIC + 127.0f));
    EACH s[v] = number(_mm256_slli_epi32(bits(s[v]), 23));
    EACH r[v] = vec_fma(n[v], all(0.693147182f), r[v]);
    EACH r[v] = vec_fma(n[v], all(-1.90465429e-9f), r[v]);
    EACH square[v] = vec_mul(r[v], r[v]);
    EACH low[v] = vec_fma(all(-1.666711569e-01f), r[v], all(4.999923110e-01f));
    EACH high[v] = vec_fma(all(-8.312467486e-03f), r[v], all(4.189025611e-02f));
    EACH low[v] = vec_fma(high[v], square[v], low[v]);
    EACH r[v] = _mm256_fnmadd_ps(low[v], square[v], r[v]);
    EACH s[v] = _mm256_fnmadd_ps(r[v], s[v], s[v]);
    EACH vec_store(to + v * VECTOR, vec_add(s[v], all(1.0f)));
}

/* x over them: fg_quotient */
FG_INLINE void quotients(float *data, const float *divisor)
{
    __m256 x[VECTORS], d[VECTORS], y[VECTORS], miss[VECTORS];
    EACH d[v] = vec_load(divisor + v * VECTOR);
    EACH x[v] = _mm256_max_ps(all(-87.0f), vec_load(data + v * VECTOR));
    EACH y[v] = number(_mm256_sub_epi32(_mm256_set1_epi32(0x7EF32000), bits(d[v])));
    EACH y[v] = vec_mul(y[v], _mm256_fnmadd_ps(d[v], y[v], all(2.0013f)));
    EACH miss[v] = _mm256_fnmadd_ps(d[v], y[v], all(1.0f));
    EACH x[v] = vec_mul(x[v], y[v]);
    EACH miss[v] = vec_fma(miss[v], miss[v], miss[v]);
    EACH vec_store(data + v * VECTOR, vec_fma(x[v], miss[v], x[v]));
}

/* count: a multiple of TOGETHER. */
static void silu(float *data, size_t count)
{
    float divisor[MOST];
    for (size_t n; count; data += n, count -= n) {
        n = fg_at_most(count, MOST);
        for (size_t i = 0; i < n; i += TOGETHER) divisors(data + i, divisor + i);
        for (size_t i = 0; i < n; i += TOGETHER) quotients(data + i, divisor + i);
    }
}

void fg_silu_f32_avx2(float *data, size_t count)
{
    const size_t rest = count % TOGETHER;
    float part[TOGETHER] = {0};
    silu(data, count - rest);
    if (rest == 0) return;
    memcpy(part, data + count - rest, rest * sizeof *part);
    silu(part, TOGETHER);
    memcpy(data + count - rest, part, rest * sizeof *part);
}

#endif
