/* binary_tmpl.h: two- and three-operand kernels. Included by one file per instruction set; the compiler vectorises. */
#include "kernels.h"
#include "loops.h"
#include "numeric.h"

/* Three loops per kind, so that a scalar operand is a broadcast and not a load of step 0. */
#define EACH(expression)                                                                                               \
    do {                                                                                                               \
        if (a_step && b_step) {                                                                                        \
            FG_INDEPENDENT                                                                                             \
            for (size_t i = 0; i < count; i++) {                                                                       \
                const float x = a[i], y = b[i];                                                                        \
                out[i] = (expression);                                                                                 \
            }                                                                                                          \
        } else if (a_step) {                                                                                           \
            const float y = b[0];                                                                                      \
            FG_INDEPENDENT                                                                                             \
            for (size_t i = 0; i < count; i++) {                                                                       \
                const float x = a[i];                                                                                  \
                out[i] = (expression);                                                                                 \
            }                                                                                                          \
        } else {                                                                                                       \
            const float x = a[0];                                                                                      \
            FG_INDEPENDENT                                                                                             \
            for (size_t i = 0; i < count; i++) {                                                                       \
                const float y = b[i * b_step];                                                                         \
                out[i] = (expression);                                                                                 \
            }                                                                                                          \
        }                                                                                                              \
    } while (0)

/* One loop for all steps, for what networks do less often. */
#define SELDOM(expression)                                                                                             \
    do {                                                                                                               \
        FG_INDEPENDENT                                                                                                 \
        for (size_t i = 0; i < count; i++) {                                                                           \
            const float x = a[i * a_step], y = b[i * b_step];                                                          \
            out[i] = (expression);                                                                                     \
        }                                                                                                              \
    } while (0)

#define TRUTH(condition) ((condition) ? 1.0f : 0.0f)

static void binary_f32(uint32_t kind, const float *a, size_t a_step, const float *b, size_t b_step, float *out,
                       size_t count)
{
    if (count == 0) return;
    /* clang-format off */
    switch (kind) {
    case FG_BINARY_ADD: EACH(x + y); break;
    case FG_BINARY_SUB: EACH(x - y); break;
    case FG_BINARY_MUL: EACH(x * y); break;
    case FG_BINARY_DIV: EACH(x / y); break;
    case FG_BINARY_MIN: EACH(fg_min(x, y)); break;
    case FG_BINARY_MAX: EACH(fg_max(x, y)); break;
    case FG_BINARY_POW: SELDOM(fg_pow(x, y)); break;
    case FG_BINARY_EQUAL: SELDOM(TRUTH(x == y)); break;
    case FG_BINARY_LESS: SELDOM(TRUTH(x < y)); break;
    case FG_BINARY_LESS_EQUAL: SELDOM(TRUTH(x <= y)); break;
    case FG_BINARY_GREATER: SELDOM(TRUTH(x > y)); break;
    case FG_BINARY_GREATER_EQUAL: SELDOM(TRUTH(x >= y)); break;
    case FG_BINARY_AND: SELDOM(TRUTH((x != 0.0f) & (y != 0.0f))); break;
    case FG_BINARY_OR: SELDOM(TRUTH((x != 0.0f) | (y != 0.0f))); break;
    case FG_BINARY_XOR: SELDOM(TRUTH((x != 0.0f) != (y != 0.0f))); break;
    case FG_BINARY_PRELU: EACH(x < 0.0f ? x * y : x); break;
    case FG_BINARY_MOD: SELDOM(fg_mod(x, y)); break;
    case FG_BINARY_FMOD: SELDOM(fg_fmod(x, y)); break;
    default: break;
    }
    /* clang-format on */
}

#undef EACH
#undef SELDOM
#undef TRUTH

FG_INLINE void where_steps(const fg_where_f32_args *args, const size_t a_step, const size_t b_step)
{
    const float *condition = args->condition, *a = args->a, *b = args->b;
    float *out = args->out;
    FG_INDEPENDENT
    for (size_t i = 0; i < args->count; i++) {
        const float yes = a[i * a_step], no = b[i * b_step];
        out[i] = condition[i] != 0.0f ? yes : no;
    }
}

static void where_f32(const fg_where_f32_args *args)
{
    if (args->count == 0) return;
    if (!args->condition_step) {
        const uint32_t yes = args->condition[0] != 0.0f;
        const float *from = yes ? args->a : args->b;
        const size_t step = yes ? args->a_step : args->b_step;
        FG_INDEPENDENT
        for (size_t i = 0; i < args->count; i++) args->out[i] = from[i * step];
    } else if (args->a_step) {
        if (args->b_step)
            where_steps(args, 1, 1);
        else
            where_steps(args, 1, 0);
    } else {
        if (args->b_step)
            where_steps(args, 0, 1);
        else
            where_steps(args, 0, 0);
    }
}

/* The first tap is a product alone: 0 + (-0) would lose a sign. */
static void blend_f32(const float *const *rows, const float *weights, size_t taps, float *restrict out, size_t count)
{
    if (taps == 2) {
        const float *restrict first = rows[0], *restrict second = rows[1];
        const float u = weights[0], v = weights[1];
        for (size_t i = 0; i < count; i++) out[i] = u * first[i] + v * second[i];
        return;
    }
    for (size_t t = 0; t < taps; t++) {
        const float *restrict row = rows[t];
        const float w = weights[t];
        if (t == 0) {
            for (size_t i = 0; i < count; i++) out[i] = w * row[i];
        } else {
            for (size_t i = 0; i < count; i++) out[i] += w * row[i];
        }
    }
}
