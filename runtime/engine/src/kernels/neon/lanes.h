/* lanes.h: the first lanes of a vector, read and written without touching what lies behind. */
#ifndef FG_KERNELS_NEON_LANES_H
#define FG_KERNELS_NEON_LANES_H

#include <arm_neon.h>
#include <string.h>

/* In a vector too, because Armv7's scalar unit treats subnormal numbers differently. */
static inline float32x4_t load_part(const float *x, size_t count)
{
    float part[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    memcpy(part, x, count * sizeof *x);
    return vld1q_f32(part);
}

static inline void store_part(float *x, float32x4_t v, size_t count)
{
    float part[4];
    vst1q_f32(part, v);
    memcpy(x, part, count * sizeof *x);
}

#endif
