/* winograd.c: Winograd's transforms with NEON. On AArch64 of their own: constants are lanes of two registers, what is
 * transformed along columns is as much as stays in registers, and addresses are sums of two registers; of weights,
 * pointers that loads and stores move on. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-schedule-insns") /* as in gemm.c */
#endif

#include "neon.h"

#if defined(__ARM_NEON) && defined(__ARM_FEATURE_FMA)

#include "vector.h"

enum { VECTOR = 4 };

#if defined(__aarch64__)

#include "../finish_tmpl.h"
#include "../winograd.h"

enum { PATCH = FG_WINOGRAD_PATCH, TILE = FG_WINOGRAD_TILE };

#define UNROLL _Pragma("GCC unroll 16")
#define KEEP(x) __asm__("" : "+r"(x))

/* The lanes of constants. */
static const float powers[4] = {FG_WINOGRAD_P, FG_WINOGRAD_Q, FG_WINOGRAD_P2, FG_WINOGRAD_Q2};
static const float others[4] = {FG_WINOGRAD_P2Q2, FG_WINOGRAD_P2_Q2, FG_WINOGRAD_P3, FG_WINOGRAD_Q3};
enum { P = 0, Q = 1, P2 = 2, Q2 = 3, P2Q2 = 0, P2_Q2 = 1, P3 = 2, Q3 = 3 };

typedef struct constants {
    vec power, other;
} constants;

/* Places of a row of six: the distance of two is the same in all rows. */
typedef struct places {
    ptrdiff_t col[PATCH]; /* in bytes */
} places;

FG_INLINE places places_of(ptrdiff_t step, size_t channel)
{
    places at;
    UNROLL
    for (size_t j = 0; j < PATCH; j++)
        at.col[j] = ((ptrdiff_t)j * step + (ptrdiff_t)channel) * (ptrdiff_t)sizeof(float);
    return at;
}

FG_INLINE vec load_at(const float *p, ptrdiff_t bytes)
{
    return vec_load((const float *)(const void *)((const char *)p + bytes));
}

FG_INLINE void store_at(float *p, ptrdiff_t bytes, vec v) { vec_store((float *)(void *)((char *)p + bytes), v); }

/* Two vectors in a row; the pointer moves on behind them. */
FG_INLINE void load_two(const float **p, vec *v)
{
    const float (*from)[2 * VECTOR] = (const float (*)[2 * VECTOR])(const void *)*p;
    __asm__("ldp %q0, %q1, [%2], #32" : "=w"(v[0]), "=w"(v[1]), "+r"(*p) : "m"(*from));
}

FG_INLINE void store_two(float **p, const vec *v)
{
    float (*to)[2 * VECTOR] = (float (*)[2 * VECTOR])(void *)*p;
    __asm__("stp %q2, %q3, [%1], #32" : "=m"(*to), "+r"(*p) : "w"(v[0]), "w"(v[1]));
}

#define WEIGHTS_OWN_PAIR
#include "../winograd_weights_tmpl.h"

/* Two vectors of three weights along an axis to those of two points. */
FG_INLINE void two_weights_at(const weights_points *points, const vec *x0, const vec *x1, const vec *x2, vec *plus,
                              vec *minus)
{
    UNROLL
    for (size_t i = 0; i < 2; i++) weights_at(points, x0[i], x1[i], x2[i], &plus[i], &minus[i]);
}

/* A row's three weights to its six positions. */
FG_INLINE void weights_row(vec (*x)[2], const weights_points *p, const weights_points *q, float **out)
{
    vec plus[2], minus[2];
    store_two(&out[0], x[0]);
    store_two(&out[5], x[2]);
    two_weights_at(p, x[0], x[1], x[2], plus, minus);
    store_two(&out[1], plus);
    store_two(&out[2], minus);
    two_weights_at(q, x[0], x[1], x[2], plus, minus);
    store_two(&out[3], plus);
    store_two(&out[4], minus);
}

