/* lanes.h: runs of numbers reduced in a stated order, for judge_tmpl.h and reduce_tmpl.h.
 *
 * Lane i of 8 takes elements i, i + 8, ... and the lanes are joined as ((0+4)+(2+6))+((1+5)+(3+7)): the order a vector
 * unit of 8, 4 or 2 lanes can keep. */
#ifndef FG_KERNELS_LANES_H
#define FG_KERNELS_LANES_H

#include "kernels.h"
#include "loops.h"
#include "numeric.h"

#include <string.h>

#define JOIN(f, lane) f(f(f(lane[0], lane[4]), f(lane[2], lane[6])), f(f(lane[1], lane[5]), f(lane[3], lane[7])))

static inline float add(float a, float b) { return a + b; }

/* Eight numbers side by side, one per lane; the compiler splits them where its vectors are shorter. */
typedef float fg_lanes __attribute__((vector_size(FG_LANES * sizeof(float))));
typedef int32_t fg_lane_bits __attribute__((vector_size(FG_LANES * sizeof(float))));

/* Puts a run of numbers into 8 lanes. first: the lanes before anything was put in; LOAD: sets lanes v from index i on;
 * update: the lanes' new value from lanes and v; value: a rest's number at index i; f: joins two numbers. */
#define FILL_LANES(lane, first, LOAD, update, value, f)                                                                \
    fg_lanes lanes = (fg_lanes){0} + (first);                                                                          \
    const size_t whole = count / FG_LANES * FG_LANES;                                                                  \
    for (size_t i = 0; i < whole; i += FG_LANES) {                                                                     \
        fg_lanes v;                                                                                                    \
        LOAD;                                                                                                          \
        lanes = (update);                                                                                              \
    }                                                                                                                  \
    memcpy(lane, &lanes, sizeof lanes);                                                                                \
    for (size_t i = whole; i < count; i++) lane[i - whole] = f(lane[i - whole], (value))

/* v where mask is all ones, else lanes */
#define SELECT(mask) ((fg_lanes)(((fg_lane_bits)v & (mask)) | ((fg_lane_bits)lanes & ~(mask))))

#endif
