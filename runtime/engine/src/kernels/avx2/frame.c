/* frame.c: kernels on frames with AVX2, camera bytes of three channels above all. Ends of rows, where whole vectors
 * would reach beyond them, take the same steps on copies. */
#include "avx2.h"

#if defined(__AVX2__) && defined(__FMA__)

#include <immintrin.h>

#include "../frame_tmpl.h"

enum { NO = 0x80 }; /* in a shuffle: a byte of 0 */

static inline __m256i load(const uint8_t *p) { return _mm256_loadu_si256((const __m256i *)(const void *)p); }
static inline void store(uint8_t *p, __m256i x) { _mm256_storeu_si256((__m256i *)(void *)p, x); }
static inline __m128i load_half(const uint8_t *p) { return _mm_loadu_si128((const __m128i *)(const void *)p); }
static inline void store_half(uint8_t *p, __m128i x) { _mm_storeu_si128((__m128i *)(void *)p, x); }

static inline __m256i load_halves(const uint8_t *low, const uint8_t *high)
{
    return _mm256_inserti128_si256(_mm256_castsi128_si256(load_half(low)), load_half(high), 1);
}

static inline void store_halves(uint8_t *low, uint8_t *high, __m256i x)
{
    store_half(low, _mm256_castsi256_si128(x));
    store_half(high, _mm256_extracti128_si256(x, 1));
}

static inline __m256i both_halves(const uint8_t *p) { return _mm256_broadcastsi128_si256(load_half(p)); }

/* --- finite_f32 --- */
uint32_t fg_finite_f32_avx2(const float *x, size_t count) { return finite_f32(x, count); }

/* --- gate_f32 --- */
/* Eight numbers: a bit for each that is far from what is held. */
static inline uint32_t far_numbers(const float *frame, const float *held, float threshold)
{
    const __m256 fresh = _mm256_loadu_ps(frame), old = _mm256_loadu_ps(held);
    const __m256i same = _mm256_cmpeq_epi32(_mm256_castps_si256(fresh), _mm256_castps_si256(old));
    const __m256 apart = _mm256_andnot_ps(_mm256_set1_ps(-0.0f), _mm256_sub_ps(fresh, old));
    const __m256 over = _mm256_cmp_ps(apart, _mm256_set1_ps(threshold), _CMP_GT_OQ);
    const int bits = _mm256_movemask_ps(threshold > 0.0f ? over : _mm256_castsi256_ps(same));
    return (uint32_t)(threshold > 0.0f ? bits : bits ^ 0xFF);
}

/* Eight pixels of 3 channels. */
static inline uint32_t gate_eight(const float *frame, float *held, float threshold)
{
    uint32_t far = far_numbers(frame, held, threshold), bits = 0;
    far |= far_numbers(frame + 8, held + 8, threshold) << 8 | far_numbers(frame + 16, held + 16, threshold) << 16;
    while (far) {
        const uint32_t p = (uint32_t)__builtin_ctz(far) / 3;
        memcpy(held + p * 3, frame + p * 3, 3 * sizeof *held);
        bits |= UINT32_C(1) << p;
        far &= ~(UINT32_C(7) << p * 3);
    }
    return bits;
}

size_t fg_gate_f32_avx2(const fg_gate_f32_args *args)
{
    if (args->channels != 3) return gate_f32(args);
    size_t fired = 0;
    for (size_t base = 0; base < args->pixels; base += 64) {
        const size_t pixels = fg_at_most(args->pixels - base, 64), whole = pixels / 8 * 8;
        const float *frame = args->frame + base * 3;
        float *held = args->held + base * 3;
        uint64_t bits = 0;
        if (memcmp(frame, held, whole * 3 * sizeof *held) != 0) {
            for (size_t i = 0; i < whole; i += 8)
                bits |= (uint64_t)gate_eight(frame + i * 3, held + i * 3, args->threshold) << i;
        }
        if (whole < pixels) bits |= gate_floats(args, base + whole, pixels - whole) << whole;
        args->mask[base / 64] = bits;
        fired += (size_t)__builtin_popcountll(bits);
    }
    return fired;
}

/* --- gate_u8 --- */
enum { GROUP = 64, PART = 32 };

