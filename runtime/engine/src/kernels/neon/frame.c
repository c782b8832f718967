/* frame.c: kernels on frames with NEON, three channels above all. Ends of rows, where whole vectors would reach
 * beyond them, take the same steps on copies. */
#include "neon.h"

#if defined(__ARM_NEON) && defined(__ARM_FEATURE_FMA)

#include "../frame_tmpl.h"
#include "vector.h"

enum { NO = 0x80 }; /* in a table of indices: a byte of 0 */

/* --- finite_f32 --- */
/* 0 times a number that is not finite is NaN, and stays so in a sum. */
uint32_t fg_finite_f32_neon(const float *x, size_t count)
{
    const float32x4_t zero = vdupq_n_f32(0.0f);
    float32x4_t a = zero, b = zero, c = zero, d = zero, v[4];
    const float *const end = x + count / 16 * 16;
    for (; x < end; x += 16) {
        load_four(x, v);
        a = vfmaq_f32(a, v[0], zero);
        b = vfmaq_f32(b, v[1], zero);
        c = vfmaq_f32(c, v[2], zero);
        d = vfmaq_f32(d, v[3], zero);
    }
    a = vaddq_f32(vaddq_f32(a, b), vaddq_f32(c, d));
    const float32x2_t pair = vadd_f32(vget_low_f32(a), vget_high_f32(a));
    return vget_lane_f32(pair, 0) + vget_lane_f32(pair, 1) == 0.0f && finite_f32(x, count % 16);
}

/* --- gate_f32 --- */
enum { GROUP = 64, PART = 16 };

