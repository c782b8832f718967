/* frame_tmpl.h: kernels on frames, camera bytes above all, in plain C: the scalar twins, and what instruction sets
 * leave to the compiler. */
#include "kernels.h"
#include "loops.h"

#include <string.h>

/* --- finite_f32: whether no number is NaN or infinite --- */
FG_UNUSED static uint32_t finite_f32(const float *x, size_t count)
{
    uint32_t sums = 0;
    for (size_t i = 0; i < count; i++) { /* no branch, so that the compiler vectorises */
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        sums |= (bits & 0x7FFFFFFFu) + 0x00800000u; /* an exponent of all ones carries into the sign */
    }
    return sums < 0x80000000u;
}

/* --- gate_f32 --- */
/* Whether a number is further than threshold from what is held, at 0 whether a bit differs. */
FG_INLINE uint32_t is_far(float fresh, float held, float threshold)
{
    uint32_t a, b;
    memcpy(&a, &fresh, sizeof a);
    memcpy(&b, &held, sizeof b);
    return threshold > 0.0f ? __builtin_fabsf(fresh - held) > threshold : a != b;
}

/* Up to 64 pixels from begin on; which fired. */
FG_UNUSED static uint64_t gate_floats(const fg_gate_f32_args *args, size_t begin, size_t pixels)
{
    const size_t channels = args->channels;
    const float *frame = args->frame + begin * channels;
    float *held = args->held + begin * channels;
    uint64_t bits = 0;
    if (memcmp(frame, held, pixels * channels * sizeof *held) == 0) return 0;
    for (size_t p = 0; p < pixels; p++, frame += channels, held += channels) {
        uint32_t far = 0;
        FG_SCALAR
        for (size_t c = 0; c < channels; c++) far |= is_far(frame[c], held[c], args->threshold);
        bits |= (uint64_t)far << p;
        if (far) memcpy(held, frame, channels * sizeof *held);
    }
    return bits;
}

FG_UNUSED static size_t gate_f32(const fg_gate_f32_args *args)
{
    size_t fired = 0;
    for (size_t base = 0; base < args->pixels; base += 64) {
        const uint64_t bits = gate_floats(args, base, fg_at_most(args->pixels - base, 64));
        args->mask[base / 64] = bits;
        fired += (size_t)__builtin_popcountll(bits);
    }
    return fired;
}

/* --- gate_u8 --- */
/* One bit per pixel for up to 64 pixels. */
FG_INLINE uint64_t changed_pixels(const uint8_t *restrict frame, const uint8_t *restrict held, size_t pixels,
                                  const size_t channels, uint32_t threshold)
{
    uint8_t over[64 * 4 + 4], pixel[64] = {0};
    for (size_t i = 0; i < pixels * channels; i++) {
        const uint8_t a = frame[i], b = held[i];
        const uint8_t difference = (uint8_t)(a > b ? a - b : b - a);
        over[i] = difference > (uint8_t)threshold;
    }
    for (size_t i = 0; i < pixels; i++) {
        uint8_t fired = over[i * channels];
        for (size_t c = 1; c < channels; c++) fired |= over[i * channels + c];
        pixel[i] = fired;
    }
    uint64_t bits = 0;
    for (size_t byte = 0; byte < 8; byte++) {
        uint64_t eight; /* bytes of 0 or 1; the product gathers their low bits in the top byte */
        memcpy(&eight, pixel + byte * 8, 8);
        bits |= (eight * 0x0102040810204080u >> 56) << (byte * 8);
    }
    return bits;
}

FG_INLINE size_t gate_channels(const fg_gate_u8_args *args, const size_t channels)
{
    const uint32_t threshold = args->threshold < 255 ? args->threshold : 255;
    size_t fired = 0;
    for (size_t base = 0; base < args->pixels; base += 64) {
        const size_t pixels = fg_at_most(args->pixels - base, 64);
        const uint8_t *frame = args->frame + base * channels;
        uint8_t *held = args->held + base * channels;
        uint64_t bits = 0; /* a still picture costs one look; noise differs at once */
        if (memcmp(frame, held, pixels * channels) != 0)
            bits = changed_pixels(frame, held, pixels, channels, threshold);
        args->mask[base / 64] = bits;
        if (bits == ~(uint64_t)0) {
            memcpy(held, frame, 64 * channels);
            fired += 64;
            continue;
        }
        for (; bits; bits &= bits - 1, fired++) {
            const size_t at = (size_t)__builtin_ctzll(bits) * channels;
            for (size_t c = 0; c < channels; c++) held[at + c] = frame[at + c];
        }
    }
    return fired;
}

FG_UNUSED static size_t gate_u8(const fg_gate_u8_args *args)
{
    switch (args->channels) {
    case 1: return gate_channels(args, 1);
    case 2: return gate_channels(args, 2);
    case 3: return gate_channels(args, 3);
    default: return gate_channels(args, 4);
    }
}

/* --- normalize_u8 --- */
enum { FG_EIGHT = 8 };

