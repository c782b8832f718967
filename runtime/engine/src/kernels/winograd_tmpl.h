/* winograd_tmpl.h: winograd_input_f32 and winograd_output_f32 for one vector type. The including file defines
 *     vec, VECTOR (its floats), vec_load(p), vec_store(p, v), vec_load_part(p, n), vec_store_part(p, v, n): the first n
 *     lanes, the others neither read nor written, vec_spread(p), vec_fma(a, b, sum), vec_add(a, b), vec_sub(a, b),
 *     vec_zero(),
 * and what finish_tmpl.h asks for. With WINOGRAD_MASKED all vectors are loaded and stored as parts, where that costs
 * nothing. */
#include "finish_tmpl.h"
#include "winograd.h"

#define WINOGRAD_UNROLL _Pragma("GCC unroll 6")

#ifdef WINOGRAD_MASKED
enum { ONLY_PARTS = 1 };
#else
enum { ONLY_PARTS = 0 };
#endif

/* Whole vectors, or the first part lanes where part is not 0. */
FG_INLINE vec winograd_load(const float *p, size_t part)
{
    return ONLY_PARTS || part ? vec_load_part(p, part) : vec_load(p);
}

FG_INLINE void winograd_store(float *p, vec v, size_t part)
{
    if (ONLY_PARTS || part) {
        vec_store_part(p, v, part);
    } else {
        vec_store(p, v);
    }
}

FG_INLINE vec winograd_constant(float number) { return vec_spread(&number); }

/* Six numbers of the patch, step apart, to six of the transformed one. */
FG_INLINE void input_axis(vec *d, const size_t step)
{
    const vec d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step], d5 = d[5 * step];
    const vec product = winograd_constant(FG_WINOGRAD_P2Q2), sum = winograd_constant(-FG_WINOGRAD_P2_Q2);
    const vec even_q = vec_fma(winograd_constant(-FG_WINOGRAD_Q2), d2, d4);
    const vec odd_q = vec_fma(winograd_constant(-FG_WINOGRAD_Q2), d1, d3);
    const vec even_p = vec_fma(winograd_constant(-FG_WINOGRAD_P2), d2, d4);
    const vec odd_p = vec_fma(winograd_constant(-FG_WINOGRAD_P2), d1, d3);
    d[0] = vec_fma(product, d0, vec_fma(sum, d2, d4));
    d[step] = vec_fma(winograd_constant(FG_WINOGRAD_P), odd_q, even_q);
    d[2 * step] = vec_fma(winograd_constant(-FG_WINOGRAD_P), odd_q, even_q);
    d[3 * step] = vec_fma(winograd_constant(FG_WINOGRAD_Q), odd_p, even_p);
    d[4 * step] = vec_fma(winograd_constant(-FG_WINOGRAD_Q), odd_p, even_p);
    d[5 * step] = vec_fma(product, d1, vec_fma(sum, d3, d5));
}

FG_INLINE void input_channels(const fg_winograd_input_f32_args *args, size_t c, size_t part)
{
    vec d[FG_WINOGRAD_POSITIONS];
    WINOGRAD_UNROLL
    for (size_t j = 0; j < FG_WINOGRAD_PATCH; j++) {
        const float *x = args->x + c + (ptrdiff_t)j * args->col_step;
        WINOGRAD_UNROLL
        for (size_t i = 0; i < FG_WINOGRAD_PATCH; i++, x += args->row_step)
            d[i * FG_WINOGRAD_PATCH + j] = winograd_load(x, part);
        input_axis(d + j, FG_WINOGRAD_PATCH);
    }
    float *out = args->out + c;
    WINOGRAD_UNROLL
    for (size_t i = 0; i < FG_WINOGRAD_PATCH; i++) {
        input_axis(d + i * FG_WINOGRAD_PATCH, 1);
        WINOGRAD_UNROLL
        for (size_t j = 0; j < FG_WINOGRAD_PATCH; j++, out += args->out_step)
            winograd_store(out, d[i * FG_WINOGRAD_PATCH + j], part);
    }
}

/* Six sums, step apart, to the first four of them: results. */
FG_INLINE void output_axis(vec *m, const size_t step)
{
    const vec sum_p = vec_add(m[step], m[2 * step]), sum_q = vec_add(m[3 * step], m[4 * step]);
    const vec difference_p = vec_sub(m[step], m[2 * step]), difference_q = vec_sub(m[3 * step], m[4 * step]);
    m[0] = vec_add(vec_add(m[0], sum_p), sum_q);
    m[step] = vec_fma(winograd_constant(FG_WINOGRAD_Q), difference_q,
                      vec_mul(winograd_constant(FG_WINOGRAD_P), difference_p));
    m[2 * step] = vec_fma(winograd_constant(FG_WINOGRAD_Q2), sum_q, vec_mul(winograd_constant(FG_WINOGRAD_P2), sum_p));
    m[3 * step] = vec_fma(winograd_constant(FG_WINOGRAD_Q3), difference_q,
                          vec_fma(winograd_constant(FG_WINOGRAD_P3), difference_p, m[5 * step]));
}

FG_INLINE void output_channels(const fg_winograd_output_f32_args *args, size_t c, size_t part)
{
    const vec bias = args->bias ? winograd_load(args->bias + c, part) : vec_zero();
    vec m[FG_WINOGRAD_POSITIONS];
    WINOGRAD_UNROLL
    for (size_t j = 0; j < FG_WINOGRAD_PATCH; j++) {
        const float *x = args->x + c + j * args->x_step;
        WINOGRAD_UNROLL
        for (size_t i = 0; i < FG_WINOGRAD_PATCH; i++)
            m[i * FG_WINOGRAD_PATCH + j] = winograd_load(x + i * FG_WINOGRAD_PATCH * args->x_step, part);
        output_axis(m + j, FG_WINOGRAD_PATCH);
    }
    WINOGRAD_UNROLL
    for (size_t i = 0; i < FG_WINOGRAD_TILE; i++) {
        vec *row = m + i * FG_WINOGRAD_PATCH;
        output_axis(row, 1);
        if (args->bias) {
            WINOGRAD_UNROLL
            for (size_t j = 0; j < FG_WINOGRAD_TILE; j++) row[j] = vec_add(row[j], bias);
        }
        finish(&args->finish, row, FG_WINOGRAD_TILE);
        WINOGRAD_UNROLL
        for (size_t j = 0; j < FG_WINOGRAD_TILE; j++) {
            float *out = args->out[i * FG_WINOGRAD_TILE + j];
            if (out) winograd_store(out + c, row[j], part);
        }
    }
}

FG_INLINE void winograd_input(const fg_winograd_input_f32_args *args)
{
    for (size_t c = 0; c < args->channels; c += VECTOR) {
        const size_t left = args->channels - c;
        if (!ONLY_PARTS && left >= VECTOR) {
            input_channels(args, c, 0);
        } else {
            input_channels(args, c, fg_at_most(left, VECTOR));
        }
    }
}

FG_INLINE void winograd_output(const fg_winograd_output_f32_args *args)
{
    for (size_t c = 0; c < args->channels; c += VECTOR) {
        const size_t left = args->channels - c;
        if (!ONLY_PARTS && left >= VECTOR) {
            output_channels(args, c, 0);
        } else {
            output_channels(args, c, fg_at_most(left, VECTOR));
        }
    }
}
