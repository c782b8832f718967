/* judge.c: judge_f32 by L1 norm with AVX2, four pixels side by side: lane i of a register is lane i of lanes.h, what
 * joins four pixels' lanes costs hardly more than one's, and one branch decides for all of them where they agree. Other
 * norms, and what is left of four, are the twin's. A rest of channels is filled up with equal numbers, whose distance
 * of 0 changes no bit of a sum that is never -0. */
#include "avx2.h"

#if defined(__AVX2__) && defined(__FMA__)

#include "vector.h"

#include "../judge_tmpl.h"

enum { PIXELS = 4 };

#define EACH _Pragma("GCC unroll 4") for (size_t k = 0; k < PIXELS; k++)
#define KEEP(p) __asm__("" : "+r"(p)) /* of its own: GCC would reckon four pointers in a vector and take them apart */

static inline __m256 add_size(__m256 lanes, __m256 a, __m256 b)
{
    return vec_add(lanes, _mm256_andnot_ps(_mm256_set1_ps(-0.0f), vec_sub(a, b)));
}

static inline __m128 join_halves(__m256 lanes)
{
    return _mm_add_ps(_mm256_castps256_ps128(lanes), _mm256_extractf128_ps(lanes, 1));
}

/* ((0+4)+(2+6))+((1+5)+(3+7)) of two pixels, what is in front of the last sum. */
static inline __m128 join_pairs(__m256 a, __m256 b)
{
    const __m128d x = _mm_castps_pd(join_halves(a)), y = _mm_castps_pd(join_halves(b));
    return _mm_add_ps(_mm_castpd_ps(_mm_unpacklo_pd(x, y)), _mm_castpd_ps(_mm_unpackhi_pd(x, y)));
}

/* What all pixels share, in registers rather than behind a pointer that stores might alter. */
typedef struct shared {
    const float *fresh;
    float *held;
    const uint32_t *pixels;
    size_t channels, stride;
    uint8_t *flags;
    float *moved;
} shared;

static inline __m128 four_distances(const float *const *x, float *const *y, size_t channels)
{
    const size_t whole = channels / FG_LANES * FG_LANES, rest = channels - whole;
    __m256 lanes[PIXELS];
    EACH lanes[k] = vec_zero();
    for (size_t i = 0; i < whole; i += FG_LANES) {
        EACH lanes[k] = add_size(lanes[k], vec_load(x[k] + i), vec_load(y[k] + i));
    }
    if (rest) {
        EACH lanes[k] = add_size(lanes[k], vec_load_part(x[k] + whole, rest), vec_load_part(y[k] + whole, rest));
    }
    return _mm_hadd_ps(join_pairs(lanes[0], lanes[1]), join_pairs(lanes[2], lanes[3]));
}

/* As copy_numbers, which GCC makes of halves of registers: judging would take a fifth longer. */
static inline void copy_pixel(float *to, const float *from, size_t channels)
{
    const size_t whole = channels / FG_LANES * FG_LANES, rest = channels - whole;
    for (size_t i = 0; i < whole; i += FG_LANES) vec_store(to + i, vec_load(from + i));
    if (rest) vec_store_part(to + whole, vec_load_part(from + whole, rest), rest);
}

static inline void judge_four(const fg_judge_f32_args *args, const shared *s, size_t first, const __m128 limit,
                              const uint32_t commit)
{
    const size_t channels = s->channels;
    const float *x[PIXELS];
    float *held[PIXELS];
    EACH
    {
        x[k] = s->fresh + (first + k) * channels, held[k] = s->held + s->pixels[first + k] * s->stride;
        KEEP(x[k]);
        KEEP(held[k]);
    }
    const __m128 apart = four_distances(x, held, channels);
    const __m128i over = _mm_castps_si128(_mm_cmpgt_ps(apart, limit)); /* -1: changed */
    const __m128i each = _mm_add_epi32(_mm_set1_epi32(FG_PIXEL_HELD), over);
    const __m128i halves = _mm_packs_epi32(each, each);
    uint32_t four = (uint32_t)_mm_cvtsi128_si32(_mm_packus_epi16(halves, halves));
    if (_mm_movemask_ps(_mm_cmpgt_ps(apart, _mm_setzero_ps())) != 0xF) { /* the bits tell */
        float distance[PIXELS];
        _mm_storeu_ps(distance, apart);
        four = 0;
        for (size_t k = 0; k < PIXELS; k++) four |= (uint32_t)flag_of(args, x[k], held[k], distance[k]) << 8 * k;
    }
    memcpy(s->flags + first, &four, sizeof four);
    if (s->moved) {
        float distance[PIXELS];
        _mm_storeu_ps(distance, _mm_and_ps(apart, _mm_cmpnle_ps(apart, limit)));
        EACH s->moved[s->pixels[first + k]] = distance[k];
    }
    if (!commit) return;
    EACH
    {
        if (four >> 8 * k & FG_PIXEL_CHANGED) copy_pixel(held[k], x[k], channels);
    }
}

/* The held numbers of four pixels, most of which were last touched a frame ago. Inline, as in node.c. */
FG_INLINE void ask_for(const shared *s, size_t first)
{
    const size_t bytes = fg_at_most(s->channels * sizeof(float), FG_PREFETCH_BYTES);
    const float *held[PIXELS];
    EACH
    {
        held[k] = s->held + s->pixels[first + k] * s->stride;
        KEEP(held[k]);
    }
    for (size_t at = 0; at < bytes; at += FG_CACHE_LINE) {
        EACH __builtin_prefetch((const char *)held[k] + at);
    }
}

/* Asks for pixels two steps further on, and, a few at each step lest they hold up what is read now, for those behind
 * the listed ones. */
void fg_judge_f32_avx2(const fg_judge_f32_args *args)
{
    const size_t count = args->count, ahead = args->ahead;
    const uint32_t l1 = args->gated && args->norm == FG_NORM_L1, commit = args->commit;
    const __m128 limit = _mm_set1_ps(args->limit);
    const shared s = {args->fresh, args->held, args->pixels, args->channels, args->stride, args->flags, args->moved};
    for (size_t p = 0; p < count; p += PIXELS) {
        if (p + 3 * PIXELS <= count + ahead) ask_for(&s, p + 2 * PIXELS);
        if (p + PIXELS <= ahead) ask_for(&s, count + p);
        if (l1 && p + PIXELS <= count) {
            judge_four(args, &s, p, limit, commit);
        } else {
            judge_some(args, p, fg_at_most(count - p, PIXELS));
        }
    }
}

#endif