/* Byte p: where channel c of pixel p lies in the k-th 16 of 48 bytes. */
static const uint8_t channel_in[3][3][16] = {{{0, 3, 6, 9, 12, 15, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO},
                                              {NO, NO, NO, NO, NO, NO, 2, 5, 8, 11, 14, NO, NO, NO, NO, NO},
                                              {NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, 1, 4, 7, 10, 13}},
                                             {{1, 4, 7, 10, 13, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO},
                                              {NO, NO, NO, NO, NO, 0, 3, 6, 9, 12, 15, NO, NO, NO, NO, NO},
                                              {NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, 2, 5, 8, 11, 14}},
                                             {{2, 5, 8, 11, 14, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO},
                                              {NO, NO, NO, NO, NO, 1, 4, 7, 10, 13, NO, NO, NO, NO, NO, NO},
                                              {NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, 0, 3, 6, 9, 12, 15}}};
static const uint8_t pixel_of[3][16] = {{0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5},
                                        {5, 5, 6, 6, 6, 7, 7, 7, 8, 8, 8, 9, 9, 9, 10, 10},
                                        {10, 11, 11, 11, 12, 12, 12, 13, 13, 13, 14, 14, 14, 15, 15, 15}};

/* 32 pixels of 3 channels: a lane takes 16 of them, 48 bytes. */
static inline uint32_t gate_part(const uint8_t *frame, uint8_t *held, __m256i threshold)
{
    __m256i fresh[3], old[3], fires = _mm256_setzero_si256();
    for (size_t k = 0; k < 3; k++) {
        fresh[k] = load_halves(frame + 16 * k, frame + 48 + 16 * k);
        old[k] = load_halves(held + 16 * k, held + 48 + 16 * k);
        const __m256i apart = _mm256_or_si256(_mm256_subs_epu8(fresh[k], old[k]), _mm256_subs_epu8(old[k], fresh[k]));
        const __m256i over = _mm256_subs_epu8(apart, threshold); /* above 0 */
        for (size_t c = 0; c < 3; c++)
            fires = _mm256_or_si256(fires, _mm256_shuffle_epi8(over, both_halves(channel_in[c][k])));
    }
    const __m256i quiet = _mm256_cmpeq_epi8(fires, _mm256_setzero_si256());
    const uint32_t bits = ~(uint32_t)_mm256_movemask_epi8(quiet);
    if (!bits) return 0;
    for (size_t k = 0; k < 3; k++) {
        const __m256i keep = _mm256_shuffle_epi8(quiet, both_halves(pixel_of[k]));
        store_halves(held + 16 * k, held + 48 + 16 * k, _mm256_blendv_epi8(fresh[k], old[k], keep));
    }
    return bits;
}

static inline int group_differs(const uint8_t *frame, const uint8_t *held)
{
    __m256i differ = _mm256_setzero_si256();
    for (size_t k = 0; k < GROUP * 3; k += 32)
        differ = _mm256_or_si256(differ, _mm256_xor_si256(load(frame + k), load(held + k)));
    return !_mm256_testz_si256(differ, differ);
}

/* The pixels behind the last whole group. */
static uint64_t gate_rest(const uint8_t *frame, uint8_t *held, size_t pixels, __m256i threshold)
{
    uint8_t fresh[PART * 3] = {0}, old[PART * 3] = {0};
    uint64_t bits = 0;
    if (pixels >= PART) bits = gate_part(frame, held, threshold);
    const size_t done = pixels / PART * PART, bytes = (pixels - done) * 3;
    memcpy(fresh, frame + done * 3, bytes);
    memcpy(old, held + done * 3, bytes);
    bits |= (uint64_t)gate_part(fresh, old, threshold) << done;
    memcpy(held + done * 3, old, bytes);
    return bits;
}

size_t fg_gate_u8_avx2(const fg_gate_u8_args *args)
{
    if (args->channels != 3) return gate_u8(args);
    const __m256i threshold = _mm256_set1_epi8((char)fg_at_most(args->threshold, 255));
    const uint8_t *frame = args->frame;
    uint8_t *held = args->held;
    uint64_t *mask = args->mask;
    size_t fired = 0, left = args->pixels;
    for (; left >= GROUP; left -= GROUP, frame += GROUP * 3, held += GROUP * 3, mask++) {
        *mask = 0;
        if (!group_differs(frame, held)) continue;
        const uint64_t low = gate_part(frame, held, threshold);
        *mask = low | (uint64_t)gate_part(frame + PART * 3, held + PART * 3, threshold) << PART;
        fired += (size_t)__builtin_popcountll(*mask);
    }
    if (left) {
        *mask = gate_rest(frame, held, left, threshold);
        fired += (size_t)__builtin_popcountll(*mask);
    }
    return fired;
}