FG_INLINE void weights_pair(const fg_winograd_weights_f32_args *args, const weights_points *points,
                            const weights_points *p, const weights_points *q)
{
    const float *from[9];
    float *out[FG_WINOGRAD_PAIR];
    UNROLL
    for (size_t t = 0; t < 9; t++) from[t] = args->weights + t * args->tap_step;
    UNROLL
    for (size_t i = 0; i < FG_WINOGRAD_PAIR; i++) out[i] = args->out + i * args->out_step;
    for (size_t left = args->count; left > 0; left -= 2 * VECTOR) {
        vec first[3][2], second[3][2], middle[2];
        UNROLL
        for (size_t j = 0; j < 3; j++) {
            load_two(&from[j], first[j]);
            load_two(&from[6 + j], second[j]);
            if (!points) continue;
            load_two(&from[3 + j], middle);
            two_weights_at(points, first[j], middle, second[j], first[j], second[j]);
        }
        weights_row(first, p, q, out);
        weights_row(second, p, q, out + PATCH);
    }
}

/* The first, or last, three of six transformed numbers. */
FG_INLINE void first_half(const constants *k, vec d0, vec d1, vec d2, vec d3, vec d4, vec *out, const size_t step)
{
    const vec even = vfmsq_laneq_f32(d4, d2, k->power, Q2), odd = vfmsq_laneq_f32(d3, d1, k->power, Q2);
    out[0] = vfmaq_laneq_f32(vfmsq_laneq_f32(d4, d2, k->other, P2_Q2), d0, k->other, P2Q2);
    out[step] = vfmaq_laneq_f32(even, odd, k->power, P);
    out[2 * step] = vfmsq_laneq_f32(even, odd, k->power, P);
}

FG_INLINE void last_half(const constants *k, vec d1, vec d2, vec d3, vec d4, vec d5, vec *out, const size_t step)
{
    const vec last = vfmsq_laneq_f32(d5, d3, k->other, P2_Q2);
    const vec even = vfmsq_laneq_f32(d4, d2, k->power, P2), odd = vfmsq_laneq_f32(d3, d1, k->power, P2);
    out[0] = vfmaq_laneq_f32(even, odd, k->power, Q);
    out[step] = vfmsq_laneq_f32(even, odd, k->power, Q);
    out[2 * step] = vfmaq_laneq_f32(last, d1, k->other, P2Q2);
}

/* Three rows of the transformed patch; a column's numbers are read for these and for the others. */
FG_INLINE void three_rows(const constants *k, const float *const *row, const places *in, float *out, const places *to,
                          size_t out_row, const int first)
{
    vec d[3 * PATCH];
    UNROLL
    for (size_t j = 0; j < PATCH; j++) {
        vec x[5];
        UNROLL
        for (size_t i = 0; i < 5; i++) x[i] = load_at(row[i + !first], in->col[j]);
        if (first) {
            first_half(k, x[0], x[1], x[2], x[3], x[4], d + j, PATCH);
        } else {
            last_half(k, x[0], x[1], x[2], x[3], x[4], d + j, PATCH);
        }
    }
    UNROLL
    for (size_t i = 0; i < 3; i++, out += out_row) {
        vec *x = d + i * PATCH, y[PATCH];
        first_half(k, x[0], x[1], x[2], x[3], x[4], y, 1);
        last_half(k, x[1], x[2], x[3], x[4], x[5], y + 3, 1);
        UNROLL
        for (size_t j = 0; j < PATCH; j++) store_at(out, to->col[j], y[j]);
    }
}

FG_INLINE void input_channels(const constants *k, const fg_winograd_input_f32_args *args, const float *const *row,
                              size_t c)
{
    const places in = places_of(args->col_step, c), to = places_of((ptrdiff_t)args->out_step, c);
    const size_t out_row = PATCH * args->out_step;
    three_rows(k, row, &in, args->out, &to, out_row, 1);
    three_rows(k, row, &in, args->out + 3 * out_row, &to, out_row, 0);
}

