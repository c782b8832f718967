/* activation.c: SiLU with AArch64's NEON, the function that detectors spend a quarter of a frame in, and ReLU, for
 * which GCC takes twice the instructions; other kinds are the twin's, which compilers vectorise.
 *
 * SiLU: bit for bit fg_silu of numeric.h. A fused multiply-add overwrites what it adds to, so a constant summand
 * is copied each time. Pairs of vectors load both their copies in one instruction, which leaves the vector unit alone.
 */
#if defined(__GNUC__) && !defined(__clang__)
/* Registers suffice if nothing is moved up before they are given out. */
#pragma GCC optimize("no-schedule-insns")
#endif

#include "neon.h"

#if defined(__aarch64__) && defined(__ARM_NEON)

#include <arm_neon.h>

#include "../loops.h"
#include "../numeric.h"

enum { VECTOR = 4, VECTORS = 2 };

#define EACH _Pragma("GCC unroll 2") for (size_t v = 0; v < VECTORS; v++)
/* The compiler does not know the address any more: it cannot keep what it loads from there in registers. */
#define KEEP(p) __asm__("" : "+r"(p))

#define COPIES(x) {x, x, x, x, x, x, x, x}
typedef enum summand { MAGIC, LOW, HIGH, TWO, ONE, SUMMANDS } summand;
static const float summands[SUMMANDS][VECTORS * VECTOR] = {[MAGIC] = COPIES(FG_EXP_MAGIC + 127.0f),
                                                           [LOW] = COPIES(4.999923110e-01f),
                                                           [HIGH] = COPIES(4.189025611e-02f),
                                                           [TWO] = COPIES(2.0013f),
                                                           [ONE] = COPIES(1.0f)};

FG_INLINE void fill(float32x4_t *to, const float *from, const summand which)
{
    EACH to[v] = vld1q_f32(from + (which * VECTORS + v) * VECTOR);
}

FG_INLINE uint32x4_t bits(float32x4_t x) { return vreinterpretq_u32_f32(x); }
FG_INLINE float32x4_t number(uint32x4_t x) { return vreinterpretq_f32_u32(x); }
FG_INLINE float32x4_t all(float x) { return vdupq_n_f32(x); }

/* VECTORS vectors side by side: cores that issue in order would wait for every link of one chain. */
FG_INLINE void silu(float *data, const float *constants)
{
    float32x4_t x[VECTORS], r[VECTORS], s[VECTORS], low[VECTORS], high[VECTORS], square[VECTORS], y[VECTORS];
    EACH x[v] = vmaxq_f32(vld1q_f32(data + v * VECTOR), all(-87.0f));
    /* e^-x */
    EACH r[v] = vminq_f32(x[v], all(87.0f));
    fill(s, constants, MAGIC);
    EACH s[v] = vfmsq_f32(s[v], r[v], all(1.44269504f));
    EACH y[v] = vsubq_f32(s[v], all(FG_EXP_MAGIC + 127.0f));
    EACH s[v] = number(vshlq_n_u32(bits(s[v]), 23));
    EACH r[v] = vfmaq_f32(r[v], y[v], all(0.693147182f));
    EACH r[v] = vfmsq_f32(r[v], y[v], all(1.90465429e-9f));
    EACH square[v] = vmulq_f32(r[v], r[v]);
    fill(low, constants, LOW);
    EACH low[v] = vfmsq_f32(low[v], r[v], all(1.666711569e-01f));
    fill(high, constants, HIGH);
    EACH high[v] = vfmsq_f32(high[v], r[v], all(8.312467486e-03f));
    EACH low[v] = vfmaq_f32(low[v], high[v], square[v]);
    EACH r[v] = vfmsq_f32(r[v], low[v], square[v]);
    EACH s[v] = vfmsq_f32(s[v], r[v], s[v]);
    /* x over 1 + that: fg_quotient */
    EACH s[v] = vaddq_f32(s[v], all(1.0f));
    EACH y[v] = number(vsubq_u32(vdupq_n_u32(0x7EF32000u), bits(s[v])));
    fill(low, constants, TWO);
    EACH low[v] = vfmsq_f32(low[v], s[v], y[v]);
    EACH y[v] = vmulq_f32(y[v], low[v]);
    fill(low, constants, ONE);
    EACH low[v] = vfmsq_f32(low[v], s[v], y[v]);
    EACH x[v] = vmulq_f32(x[v], y[v]);
    EACH low[v] = vfmaq_f32(low[v], low[v], low[v]);
    EACH x[v] = vfmaq_f32(x[v], x[v], low[v]);
    EACH vst1q_f32(data + v * VECTOR, x[v]);
}

/* x < 0 ? 0 : x of four vectors: a comparison with NaN is false, and -0 is not below 0. */
FG_INLINE void relu_four(float *data)
{
    float32x4x4_t x = vld1q_f32_x4(data);
    for (size_t v = 0; v < 4; v++) x.val[v] = number(vbicq_u32(bits(x.val[v]), vcltzq_f32(x.val[v])));
    vst1q_f32_x4(data, x);
}

static void relu(float *data, size_t count)
{
    const size_t rest = count % (4 * VECTOR);
    for (const float *end = data + (count - rest); data < end; data += 4 * VECTOR) relu_four(data);
    for (size_t i = 0; i < rest; i++) data[i] = data[i] < 0.0f ? 0.0f : data[i];
}

static void all_silu(float *data, size_t count)
{
    const float *constants = summands[0];
    const size_t rest = count % (VECTORS * VECTOR);
    float part[VECTORS * VECTOR] = {0};
    for (const float *end = data + (count - rest); data < end; data += VECTORS * VECTOR) {
        KEEP(constants);
        silu(data, constants);
    }
    for (size_t i = 0; i < rest; i++) part[i] = data[i];
    if (rest) silu(part, constants);
    for (size_t i = 0; i < rest; i++) data[i] = part[i];
}

void fg_activation_f32_neon(uint32_t kind, const float *parameters, float *data, size_t count)
{
    if (kind == FG_ACT_SILU && parameters[0] == 1.0f) {
        all_silu(data, count);
    } else if (kind == FG_ACT_RELU) {
        relu(data, count);
    } else {
        fg_activation_f32_ref(kind, parameters, data, count);
    }
}

#endif