/* --- normalize_u8 --- */
/* The 24 numbers of 8 pixels go as 3 vectors, each from 16 bytes that hold all it needs. */
typedef struct eight {
    __m256i order[3]; /* a number per 32 bits */
    __m256 mean[3], scale[3];
} eight;

static const size_t bytes_from[3] = {0, 6, 8};

static eight eight_of(const fg_normalize_u8_args *args)
{
    uint8_t order[24][4];
    float mean[24], scale[24];
    eight e;
    for (size_t n = 0; n < 24; n += 3) {
        for (size_t c = 0; c < 3; c++) {
            const uint8_t number[4] = {(uint8_t)(n + args->order[c] - bytes_from[(n + c) / 8]), NO, NO, NO};
            memcpy(order[n + c], number, sizeof number);
            mean[n + c] = args->mean[c];
            scale[n + c] = args->scale[c];
        }
    }
    for (size_t k = 0; k < 3; k++) {
        e.order[k] = load(order[8 * k]);
        e.mean[k] = _mm256_loadu_ps(mean + 8 * k);
        e.scale[k] = _mm256_loadu_ps(scale + 8 * k);
    }
    return e;
}

static inline void normalize_eight(const eight *e, const uint8_t *x, float *out)
{
    for (size_t k = 0; k < 3; k++) {
        const __m256i number = _mm256_shuffle_epi8(both_halves(x + bytes_from[k]), e->order[k]);
        const __m256 centred = _mm256_sub_ps(_mm256_cvtepi32_ps(number), e->mean[k]);
        _mm256_storeu_ps(out + 8 * k, _mm256_mul_ps(centred, e->scale[k]));
    }
}

#include "../normalize_tmpl.h"

void fg_normalize_u8_avx2(const fg_normalize_u8_args *args)
{
    if (args->channels != 3) {
        normalize_u8(args);
        return;
    }
    normalize_three(args);
}

/* --- resize_row_u8, columns as they are --- */
/* t + round((b - t) * weight / 2048) in 16 bits; weight16 is 16 times the weight, which is less than 2048. */
static inline __m256i blend_numbers(__m256i top, __m256i bottom, __m256i weight16)
{
    return _mm256_add_epi16(top, _mm256_mulhrs_epi16(_mm256_sub_epi16(bottom, top), weight16));
}

static inline void blend_32(const uint8_t *top, const uint8_t *bottom, __m256i weight16, uint8_t *out)
{
    const __m256i t = load(top), b = load(bottom), zero = _mm256_setzero_si256();
    const __m256i low = blend_numbers(_mm256_unpacklo_epi8(t, zero), _mm256_unpacklo_epi8(b, zero), weight16);
    const __m256i high = blend_numbers(_mm256_unpackhi_epi8(t, zero), _mm256_unpackhi_epi8(b, zero), weight16);
    store(out, _mm256_packus_epi16(low, high));
}

static void resize_same(const fg_resize_row_u8_args *args)
{
    const size_t bytes = args->pixels * args->channels;
    if (args->row_weight % 2048 == 0) {
        memcpy(args->out, args->row_weight ? args->bottom : args->top, bytes);
        return;
    }
    const __m256i weight16 = _mm256_set1_epi16((short)(args->row_weight * 16));
    size_t i = 0;
    for (; i + 32 <= bytes; i += 32) blend_32(args->top + i, args->bottom + i, weight16, args->out + i);
    if (i < bytes && bytes >= 32) {
        blend_32(args->top + bytes - 32, args->bottom + bytes - 32, weight16, args->out + bytes - 32);
    } else {
        blend_rows(args, i, bytes);
    }
}

/* --- resize_row_u8, half the columns --- */
/* Per channels: numbers of left and right columns side by side, of the pixels that 16 bytes hold whole; and the results
 * of two such steps without what was not whole. */
