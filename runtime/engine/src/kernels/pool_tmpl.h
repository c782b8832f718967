/* pool_tmpl.h: maxima and means over windows. Included by one file per instruction set. */
#include "kernels.h"
#include "loops.h"
#include "numeric.h"
#include "registers.h"

#include <string.h>

#define POOL_UNROLL _Pragma("GCC unroll 8")

enum { MAX_PLAIN = FG_REDUCE_COUNT }; /* a maximum of numbers of which none is -0 */

FG_INLINE void join_numbers(const uint32_t kind, fg_vector *joined, const float *from)
{
    fg_vector x;
    memcpy(&x, from, sizeof x);
    if (kind == MAX_PLAIN) {
        *joined = fg_larger_plain(*joined, x);
    } else {
        *joined = kind == FG_REDUCE_MAX ? fg_larger(*joined, x) : *joined + x;
    }
}

/* count registers of channels of one pixel; kind and count are constants at every call. */
FG_INLINE void pool_registers(const fg_pool_f32_args *args, const uint32_t kind, const float *x, float *out,
                              const size_t count)
{
    const ptrdiff_t *taps = args->taps;
    const size_t tap_count = args->tap_count;
    fg_vector joined[FG_REGISTERS];
    POOL_UNROLL
    for (size_t k = 0; k < count; k++) memcpy(&joined[k], x + taps[0] + k * FG_WIDTH, sizeof joined[k]);
    for (size_t t = 1; t < tap_count; t++) {
        const float *from = x + taps[t];
        POOL_UNROLL
        for (size_t k = 0; k < count; k++) join_numbers(kind, &joined[k], from + k * FG_WIDTH);
    }
    POOL_UNROLL
    for (size_t k = 0; k < count; k++) {
        if (kind == FG_REDUCE_MEAN) joined[k] /= args->divisor;
        memcpy(out + k * FG_WIDTH, &joined[k], sizeof joined[k]);
    }
}

FG_INLINE float pool_channel(const fg_pool_f32_args *args, const uint32_t kind, const float *x)
{
    float joined = x[args->taps[0]];
    for (size_t t = 1; t < args->tap_count; t++) {
        const float value = x[args->taps[t]];
        joined = kind == FG_REDUCE_MEAN ? joined + value : fg_max(joined, value);
    }
    return kind == FG_REDUCE_MEAN ? joined / args->divisor : joined;
}

#define REST(count)                                                                                                    \
    case count:                                                                                                        \
        if (count < FG_REGISTERS) pool_registers(args, kind, x + c, out + c, count);                                   \
        break;

FG_INLINE void pool_kind(const fg_pool_f32_args *args, const uint32_t kind)
{
    const size_t width = FG_WIDTH, whole = args->channels / width;
    for (size_t p = 0; p < args->pixels; p++) {
        const float *x = args->x + p * args->x_step;
        float *out = args->out + p * args->out_step;
        size_t c = 0, left = whole;
        for (; left >= FG_REGISTERS; left -= FG_REGISTERS, c += FG_REGISTERS * width)
            pool_registers(args, kind, x + c, out + c, FG_REGISTERS);
        /* clang-format off */
        switch (left) {
        REST(7) REST(6) REST(5) REST(4) REST(3) REST(2) REST(1)
        default: break;
        }
        /* clang-format on */
        for (c = whole * width; c < args->channels; c++) out[c] = pool_channel(args, kind, x + c);
    }
}

static void pool_f32(const fg_pool_f32_args *args)
{
    if (args->kind != FG_REDUCE_MAX) {
        pool_kind(args, FG_REDUCE_MEAN);
    } else if (FG_LARGER_PLAIN && args->no_minus) {
        pool_kind(args, MAX_PLAIN);
    } else {
        pool_kind(args, FG_REDUCE_MAX);
    }
}