/* Six sums to four results, step apart. */
FG_INLINE void output_axis(const constants *k, const vec *m, const size_t m_step, vec *out, const size_t step)
{
    const vec sum_p = vec_add(m[m_step], m[2 * m_step]), sum_q = vec_add(m[3 * m_step], m[4 * m_step]);
    const vec less_p = vec_sub(m[m_step], m[2 * m_step]), less_q = vec_sub(m[3 * m_step], m[4 * m_step]);
    out[0] = vec_add(vec_add(m[0], sum_p), sum_q);
    out[step] = vfmaq_laneq_f32(vmulq_laneq_f32(less_p, k->power, P), less_q, k->power, Q);
    out[2 * step] = vfmaq_laneq_f32(vmulq_laneq_f32(sum_p, k->power, P2), sum_q, k->power, Q2);
    out[3 * step] = vfmaq_laneq_f32(vfmaq_laneq_f32(m[5 * m_step], less_p, k->other, P3), less_q, k->other, Q3);
}

/* The sums of a tile's positions from x on, to what is added to and stored. */
FG_INLINE void tile_of(const constants *k, const float *x, const places *at, size_t row_step, vec *pixel)
{
    vec m[TILE * PATCH];
    UNROLL
    for (size_t j = 0; j < PATCH; j++) {
        const float *from = x;
        vec column[PATCH];
        UNROLL
        for (size_t i = 0; i < PATCH; i++, from += row_step) {
            KEEP(from);
            column[i] = load_at(from, at->col[j]);
        }
        output_axis(k, column, 1, m + j, PATCH);
    }
    UNROLL
    for (size_t i = 0; i < TILE; i++) output_axis(k, m + i * PATCH, 1, pixel + i * TILE, 1);
}

FG_INLINE void output_channels(const constants *k, const fg_winograd_output_f32_args *args, size_t c, const int all)
{
    const places at = places_of((ptrdiff_t)args->x_step, c);
    vec pixel[FG_WINOGRAD_PIXELS];
    tile_of(k, args->x, &at, PATCH * args->x_step, pixel);
    if (args->bias) {
        const vec bias = vec_load(args->bias + c);
        UNROLL
        for (size_t i = 0; i < FG_WINOGRAD_PIXELS; i++) pixel[i] = vec_add(pixel[i], bias);
    }
    if (args->finish.steps) finish(&args->finish, pixel, FG_WINOGRAD_PIXELS);
    UNROLL
    for (size_t i = 0; i < FG_WINOGRAD_PIXELS; i++) {
        if (all || args->out[i]) vec_store(args->out[i] + c, pixel[i]);
    }
}

/* Vectors of channels; the last one again where they are not full. */
#define EACH_VECTOR(call)                                                                                              \
    for (size_t at_least = 0; at_least < args->channels; at_least += VECTOR) {                                         \
        const size_t c = fg_at_most(at_least, args->channels - VECTOR);                                                \
        call;                                                                                                          \
    }

void fg_winograd_input_f32_neon(const fg_winograd_input_f32_args *args)
{
    const constants k = {vec_load(powers), vec_load(others)};
    const float *row[PATCH];
    if (args->channels < VECTOR) {
        fg_winograd_input_f32_ref(args);
        return;
    }
    UNROLL
    for (size_t i = 0; i < PATCH; i++) row[i] = args->x + (ptrdiff_t)i * args->row_step;
    EACH_VECTOR(input_channels(&k, args, row, c))
}

void fg_winograd_output_f32_neon(const fg_winograd_output_f32_args *args)
{
    const constants k = {vec_load(powers), vec_load(others)};
    int all = 1;
    if (args->channels < VECTOR) {
        fg_winograd_output_f32_ref(args);
        return;
    }
    for (size_t i = 0; i < FG_WINOGRAD_PIXELS; i++) all &= args->out[i] != NULL;
    if (all) {
        EACH_VECTOR(output_channels(&k, args, c, 1))
    } else {
        EACH_VECTOR(output_channels(&k, args, c, 0))
    }
}

#else

#include "../winograd_tmpl.h"
#include "../winograd_weights_tmpl.h"

void fg_winograd_input_f32_neon(const fg_winograd_input_f32_args *args) { winograd_input(args); }

void fg_winograd_output_f32_neon(const fg_winograd_output_f32_args *args) { winograd_output(args); }

#endif

void fg_winograd_weights_f32_neon(const fg_winograd_weights_f32_args *args) { winograd_weights(args); }

#endif