static const uint8_t pairs_halved[4][16] = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
                                            {0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15},
                                            {0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11, NO, NO, NO, NO},
                                            {0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15}};
static const uint8_t dense_halved[4][16] = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
                                            {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
                                            {0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13, NO, NO, NO, NO},
                                            {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}};

typedef struct halved {
    __m256i pairs, dense, weight8; /* 8 times the weight of the lower row */
    size_t step;                   /* bytes of 16 that are used, and of 16 that result */
} halved;

/* (h + floor((lower - h) * weight / 2048) + 1) / 2, h being the sum of the upper row's left and right number: what is
 * lost by the first division does not reach the second. */
static inline __m256i halve(const halved *h, const uint8_t *top, const uint8_t *bottom)
{
    const __m256i one = _mm256_set1_epi8(1);
    const __m256i t = load_halves(top, top + 2 * h->step), b = load_halves(bottom, bottom + 2 * h->step);
    const __m256i upper = _mm256_maddubs_epi16(_mm256_shuffle_epi8(t, h->pairs), one);
    const __m256i lower = _mm256_maddubs_epi16(_mm256_shuffle_epi8(b, h->pairs), one);
    const __m256i more = _mm256_mulhi_epi16(_mm256_slli_epi16(_mm256_sub_epi16(lower, upper), 2), h->weight8);
    return _mm256_avg_epu16(_mm256_add_epi16(upper, more), _mm256_setzero_si256());
}

/* Four times 16 bytes, step bytes apart, to twice 16, step bytes apart. */
static inline void halve_block(const halved *h, const uint8_t *top, const uint8_t *bottom, uint8_t *out)
{
    const __m256i even = halve(h, top, bottom), odd = halve(h, top + h->step, bottom + h->step);
    store_halves(out, out + h->step, _mm256_shuffle_epi8(_mm256_packus_epi16(even, odd), h->dense));
}

static void resize_halved(const fg_resize_row_u8_args *args)
{
    const halved h = {.pairs = both_halves(pairs_halved[args->channels - 1]),
                      .dense = both_halves(dense_halved[args->channels - 1]),
                      .weight8 = _mm256_set1_epi16((short)(args->row_weight * 8)),
                      .step = args->channels == 3 ? 12 : 16};
    const uint8_t *top = args->top, *bottom = args->bottom; /* out might be the arguments for all the compiler knows */
    uint8_t *out = args->out;
    const size_t bytes = args->pixels * args->channels;
    size_t i = 0;
    for (; 2 * i + 3 * h.step + 16 <= 2 * bytes && i + h.step + 16 <= bytes; i += 2 * h.step)
        halve_block(&h, top + 2 * i, bottom + 2 * i, out + i);
    for (size_t count; i < bytes; i += count) {
        uint8_t top_end[64] = {0}, bottom_end[64] = {0}, end[32];
        count = fg_at_most(bytes - i, 2 * h.step);
        memcpy(top_end, top + 2 * i, 2 * count);
        memcpy(bottom_end, bottom + 2 * i, 2 * count);
        halve_block(&h, top_end, bottom_end, end);
        memcpy(out + i, end, count);
    }
}

/* --- resize_row_u8, listed columns --- */
/* Per channels: left and right numbers, each in 16 bits, side by side; and four pixels' results without what is between
 * them. */
static const uint8_t pairs_listed[4][16] = {{0, NO, 1, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO},
                                            {0, NO, 2, NO, 1, NO, 3, NO, NO, NO, NO, NO, NO, NO, NO, NO},
                                            {0, NO, 3, NO, 1, NO, 4, NO, 2, NO, 5, NO, NO, NO, NO, NO},
                                            {0, NO, 4, NO, 1, NO, 5, NO, 2, NO, 6, NO, 3, NO, 7, NO}};
static const uint8_t dense_listed[4][16] = {{0, 4, 8, 12, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO},
                                            {0, 1, 4, 5, 8, 9, 12, 13, NO, NO, NO, NO, NO, NO, NO, NO},
                                            {0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, NO, NO, NO, NO},
                                            {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}};

typedef struct listed {
    __m256i pairs, dense, row_weight;
} listed;

