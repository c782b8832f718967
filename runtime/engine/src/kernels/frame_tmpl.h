/* frame_tmpl.h: kernels on camera bytes. Included by one file per instruction set; the compiler vectorises. */
#include "kernels.h"
#include "loops.h"

#include <string.h>

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

FG_INLINE void gate_channels(const fg_gate_u8_args *args, const size_t channels)
{
    const uint32_t threshold = args->threshold < 255 ? args->threshold : 255;
    for (size_t base = 0; base < args->pixels; base += 64) {
        const size_t pixels = fg_at_most(args->pixels - base, 64);
        const uint8_t *frame = args->frame + base * channels;
        uint8_t *held = args->held + base * channels;
        if (memcmp(frame, held, pixels * channels) == 0) { /* a still picture costs one look; noise differs at once */
            args->mask[base / 64] = 0;
            continue;
        }
        uint64_t bits = changed_pixels(frame, held, pixels, channels, threshold);
        args->mask[base / 64] = bits;
        if (bits == ~(uint64_t)0) {
            memcpy(held, frame, 64 * channels);
            continue;
        }
        for (size_t i = 0; bits; i++, bits >>= 1)
            if (bits & 1)
                for (size_t c = 0; c < channels; c++) held[i * channels + c] = frame[i * channels + c];
    }
}

static void gate_u8(const fg_gate_u8_args *args)
{
    /* clang-format off */
    switch (args->channels) {
    case 1: gate_channels(args, 1); break;
    case 2: gate_channels(args, 2); break;
    case 3: gate_channels(args, 3); break;
    default: gate_channels(args, 4); break;
    }
    /* clang-format on */
}

enum { FG_NORMALIZE_PIXELS = 16 };

/* Sixteen pixels at a time in the network's channel order, with means and scales repeated to match: plain runs of
 * numbers, which vectorise. What is left goes pixel by pixel. */
FG_INLINE void normalize_channels(const fg_normalize_u8_args *args, const size_t channels)
{
    enum { MOST = FG_NORMALIZE_PIXELS * 4 };
    const size_t block = FG_NORMALIZE_PIXELS * channels, blocks = args->pixels / FG_NORMALIZE_PIXELS;
    const uint8_t *x = args->x;
    float *out = args->out, mean[MOST], scale[MOST];
    for (size_t k = 0; blocks && k < block; k++) {
        mean[k] = args->mean[k % channels];
        scale[k] = args->scale[k % channels];
    }
    for (size_t b = 0; b < blocks; b++, x += block, out += block) {
        uint8_t ordered[MOST];
        for (size_t p = 0; p < FG_NORMALIZE_PIXELS; p++)
            for (size_t c = 0; c < channels; c++) ordered[p * channels + c] = x[p * channels + args->order[c]];
        for (size_t k = 0; k < block; k++) out[k] = ((float)ordered[k] - mean[k]) * scale[k];
    }
    for (size_t p = blocks * FG_NORMALIZE_PIXELS; p < args->pixels; p++, x += channels, out += channels)
        for (size_t c = 0; c < channels; c++) out[c] = ((float)x[args->order[c]] - args->mean[c]) * args->scale[c];
}

static void normalize_u8(const fg_normalize_u8_args *args)
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

enum { FG_RESIZE_BUFFER = 1024, FG_RESIZE_PIXELS = 64 };

/* Output pixels begin .. end - 1, whose source columns from first on are count / channels: rows are blended first, over
 * contiguous bytes, then columns, in integers, where the order does not matter. Several channels are worked on as four,
 * what a pixel has too much is overwritten by the next one. */
FG_INLINE void resize_span(const fg_resize_row_u8_args *args, const size_t channels, size_t begin, size_t end,
                           size_t first, size_t count)
{
    uint32_t blended[FG_RESIZE_BUFFER + 4], results[FG_RESIZE_PIXELS * 4 + 4];
    const size_t lanes = channels == 1 ? 1 : 4;
    const uint32_t lower = args->row_weight, upper = 2048 - lower;
    const uint8_t *top = args->top + first * channels, *bottom = args->bottom + first * channels;
    uint8_t *out = args->out + begin * channels;
    for (size_t k = 0; k < count; k++) blended[k] = top[k] * upper + bottom[k] * lower;
    memset(blended + count, 0, 4 * sizeof *blended);
    for (size_t i = begin; i < end; i++) {
        const uint32_t *left = blended + (args->left[i] - first) * channels;
        const uint32_t *right = blended + (args->right[i] - first) * channels;
        const uint32_t v = args->weight[i], u = 2048 - v;
        uint32_t pixel[4];
        for (size_t c = 0; c < lanes; c++) pixel[c] = (left[c] * u + right[c] * v + (1u << 21)) >> 22;
        memcpy(results + (i - begin) * channels, pixel, lanes * sizeof *pixel);
    }
    for (size_t k = 0; k < (end - begin) * channels; k++) out[k] = (uint8_t)results[k];
}

FG_INLINE void resize_channels(const fg_resize_row_u8_args *args, const size_t channels)
{
    for (size_t begin = 0, end; begin < args->pixels; begin = end) {
        const size_t first = args->left[begin];
        size_t pixels = fg_at_most(args->pixels - begin, FG_RESIZE_PIXELS), count;
        while ((count = (args->right[begin + pixels - 1] - first + 1) * channels) > FG_RESIZE_BUFFER)
            pixels = (pixels + 1) / 2;
        end = begin + pixels;
        resize_span(args, channels, begin, end, first, count);
    }
}

static void resize_row_u8(const fg_resize_row_u8_args *args)
{
    /* clang-format off */
    switch (args->channels) {
    case 1: resize_channels(args, 1); break;
    case 2: resize_channels(args, 2); break;
    case 3: resize_channels(args, 3); break;
    default: resize_channels(args, 4); break;
    }
    /* clang-format on */
}
