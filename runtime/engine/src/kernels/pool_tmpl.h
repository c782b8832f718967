/* pool_tmpl.h: maxima and means over windows. Included by one file per instruction set. */
#include "kernels.h"
#include "loops.h"
#include "numeric.h"

#include <string.h>
#if defined(__aarch64__)
#include <arm_neon.h>
#endif

/* Numbers of one register: compilers do not split wider comparisons well. Channels are independent: any width gives
 * the same bits. */
#if defined(__AVX2__)
enum { FG_POOL_WIDTH = 8 };
#elif defined(__SSE2__) || defined(__ARM_NEON)
enum { FG_POOL_WIDTH = 4 };
#else
enum { FG_POOL_WIDTH = 1 };
#endif
enum { FG_POOL_REGISTERS = 4 }; /* of channels whose results stay in registers over all taps */
#define POOL_UNROLL _Pragma("GCC unroll 4")

typedef float fg_pool_vector __attribute__((vector_size(FG_POOL_WIDTH * sizeof(float))));
typedef int32_t fg_pool_bits __attribute__((vector_size(FG_POOL_WIDTH * sizeof(float))));

/* fg_max number by number. */
FG_INLINE fg_pool_vector larger(fg_pool_vector a, fg_pool_vector b)
{
#if defined(__aarch64__) /* the machine's maximum, but for its order of zeros */
    const float32x4_t y = (float32x4_t)b;
    float32x4_t x = (float32x4_t)a;
    const uint32x4_t keep = vcgeq_f32(y, x);
    /* in the place of x: compilers would copy it */
    __asm__("fmax %0.4s, %0.4s, %1.4s\n\tbit %0.16b, %1.16b, %2.16b" : "+w"(x) : "w"(y), "w"(keep));
    return (fg_pool_vector)x;
#else
    const fg_pool_bits keep = (a > b) | (a != a);
    return (fg_pool_vector)(((fg_pool_bits)a & keep) | ((fg_pool_bits)b & ~keep));
#endif
}

FG_INLINE void join_numbers(const uint32_t kind, fg_pool_vector *joined, const float *from)
{
    fg_pool_vector x;
    memcpy(&x, from, sizeof x);
    *joined = kind == FG_REDUCE_MAX ? larger(*joined, x) : *joined + x;
}

/* count registers of channels of one pixel; kind and count are constants at every call. */
FG_INLINE void pool_registers(const fg_pool_f32_args *args, const uint32_t kind, const float *x, float *out,
                              const size_t count)
{
    const ptrdiff_t *taps = args->taps;
    const size_t tap_count = args->tap_count;
    fg_pool_vector joined[FG_POOL_REGISTERS];
    POOL_UNROLL
    for (size_t k = 0; k < count; k++) memcpy(&joined[k], x + taps[0] + k * FG_POOL_WIDTH, sizeof joined[k]);
    for (size_t t = 1; t < tap_count; t++) {
        const float *from = x + taps[t];
        POOL_UNROLL
        for (size_t k = 0; k < count; k++) join_numbers(kind, &joined[k], from + k * FG_POOL_WIDTH);
    }
    POOL_UNROLL
    for (size_t k = 0; k < count; k++) {
        if (kind != FG_REDUCE_MAX) joined[k] /= args->divisor;
        memcpy(out + k * FG_POOL_WIDTH, &joined[k], sizeof joined[k]);
    }
}

FG_INLINE float pool_channel(const fg_pool_f32_args *args, const uint32_t kind, const float *x)
{
    float joined = x[args->taps[0]];
    for (size_t t = 1; t < args->tap_count; t++) {
        const float value = x[args->taps[t]];
        joined = kind == FG_REDUCE_MAX ? fg_max(joined, value) : joined + value;
    }
    return kind == FG_REDUCE_MAX ? joined : joined / args->divisor;
}

FG_INLINE void pool_kind(const fg_pool_f32_args *args, const uint32_t kind)
{
    const size_t width = FG_POOL_WIDTH, whole = args->channels / width;
    for (size_t p = 0; p < args->pixels; p++) {
        const float *x = args->x + p * args->x_step;
        float *out = args->out + p * args->out_step;
        size_t c = 0, left = whole;
        for (; left >= FG_POOL_REGISTERS; left -= FG_POOL_REGISTERS, c += FG_POOL_REGISTERS * width)
            pool_registers(args, kind, x + c, out + c, FG_POOL_REGISTERS);
        if (left == 3) pool_registers(args, kind, x + c, out + c, 3);
        if (left == 2) pool_registers(args, kind, x + c, out + c, 2);
        if (left == 1) pool_registers(args, kind, x + c, out + c, 1);
        for (c = whole * width; c < args->channels; c++) out[c] = pool_channel(args, kind, x + c);
    }
}

static void pool_f32(const fg_pool_f32_args *args)
{
    if (args->kind == FG_REDUCE_MAX) {
        pool_kind(args, FG_REDUCE_MAX);
    } else {
        pool_kind(args, FG_REDUCE_MEAN);
    }
}