/* Pixels k and k + 4 of eight, a lane each; weights: left and right of eight pixels, 16 bits each. */
FG_INLINE __m256i two_pixels(const listed *l, const uint8_t *top, const uint8_t *bottom, const uint32_t *starts,
                             __m256i weights, const int k, const int one_row)
{
    const __m256i pixel = _mm256_setr_epi32(k, k, k, k, k + 4, k + 4, k + 4, k + 4);
    const __m256i weight = _mm256_permutevar8x32_epi32(weights, pixel);
    const __m256i t = load_halves(top + starts[k], top + starts[k + 4]);
    const __m256i upper = _mm256_madd_epi16(_mm256_shuffle_epi8(t, l->pairs), weight);
    if (one_row) return _mm256_srli_epi32(_mm256_add_epi32(upper, _mm256_set1_epi32(1 << 10)), 11);
    const __m256i b = load_halves(bottom + starts[k], bottom + starts[k + 4]);
    const __m256i lower = _mm256_madd_epi16(_mm256_shuffle_epi8(b, l->pairs), weight);
    const __m256i more = _mm256_mullo_epi32(_mm256_sub_epi32(lower, upper), l->row_weight);
    const __m256i sum = _mm256_add_epi32(_mm256_slli_epi32(upper, 11), more);
    return _mm256_srli_epi32(_mm256_add_epi32(sum, _mm256_set1_epi32(1 << 21)), 22);
}

FG_INLINE __m256i eight_pixels(const listed *l, const uint8_t *top, const uint8_t *bottom, const uint32_t *starts,
                               const uint16_t *weights, const int one_row)
{
    const __m256i right = _mm256_cvtepu16_epi32(load_half((const uint8_t *)(const void *)weights));
    const __m256i left = _mm256_sub_epi32(_mm256_set1_epi32(2048), right);
    const __m256i both = _mm256_or_si256(left, _mm256_slli_epi32(right, 16));
    const __m256i p04 = two_pixels(l, top, bottom, starts, both, 0, one_row);
    const __m256i p15 = two_pixels(l, top, bottom, starts, both, 1, one_row);
    const __m256i p26 = two_pixels(l, top, bottom, starts, both, 2, one_row);
    const __m256i p37 = two_pixels(l, top, bottom, starts, both, 3, one_row);
    const __m256i bytes = _mm256_packus_epi16(_mm256_packus_epi32(p04, p15), _mm256_packus_epi32(p26, p37));
    return _mm256_shuffle_epi8(bytes, l->dense);
}

static size_t listed_end(const fg_resize_row_u8_args *args, const listed *l, size_t first)
{
    copied_columns c;
    uint8_t out[32];
    copy_columns(args, first, 8, &c);
    store_halves(out, out + 4 * args->channels, eight_pixels(l, c.top, c.bottom, c.starts, c.weights, 0));
    memcpy(args->out + first * args->channels, out, c.pixels * args->channels);
    return c.pixels;
}

FG_INLINE void listed_row(const fg_resize_row_u8_args *args, const int one_row)
{
    const uint8_t *top = args->top, *bottom = args->bottom; /* as above */
    const uint32_t *starts = args->starts;
    const uint16_t *weights = args->weights;
    const size_t channels = args->channels, bytes = args->pixels * channels, row_bytes = args->row_bytes;
    const listed l = {.pairs = both_halves(pairs_listed[channels - 1]),
                      .dense = both_halves(dense_listed[channels - 1]),
                      .row_weight = _mm256_set1_epi32((int)args->row_weight)};
    uint8_t *out = args->out;
    size_t i = 0;
    for (; (i + 4) * channels + 16 <= bytes && starts[i + 7] + 16 <= row_bytes; i += 8, out += 8 * channels)
        store_halves(out, out + 4 * channels, eight_pixels(&l, top, bottom, starts + i, weights + i, one_row));
    while (i < args->pixels) i += listed_end(args, &l, i);
}

void fg_resize_row_u8_avx2(const fg_resize_row_u8_args *args)
{
    if (args->columns == FG_COLUMNS_SAME) {
        resize_same(args);
    } else if (args->columns == FG_COLUMNS_HALVED) {
        resize_halved(args);
    } else if (args->row_weight == 0) {
        listed_row(args, 1);
    } else {
        listed_row(args, 0);
    }
}

#endif