FG_INLINE int any_of_eight(const uint64_t *mask, size_t first) { return (mask[first / 64] >> first % 64 & 0xFF) != 0; }

/* Eight pixels at a time in the network's channel order, with means and scales repeated to match: plain runs of
 * numbers, which vectorise. */
FG_INLINE void normalize_channels(const fg_normalize_u8_args *args, const size_t channels)
{
    enum { MOST = FG_EIGHT * 4 };
    float mean[MOST], scale[MOST];
    for (size_t k = 0; k < FG_EIGHT * channels; k++) {
        mean[k] = args->mean[k % channels];
        scale[k] = args->scale[k % channels];
    }
    for (size_t i = 0; i < args->pixels; i += FG_EIGHT) {
        const size_t pixels = fg_at_most(args->pixels - i, FG_EIGHT);
        const uint8_t *x = args->x + i * channels;
        float *out = args->out + i * channels;
        uint8_t ordered[MOST] = {0};
        if (!any_of_eight(args->mask, i)) continue;
        for (size_t p = 0; p < pixels; p++)
            for (size_t c = 0; c < channels; c++) ordered[p * channels + c] = x[p * channels + args->order[c]];
        for (size_t k = 0; k < pixels * channels; k++) out[k] = ((float)ordered[k] - mean[k]) * scale[k];
    }
}

FG_UNUSED static void normalize_u8(const fg_normalize_u8_args *args)
{
    /* clang-format off */
    switch (args->channels) {
    case 1: normalize_channels(args, 1); break;
    case 2: normalize_channels(args, 2); break;
    case 3: normalize_channels(args, 3); break;
    default: normalize_channels(args, 4); break;
    }
    /* clang-format on */
}

/* --- resize_row_u8 --- */
/* Numbers begin .. end - 1 where columns stay as they are: 2048 is taken out of both weights' product. */
FG_INLINE void blend_rows(const fg_resize_row_u8_args *args, size_t begin, size_t end)
{
    const uint32_t lower = args->row_weight, upper = 2048 - lower;
    for (size_t k = begin; k < end; k++)
        args->out[k] = (uint8_t)((args->top[k] * upper + args->bottom[k] * lower + (1u << 10)) >> 11);
}

FG_INLINE void resize_channels(const fg_resize_row_u8_args *args, const size_t channels)
{
    const int halved = args->columns == FG_COLUMNS_HALVED;
    const uint32_t lower = args->row_weight, upper = 2048 - lower;
    uint8_t *out = args->out;
    for (size_t i = 0; i < args->pixels; i++, out += channels) {
        const size_t left = halved ? 2 * i * channels : args->starts[i];
        const size_t right = left + channels < args->row_bytes ? left + channels : left;
        const uint32_t v = halved ? 1024 : args->weights[i], u = 2048 - v;
        for (size_t c = 0; c < channels; c++) {
            const uint32_t a = args->top[left + c] * u + args->top[right + c] * v;
            const uint32_t b = args->bottom[left + c] * u + args->bottom[right + c] * v;
            out[c] = (uint8_t)((a * upper + b * lower + (1u << 21)) >> 22);
        }
    }
}

FG_UNUSED static void resize_row_u8(const fg_resize_row_u8_args *args)
{
    if (args->columns == FG_COLUMNS_SAME) {
        blend_rows(args, 0, args->pixels * args->channels);
        return;
    }
    /* clang-format off */
    switch (args->channels) {
    case 1: resize_channels(args, 1); break;
    case 2: resize_channels(args, 2); break;
    case 3: resize_channels(args, 3); break;
    default: resize_channels(args, 4); break;
    }
    /* clang-format on */
}

/* The columns that some pixels are made of, with room for vectors to read beyond them. */
enum { FG_COPIED = 240 };

typedef struct copied_columns {
    uint8_t top[FG_COPIED + 32], bottom[FG_COPIED + 32];
    uint32_t starts[8];
    uint16_t weights[8];
    size_t pixels;
} copied_columns;

/* Of as many as will do of up to most pixels (at most eight) from first on, listed ones. Behind the row's last column
 * it stands again. */
FG_UNUSED static void copy_columns(const fg_resize_row_u8_args *args, size_t first, size_t most, copied_columns *c)
{
    const size_t channels = args->channels, from = args->starts[first];
    size_t pixels = fg_at_most(args->pixels - first, most), bytes;
    while ((bytes = args->starts[first + pixels - 1] - from + 2 * channels) > FG_COPIED) pixels /= 2;
    bytes = fg_at_most(bytes, args->row_bytes - from);
    memset(c, 0, sizeof *c);
    memcpy(c->top, args->top + from, bytes);
    memcpy(c->top + bytes, args->top + args->row_bytes - channels, channels);
    memcpy(c->bottom, args->bottom + from, bytes);
    memcpy(c->bottom + bytes, args->bottom + args->row_bytes - channels, channels);
    for (size_t p = 0; p < pixels; p++) {
        c->starts[p] = args->starts[first + p] - (uint32_t)from;
        c->weights[p] = args->weights[first + p];
    }
    c->pixels = pixels;
}
