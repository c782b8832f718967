/* winograd_weights_tmpl.h: winograd_weights_f32 for one vector type. The including file defines vec, VECTOR (its
 * floats, of which 16 is a multiple), vec_load(p), vec_store(p, v), vec_spread(p), vec_fma(a, b, sum); with
 * WEIGHTS_OWN_PAIR it has a weights_pair of its own, behind this. */
#include "loops.h"
#include "winograd.h"

/* What belongs to two points, +-number. */
typedef struct weights_points {
    vec plus, minus, square;
} weights_points;

FG_INLINE weights_points weights_points_of(float number)
{
    const float minus = -number, square = number * number;
    return (weights_points){vec_spread(&number), vec_spread(&minus), vec_spread(&square)};
}

/* Three numbers along an axis to those of two points. */
FG_INLINE void weights_at(const weights_points *points, vec x0, vec x1, vec x2, vec *plus, vec *minus)
{
    const vec even = vec_fma(points->square, x2, x0);
    *plus = vec_fma(points->plus, x1, even);
    *minus = vec_fma(points->minus, x1, even);
}

/* points: of the rows; NULL for those of 0 and infinity. */
FG_INLINE void weights_pair(const fg_winograd_weights_f32_args *args, const weights_points *points,
                            const weights_points *p, const weights_points *q);

#ifndef WEIGHTS_OWN_PAIR

/* A row's three numbers to its six positions. */
FG_INLINE void weights_row(const vec *x, const weights_points *p, const weights_points *q, float *out, size_t step)
{
    vec y[4];
    weights_at(p, x[0], x[1], x[2], &y[0], &y[1]);
    weights_at(q, x[0], x[1], x[2], &y[2], &y[3]);
    vec_store(out, x[0]);
    _Pragma("GCC unroll 4") for (size_t j = 0; j < 4; j++) vec_store(out + (1 + j) * step, y[j]);
    vec_store(out + 5 * step, x[2]);
}

FG_INLINE void weights_pair(const fg_winograd_weights_f32_args *args, const weights_points *points,
                            const weights_points *p, const weights_points *q)
{
    const size_t count = args->count, tap = args->tap_step, step = args->out_step;
    const float *from = args->weights;
    float *out = args->out;
    for (size_t k = 0; k < count; k += VECTOR, from += VECTOR, out += VECTOR) {
        vec first[3], second[3];
        _Pragma("GCC unroll 3") for (size_t j = 0; j < 3; j++)
        {
            const vec x0 = first[j] = vec_load(from + j * tap), x2 = second[j] = vec_load(from + (6 + j) * tap);
            if (points) weights_at(points, x0, vec_load(from + (3 + j) * tap), x2, &first[j], &second[j]);
        }
        weights_row(first, p, q, out, step);
        weights_row(second, p, q, out + FG_WINOGRAD_PATCH * step, step);
    }
}

#endif

FG_INLINE void winograd_weights(const fg_winograd_weights_f32_args *args)
{
    const weights_points p = weights_points_of(FG_WINOGRAD_P), q = weights_points_of(FG_WINOGRAD_Q);
    if (args->pair == 0) {
        weights_pair(args, NULL, &p, &q);
    } else if (args->pair == 1) {
        weights_pair(args, &p, &p, &q);
    } else {
        weights_pair(args, &q, &p, &q);
    }
}
