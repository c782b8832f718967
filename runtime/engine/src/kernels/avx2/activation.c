/* activation.c: SiLU with AVX2, the function that detectors spend a quarter of a frame in; other kinds are the twin's,
 * which compilers vectorise. Bit for bit fg_swish(x, x) of numeric.h: two vectors side by side, since one would wait
 * for every link of its chain. */
#include "avx2.h"

#if defined(__AVX2__) && defined(__FMA__)

#include "vector.h"

#include "../loops.h"
#include "../numeric.h"

#include <string.h>

enum { VECTOR = 8, VECTORS = 2 };

#define EACH _Pragma("GCC unroll 2") for (size_t v = 0; v < VECTORS; v++)

FG_INLINE __m256 all(float x) { return _mm256_set1_ps(x); }
FG_INLINE __m256i bits(__m256 x) { return _mm256_castps_si256(x); }
FG_INLINE __m256 number(__m256i x) { return _mm256_castsi256_ps(x); }

FG_INLINE void silu(float *data)
{
    __m256 x[VECTORS], r[VECTORS], s[VECTORS], low[VECTORS], high[VECTORS], square[VECTORS], y[VECTORS];
    EACH x[v] = vec_load(data + v * VECTOR);
    /* e^-|x|: fg_exp_decay */
    EACH r[v] = number(_mm256_min_epu32(bits(_mm256_or_ps(x[v], all(-0.0f))), _mm256_set1_epi32((int)0xC2B00000u)));
    EACH s[v] = vec_fma(r[v], all(1.44269504f), all(FG_EXP_MAGIC + 127.0f));
    EACH y[v] = vec_sub(s[v], all(FG_EXP_MAGIC + 127.0f));
    EACH r[v] = vec_fma(y[v], all(-0.693147182f), r[v]);
    EACH r[v] = vec_fma(y[v], all(1.90465429e-9f), r[v]);
    EACH s[v] = number(_mm256_slli_epi32(bits(s[v]), 23));
    EACH square[v] = vec_mul(r[v], r[v]);
    EACH low[v] = vec_fma(all(1.666651486e-01f), r[v], all(4.999999306e-01f));
    EACH high[v] = vec_fma(all(8.369410883e-03f), r[v], all(4.166845600e-02f));
    EACH high[v] = vec_fma(all(1.381316125e-03f), square[v], high[v]);
    EACH low[v] = vec_fma(high[v], square[v], low[v]);
    EACH r[v] = vec_fma(low[v], square[v], r[v]);
    EACH s[v] = vec_fma(r[v], s[v], s[v]);
    /* x e or x, over 1 + e: fg_quotient */
    EACH x[v] = _mm256_blendv_ps(x[v], vec_mul(x[v], s[v]), x[v]);
    EACH s[v] = vec_add(s[v], all(1.0f));
    EACH y[v] = number(_mm256_sub_epi32(_mm256_set1_epi32(0x7EF32000), bits(s[v])));
    EACH low[v] = _mm256_fnmadd_ps(s[v], y[v], all(2.0013f));
    EACH y[v] = vec_mul(y[v], low[v]);
    EACH low[v] = _mm256_fnmadd_ps(s[v], y[v], all(1.0f));
    EACH x[v] = vec_mul(x[v], y[v]);
    EACH low[v] = vec_fma(low[v], low[v], low[v]);
    EACH x[v] = vec_fma(x[v], low[v], x[v]);
    EACH vec_store(data + v * VECTOR, x[v]);
}

void fg_silu_f32_avx2(float *data, size_t count)
{
    const size_t rest = count % (VECTORS * VECTOR);
    float part[VECTORS * VECTOR] = {0};
    for (const float *end = data + (count - rest); data < end; data += VECTORS * VECTOR) silu(data);
    if (rest == 0) return;
    memcpy(part, data, rest * sizeof *part);
    silu(part);
    memcpy(data, part, rest * sizeof *part);
}

#endif