static inline uint32_t bits_of(uint8x16_t set)
{
    static const uint8_t bit[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    const uint8x16_t own = vandq_u8(set, vld1q_u8(bit));
    uint8x8_t sum = vpadd_u8(vget_low_u8(own), vget_high_u8(own));
    sum = vpadd_u8(sum, sum);
    return vget_lane_u16(vreinterpret_u16_u8(vpadd_u8(sum, sum)), 0);
}

FG_INLINE int any_bit(uint32x4_t set)
{
    const uint32x2_t half = vorr_u32(vget_low_u32(set), vget_high_u32(set));
    return vget_lane_u64(vreinterpret_u64_u32(half), 0) != 0;
}

/* A multiple of PART numbers. */
FG_INLINE int floats_differ(const float *a, const float *b, size_t count)
{
    uint32x4_t differ = vdupq_n_u32(0);
    for (const float *const end = a + count; a < end; a += PART, b += PART) {
        float32x4_t x[4], y[4];
        load_four(a, x);
        load_four(b, y);
        for (size_t k = 0; k < 4; k++) differ = vorrq_u32(differ, differing(x[k], y[k]));
    }
    return any_bit(differ);
}

/* Four pixels of three channels; which fired. */
FG_INLINE uint16x4_t gate_four(const float *frame, float *held, float threshold)
{
    const float32x4x3_t fresh = vld3q_f32(frame);
    float32x4x3_t old = vld3q_f32(held);
    uint32x4_t fires;
    if (threshold > 0.0f) {
        float32x4_t apart = vmaxq_f32(vabdq_f32(fresh.val[0], old.val[0]), vabdq_f32(fresh.val[1], old.val[1]));
        apart = vmaxq_f32(apart, vabdq_f32(fresh.val[2], old.val[2]));
        fires = vcgtq_f32(apart, vdupq_n_f32(threshold));
    } else {
        uint32x4_t differ = vorrq_u32(differing(fresh.val[0], old.val[0]), differing(fresh.val[1], old.val[1]));
        differ = vorrq_u32(differ, differing(fresh.val[2], old.val[2]));
        fires = vtstq_u32(differ, differ);
    }
    if (any_bit(fires)) {
        for (size_t c = 0; c < 3; c++) old.val[c] = vbslq_f32(fires, fresh.val[c], old.val[c]);
        vst3q_f32(held, old);
    }
    return vmovn_u32(fires);
}

FG_INLINE uint32_t gate_sixteen(const float *frame, float *held, float threshold)
{
    const uint16x4_t a = gate_four(frame, held, threshold), b = gate_four(frame + 12, held + 12, threshold);
    const uint16x4_t c = gate_four(frame + 24, held + 24, threshold), d = gate_four(frame + 36, held + 36, threshold);
    return bits_of(vcombine_u8(vmovn_u16(vcombine_u16(a, b)), vmovn_u16(vcombine_u16(c, d))));
}

size_t fg_gate_f32_neon(const fg_gate_f32_args *args)
{
    if (args->channels != 3) return gate_f32(args);
    size_t fired = 0;
    for (size_t base = 0; base < args->pixels; base += GROUP) {
        const size_t pixels = fg_at_most(args->pixels - base, GROUP), whole = pixels / PART * PART;
        const float *frame = args->frame + base * 3;
        float *held = args->held + base * 3;
        uint64_t bits = 0;
        if (floats_differ(frame, held, whole * 3)) {
            for (size_t i = 0; i < whole; i += PART)
                bits |= (uint64_t)gate_sixteen(frame + i * 3, held + i * 3, args->threshold) << i;
        }
        if (whole < pixels) bits |= gate_floats(args, base + whole, pixels - whole) << whole;
        args->mask[base / GROUP] = bits;
        fired += (size_t)__builtin_popcountll(bits);
    }
    return fired;
}

/* --- gate_u8 --- */
/* 16 pixels of 3 channels. */
static inline uint32_t gate_part(const uint8_t *frame, uint8_t *held, uint8x16_t threshold)
{
    const uint8x16x3_t fresh = vld3q_u8(frame);
    uint8x16x3_t old = vld3q_u8(held);
    uint8x16_t apart = vmaxq_u8(vabdq_u8(fresh.val[0], old.val[0]), vabdq_u8(fresh.val[1], old.val[1]));
    apart = vmaxq_u8(apart, vabdq_u8(fresh.val[2], old.val[2]));
    const uint8x16_t fires = vcgtq_u8(apart, threshold);
    const uint32_t bits = bits_of(fires);
    if (!bits) return 0;
    for (size_t c = 0; c < 3; c++) old.val[c] = vbslq_u8(fires, fresh.val[c], old.val[c]);
    vst3q_u8(held, old);
    return bits;
}

/* Bytes: a camera's rows may begin anywhere. */
FG_INLINE void load_bytes(const uint8_t *from, uint8x16_t *v)
{
#if defined(__aarch64__)
    const uint8x16x4_t four = vld1q_u8_x4(from);
    v[0] = four.val[0], v[1] = four.val[1], v[2] = four.val[2], v[3] = four.val[3];
#else
    for (size_t i = 0; i < 4; i++) v[i] = vld1q_u8(from + 16 * i);
#endif
}

static inline int group_differs(const uint8_t *frame, const uint8_t *held)
{
    uint8x16_t differ = vdupq_n_u8(0);
    for (size_t k = 0; k < GROUP * 3; k += 64) {
        uint8x16_t x[4], y[4];
        load_bytes(frame + k, x);
        load_bytes(held + k, y);
        for (size_t i = 0; i < 4; i++) differ = vorrq_u8(differ, veorq_u8(x[i], y[i]));
    }
    return any_bit(vreinterpretq_u32_u8(differ));
}

size_t fg_gate_u8_neon(const fg_gate_u8_args *args)
{
    if (args->channels != 3) return gate_u8(args);
    const uint8x16_t threshold = vdupq_n_u8((uint8_t)fg_at_most(args->threshold, 255));
    size_t fired = 0;
    for (size_t base = 0; base < args->pixels; base += GROUP) {
        const size_t pixels = fg_at_most(args->pixels - base, GROUP);
        const uint8_t *frame = args->frame + base * 3;
        uint8_t *held = args->held + base * 3;
        uint64_t bits = 0;
        args->mask[base / GROUP] = 0;
        if (pixels == GROUP && !group_differs(frame, held)) continue;
        size_t i = 0;
        for (; i + PART <= pixels; i += PART) bits |= (uint64_t)gate_part(frame + i * 3, held + i * 3, threshold) << i;
        if (i < pixels) {
            uint8_t fresh[PART * 3] = {0}, old[PART * 3] = {0};
            memcpy(fresh, frame + i * 3, (pixels - i) * 3);
            memcpy(old, held + i * 3, (pixels - i) * 3);
            bits |= (uint64_t)gate_part(fresh, old, threshold) << i;
            memcpy(held + i * 3, old, (pixels - i) * 3);
        }
        args->mask[base / GROUP] = bits;
        fired += (size_t)__builtin_popcountll(bits);
    }
    return fired;
}

/* --- normalize_u8 --- */
#if defined(__aarch64__)

/* The 24 numbers of 8 pixels go as 6 vectors, the first 3 from their first 16 bytes, the others from their last. */
typedef struct eight {
    uint8x16_t order[6]; /* a number per 32 bits */
    float32x4_t mean[3], scale[3];
} eight;

static eight eight_of(const fg_normalize_u8_args *args)
{
    uint8_t order[24][4];
    float mean[12], scale[12];
    eight e;
    for (size_t n = 0; n < 24; n += 3) {
        for (size_t c = 0; c < 3; c++) {
            const uint8_t number[4] = {(uint8_t)(n + args->order[c] - (n + c < 12 ? 0 : 8)), NO, NO, NO};
            memcpy(order[n + c], number, sizeof number);
        }
    }
    for (size_t n = 0; n < 12; n += 3) {
        for (size_t c = 0; c < 3; c++) {
            mean[n + c] = args->mean[c];
            scale[n + c] = args->scale[c];
        }
    }
    for (size_t k = 0; k < 6; k++) e.order[k] = vld1q_u8(order[4 * k]);
    for (size_t k = 0; k < 3; k++) {
        e.mean[k] = vld1q_f32(mean + 4 * k);
        e.scale[k] = vld1q_f32(scale + 4 * k);
    }
    return e;
}

static inline void normalize_eight(const eight *e, const uint8_t *x, float *out)
{
    const uint8x16_t first = vld1q_u8(x), last = vld1q_u8(x + 8);
    for (size_t k = 0; k < 6; k++) {
        const uint32x4_t number = vreinterpretq_u32_u8(vqtbl1q_u8(k < 3 ? first : last, e->order[k]));
        vst1q_f32(out + 4 * k, vmulq_f32(vsubq_f32(vcvtq_f32_u32(number), e->mean[k % 3]), e->scale[k % 3]));
    }
}

#include "../normalize_tmpl.h"

void fg_normalize_u8_neon(const fg_normalize_u8_args *args)
{
    if (args->channels != 3) {
        normalize_u8(args);
        return;
    }
    normalize_three(args);
}

#else

void fg_normalize_u8_neon(const fg_normalize_u8_args *args) { normalize_u8(args); }

#endif

/* --- resize_row_u8, columns as they are --- */
/* t + round((b - t) * weight / 2048); weight16 is 16 times the weight, which is less than 2048. */
static inline uint8x8_t blend_8(uint8x8_t top, uint8x8_t bottom, int16_t weight16)
{
    const int16x8_t apart = vreinterpretq_s16_u16(vsubl_u8(bottom, top));
    const int16x8_t more = vqrdmulhq_n_s16(apart, weight16);
    return vmovn_u16(vaddw_u8(vreinterpretq_u16_s16(more), top));
}

static void resize_same(const fg_resize_row_u8_args *args)
{
    const uint8_t *top = args->top, *bottom = args->bottom;
    uint8_t *out = args->out;
    const size_t bytes = args->pixels * args->channels;
    if (args->row_weight % 2048 == 0) {
        memcpy(out, args->row_weight ? bottom : top, bytes);
        return;
    }
    const int16_t weight16 = (int16_t)(args->row_weight * 16);
    size_t i = 0;
    for (; i + 16 <= bytes; i += 16) {
        const uint8x16_t t = vld1q_u8(top + i), b = vld1q_u8(bottom + i);
        vst1q_u8(out + i, vcombine_u8(blend_8(vget_low_u8(t), vget_low_u8(b), weight16),
                                      blend_8(vget_high_u8(t), vget_high_u8(b), weight16)));
    }
    blend_rows(args, i, bytes);
}

/* --- resize_row_u8, half the columns --- */
/* (h + floor((lower - h) * weight / 2048) + 1) / 2, h being the sum of the upper row's left and right number: what is
 * lost by the first division does not reach the second. weight8 is 8 times the weight. */
static inline uint8x8_t halve(uint8x16_t top, uint8x16_t bottom, int16_t weight8)
{
    const int16x8_t upper = vreinterpretq_s16_u16(vpaddlq_u8(top)), lower = vreinterpretq_s16_u16(vpaddlq_u8(bottom));
    const int16x8_t more = vqdmulhq_n_s16(vshlq_n_s16(vsubq_s16(lower, upper), 1), weight8);
    return vmovn_u16(vreinterpretq_u16_s16(vrhaddq_s16(upper, more)));
}

/* 16 pixels of 3 channels to 8. */
static inline void halve_block(const uint8_t *top, const uint8_t *bottom, int16_t weight8, uint8_t *out)
{
    const uint8x16x3_t t = vld3q_u8(top), b = vld3q_u8(bottom);
    uint8x8x3_t half;
    for (size_t c = 0; c < 3; c++) half.val[c] = halve(t.val[c], b.val[c], weight8);
    vst3_u8(out, half);
}

static void resize_halved(const fg_resize_row_u8_args *args)
{
    const uint8_t *top = args->top, *bottom = args->bottom;
    uint8_t *out = args->out;
    const int16_t weight8 = (int16_t)(args->row_weight * 8);
    size_t i = 0;
    for (; i + 8 <= args->pixels; i += 8) halve_block(top + i * 6, bottom + i * 6, weight8, out + i * 3);
    if (i < args->pixels) {
        uint8_t top_end[48] = {0}, bottom_end[48] = {0}, end[24];
        memcpy(top_end, top + i * 6, (args->pixels - i) * 6);
        memcpy(bottom_end, bottom + i * 6, (args->pixels - i) * 6);
        halve_block(top_end, bottom_end, weight8, end);
        memcpy(out + i * 3, end, (args->pixels - i) * 3);
    }
}

/* --- resize_row_u8, listed columns --- */
/* Per channels: the left numbers, each in 16 bits, and the right ones; and four pixels' results without what is between
 * them. */
static const uint8_t sides[4][16] = {{0, NO, NO, NO, NO, NO, NO, NO, 1, NO, NO, NO, NO, NO, NO, NO},
                                     {0, NO, 1, NO, NO, NO, NO, NO, 2, NO, 3, NO, NO, NO, NO, NO},
                                     {0, NO, 1, NO, 2, NO, NO, NO, 3, NO, 4, NO, 5, NO, NO, NO},
                                     {0, NO, 1, NO, 2, NO, 3, NO, 4, NO, 5, NO, 6, NO, 7, NO}};
static const uint8_t dense[4][16] = {{0, 4, 8, 12, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO},
                                     {0, 1, 4, 5, 8, 9, 12, 13, NO, NO, NO, NO, NO, NO, NO, NO},
                                     {0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, NO, NO, NO, NO},
                                     {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}};

static inline uint16x8_t sides_of(const uint8_t *at, uint8x16_t order)
{
    const uint8x8_t x = vld1_u8(at);
#if defined(__aarch64__)
    return vreinterpretq_u16_u8(vqtbl1q_u8(vcombine_u8(x, x), order));
#else
    return vreinterpretq_u16_u8(vcombine_u8(vtbl1_u8(x, vget_low_u8(order)), vtbl1_u8(x, vget_high_u8(order))));
#endif
}

static inline uint8x16_t joined(uint8x8_t first, uint8x8_t last, uint8x16_t order)
{
#if defined(__aarch64__)
    return vqtbl1q_u8(vcombine_u8(first, last), order);
#else
    const uint8x8x2_t both = {{first, last}};
    return vcombine_u8(vtbl2_u8(both, vget_low_u8(order)), vtbl2_u8(both, vget_high_u8(order)));
#endif
}

/* Pixel k of four, whose weights are lane k of left and right. */
#define PIXEL(k)                                                                                                       \
    do {                                                                                                               \
        const uint16x8_t t = sides_of(top + starts[k], order), b = sides_of(bottom + starts[k], order);                \
        const uint32x4_t upper = vmlal_lane_u16(vmull_lane_u16(vget_low_u16(t), left, k), vget_high_u16(t), right, k); \
        const uint32x4_t lower = vmlal_lane_u16(vmull_lane_u16(vget_low_u16(b), left, k), vget_high_u16(b), right, k); \
        const uint32x4_t sum = vmlaq_n_u32(vmulq_n_u32(upper, 2048 - row_weight), lower, row_weight);                  \
        pixel[k] = vmovn_u32(vrshrq_n_u32(sum, 22));                                                                   \
    } while (0)

static inline uint8x16_t four_pixels(const uint8_t *top, const uint8_t *bottom, const uint32_t *starts,
                                     const uint16_t *weights, uint32_t row_weight, uint8x16_t order, uint8x16_t pack)
{
    const uint16x4_t right = vld1_u16(weights), left = vsub_u16(vdup_n_u16(2048), right);
    uint16x4_t pixel[4];
    PIXEL(0);
    PIXEL(1);
    PIXEL(2);
    PIXEL(3);
    return joined(vmovn_u16(vcombine_u16(pixel[0], pixel[1])), vmovn_u16(vcombine_u16(pixel[2], pixel[3])), pack);
}

static void resize_listed(const fg_resize_row_u8_args *args)
{
    const uint8_t *top = args->top, *bottom = args->bottom;
    const uint32_t *starts = args->starts, row_weight = args->row_weight;
    const uint16_t *weights = args->weights;
    const size_t channels = args->channels, bytes = args->pixels * channels, row_bytes = args->row_bytes;
    const uint8x16_t order = vld1q_u8(sides[channels - 1]), pack = vld1q_u8(dense[channels - 1]);
    uint8_t *out = args->out;
    size_t i = 0;
    for (; i * channels + 16 <= bytes && starts[i + 3] + 8 <= row_bytes; i += 4, out += 4 * channels)
        vst1q_u8(out, four_pixels(top, bottom, starts + i, weights + i, row_weight, order, pack));
    while (i < args->pixels) {
        copied_columns c;
        uint8_t end[16];
        copy_columns(args, i, 4, &c);
        vst1q_u8(end, four_pixels(c.top, c.bottom, c.starts, c.weights, row_weight, order, pack));
        memcpy(args->out + i * channels, end, c.pixels * channels);
        i += c.pixels;
    }
}

void fg_resize_row_u8_neon(const fg_resize_row_u8_args *args)
{
    if (args->columns == FG_COLUMNS_SAME) {
        resize_same(args);
    } else if (args->columns == FG_COLUMNS_LISTED) {
        resize_listed(args);
    } else if (args->channels == 3) {
        resize_halved(args);
    } else {
        resize_row_u8(args);
    }
}

#endif
