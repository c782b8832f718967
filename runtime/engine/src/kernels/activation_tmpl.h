/* activation_tmpl.h: section 5 of docs/file_format.md. Included by one file per instruction set; the compiler
 * vectorises. */
#include "kernels.h"
#include "loops.h"
#include "numeric.h"

#define EACH(expression)                                                                                               \
    do {                                                                                                               \
        for (size_t i = 0; i < count; i++) {                                                                           \
            const float x = data[i];                                                                                   \
            data[i] = (expression);                                                                                    \
        }                                                                                                              \
    } while (0)

#define EACH_LONG(expression)                                                                                          \
    do {                                                                                                               \
        FG_IN_PAIRS                                                                                                    \
        for (size_t i = 0; i < count; i++) {                                                                           \
            const float x = data[i];                                                                                   \
            data[i] = (expression);                                                                                    \
        }                                                                                                              \
    } while (0)

static inline float clip(float x, float low, float high)
{
    float raised = x < low ? low : x;
    return raised > high ? high : raised;
}

/* clang-format off */
/* Common exponents by multiplication, the others through fg_pow. */
static void power_f32(float exponent, float *data, size_t count)
{
    if (exponent == 1.0f) return;
    if (exponent == 2.0f) EACH(x * x);
    else if (exponent == 3.0f) EACH(x * x * x);
    else if (exponent == 4.0f) EACH((x * x) * (x * x));
    else if (exponent == 5.0f) EACH((x * x) * (x * x) * x);
    else if (exponent == 6.0f) EACH((x * x * x) * (x * x * x));
    else if (exponent == -1.0f) EACH(1.0f / x);
    else if (exponent == -2.0f) EACH(1.0f / (x * x));
    else if (exponent == 0.5f) EACH(__builtin_sqrtf(x == -FG_INFINITY ? FG_INFINITY : x) + 0.0f);
    else if (exponent == -0.5f) EACH(1.0f / (__builtin_sqrtf(x == -FG_INFINITY ? FG_INFINITY : x) + 0.0f));
    else EACH(fg_pow(x, exponent));
}

static void activation_f32(uint32_t kind, const float *parameters, float *data, size_t count)
{
    const float p = parameters[0], q = parameters[1];
    switch (kind) {
    case FG_ACT_RELU: EACH(x < 0.0f ? 0.0f : x); break;
    case FG_ACT_CLIP: EACH(clip(x, p, q)); break;
    case FG_ACT_LEAKY_RELU: EACH(x < 0.0f ? p * x : x); break;
    case FG_ACT_SIGMOID: EACH_LONG(fg_sigmoid(x)); break;
    case FG_ACT_SILU:
        if (p == 1.0f) EACH_LONG(fg_silu(x));
        else EACH_LONG(fg_swish(x, p * x));
        break;
    case FG_ACT_HARD_SIGMOID: EACH(clip(p * x + q, 0.0f, 1.0f)); break;
    case FG_ACT_HARD_SWISH: EACH(x * clip(p * x + q, 0.0f, 1.0f)); break;
    case FG_ACT_TANH: EACH_LONG(fg_tanh(x)); break;
    case FG_ACT_GELU: EACH_LONG(fg_gelu(x)); break;
    case FG_ACT_GELU_TANH: EACH_LONG(fg_gelu_tanh(x)); break;
    case FG_ACT_ERF: EACH_LONG(fg_erf(x)); break;
    case FG_ACT_ELU: EACH_LONG(x < 0.0f ? p * fg_expm1(x) : x); break;
    case FG_ACT_SELU: EACH_LONG(q * (x < 0.0f ? p * fg_expm1(x) : x)); break;
    case FG_ACT_MISH: EACH_LONG(fg_mish(x)); break;
    case FG_ACT_SOFTPLUS: EACH_LONG(fg_softplus(x)); break;
    case FG_ACT_SOFTSIGN: EACH(x / (1.0f + fg_abs(x))); break;
    case FG_ACT_EXP: EACH_LONG(fg_exp(x)); break;
    case FG_ACT_LOG: EACH_LONG(fg_log(x)); break;
    case FG_ACT_SQRT: EACH(__builtin_sqrtf(x)); break;
    case FG_ACT_RECIPROCAL: EACH(1.0f / x); break;
    case FG_ACT_FLOOR: EACH(fg_floor(x)); break;
    case FG_ACT_CEIL: EACH(fg_ceil(x)); break;
    case FG_ACT_ROUND: EACH(fg_round(x)); break;
    case FG_ACT_ABS: EACH(fg_abs(x)); break;
    case FG_ACT_NEG: EACH(-x); break;
    case FG_ACT_SIGN: EACH(x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : x); break;
    case FG_ACT_TRUNC: EACH(fg_trunc(x)); break;
    case FG_ACT_NOT: EACH(x == 0.0f ? 1.0f : 0.0f); break;
    case FG_ACT_POW: power_f32(p, data, count); break;
    case FG_ACT_SQUARE: EACH(x * x); break;
    case FG_ACT_AFFINE: EACH(p * x + q); break;
    case FG_ACT_CELU: EACH_LONG(x < 0.0f ? p * fg_expm1(x / p) : x); break;
    case FG_ACT_THRESHOLD: EACH(x > p ? x : 0.0f); break;
    case FG_ACT_BOOL: EACH(x == 0.0f ? 0.0f : 1.0f); break;
    default: break; /* identity */
    }
}

/* clang-format on */
#undef EACH_LONG
#undef EACH
