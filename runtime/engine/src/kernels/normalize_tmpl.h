/* normalize_tmpl.h: normalize_u8 of three channels, eight pixels at a time. The including file defines
 *     eight, eight_of(args): what all groups share, normalize_eight(eight *, x, out): 24 numbers. */
#include "loops.h"

static void normalize_three(const fg_normalize_u8_args *args)
{
    const eight e = eight_of(args);
    const size_t whole = args->pixels / 8 * 8, rest = args->pixels - whole;
    for (size_t base = 0; base < whole; base += 64) {
        uint64_t bits = args->mask[base / 64];
        for (size_t i = base; bits && i < whole; i += 8, bits >>= 8)
            if (bits & 0xFF) normalize_eight(&e, args->x + i * 3, args->out + i * 3);
    }
    if (rest && any_of_eight(args->mask, whole)) {
        uint8_t x[24] = {0};
        float out[24];
        memcpy(x, args->x + whole * 3, rest * 3);
        normalize_eight(&e, x, out);
        memcpy(args->out + whole * 3, out, rest * 3 * sizeof *out);
    }
}
