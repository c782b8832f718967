/* finish_tmpl.h: fg_finish in registers and vectors that are not full, for gemm_tmpl.h and depthwise_tmpl.h. The
 * including file defines
 *     vec_mul(a, b), vec_max(a, b) and vec_min(a, b): NaN where b is; which of two zeros is free (kernels.h). */
#ifndef FG_FINISH_TMPL_H
#define FG_FINISH_TMPL_H

#include "loops.h"

#define FINISH_UNROLL _Pragma("GCC unroll 32")

/* Loads and stores whole vectors, or the first part lanes where part is not 0. */
FG_INLINE vec load_lanes(const float *p, size_t part)
{
#ifdef vec_load_part
    if (part) return vec_load_part(p, part);
#endif
    (void)part;
    return vec_load(p);
}

FG_INLINE void store_lanes(float *p, vec v, size_t part)
{
#ifdef vec_store_part
    if (part) {
        vec_store_part(p, v, part);
        return;
    }
#endif
    (void)part;
    vec_store(p, v);
}

/* count is a constant at every call: sums are registers. Of x and slope * x the larger one is x where x >= 0. */
FG_INLINE void finish(const fg_finish *how, vec *sums, const size_t count)
{
    if (how->steps & FG_FINISH_SLOPE) {
        const vec slope = vec_spread(&how->slope);
        FINISH_UNROLL
        for (size_t i = 0; i < count; i++) sums[i] = vec_max(vec_mul(slope, sums[i]), sums[i]);
    }
    if (how->steps & FG_FINISH_LOW) {
        const vec low = vec_spread(&how->low);
        FINISH_UNROLL
        for (size_t i = 0; i < count; i++) sums[i] = vec_max(low, sums[i]);
    }
    if (how->steps & FG_FINISH_HIGH) {
        const vec high = vec_spread(&how->high);
        FINISH_UNROLL
        for (size_t i = 0; i < count; i++) sums[i] = vec_min(high, sums[i]);
    }
}

#endif
