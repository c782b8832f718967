/* winograd.c: the scalar twins of Winograd's transforms. */
#include "../fused.h"
#include "../winograd.h"
#include "ref.h"

static const float P = FG_WINOGRAD_P, P2 = FG_WINOGRAD_P2, P3 = FG_WINOGRAD_P3;
static const float Q = FG_WINOGRAD_Q, Q2 = FG_WINOGRAD_Q2, Q3 = FG_WINOGRAD_Q3;
static const float P2Q2 = FG_WINOGRAD_P2Q2, P2_Q2 = FG_WINOGRAD_P2_Q2;

/* Row i of six from three numbers, step apart. */
static float weights_row(size_t i, const float *x, size_t step)
{
    const float power = i < 3 ? P : Q, sign = i % 2 ? power : -power;
    if (i == 0 || i == FG_WINOGRAD_PATCH - 1) return x[i ? 2 * step : 0];
    return fg_fused(sign, x[step], fg_fused(power * power, x[2 * step], x[0]));
}

void fg_winograd_weights_f32_ref(const fg_winograd_weights_f32_args *args)
{
    for (size_t k = 0; k < args->count; k++) {
        for (size_t p = 0; p < FG_WINOGRAD_PAIR; p++) {
            const uint32_t row = fg_winograd_row(args->pair, (uint32_t)(p / FG_WINOGRAD_PATCH));
            const size_t col = p % FG_WINOGRAD_PATCH;
            float x[3];
            for (size_t j = 0; j < 3; j++)
                x[j] = weights_row(row, args->weights + j * args->tap_step + k, 3 * args->tap_step);
            args->out[p * args->out_step + k] = weights_row(col, x, 1);
        }
    }
}

static void input_axis(float *d, size_t step)
{
    const float d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step], d5 = d[5 * step];
    const float e = fg_fused(-Q2, d2, d4), o = fg_fused(-Q2, d1, d3);
    const float f = fg_fused(-P2, d2, d4), n = fg_fused(-P2, d1, d3);
    d[0] = fg_fused(P2Q2, d0, fg_fused(-P2_Q2, d2, d4));
    d[step] = fg_fused(P, o, e);
    d[2 * step] = fg_fused(-P, o, e);
    d[3 * step] = fg_fused(Q, n, f);
    d[4 * step] = fg_fused(-Q, n, f);
    d[5 * step] = fg_fused(P2Q2, d1, fg_fused(-P2_Q2, d3, d5));
}

void fg_winograd_input_f32_ref(const fg_winograd_input_f32_args *args)
{
    for (size_t c = 0; c < args->channels; c++) {
        float d[FG_WINOGRAD_POSITIONS];
        for (size_t k = 0; k < FG_WINOGRAD_POSITIONS; k++) {
            const ptrdiff_t i = (ptrdiff_t)(k / FG_WINOGRAD_PATCH), j = (ptrdiff_t)(k % FG_WINOGRAD_PATCH);
            d[k] = args->x[i * args->row_step + j * args->col_step + (ptrdiff_t)c];
        }
        for (size_t j = 0; j < FG_WINOGRAD_PATCH; j++) input_axis(d + j, FG_WINOGRAD_PATCH);
        for (size_t i = 0; i < FG_WINOGRAD_PATCH; i++) input_axis(d + i * FG_WINOGRAD_PATCH, 1);
        for (size_t k = 0; k < FG_WINOGRAD_POSITIONS; k++) args->out[k * args->out_step + c] = d[k];
    }
}

static void output_axis(float *m, size_t step)
{
    const float s = m[step] + m[2 * step], t = m[3 * step] + m[4 * step];
    const float u = m[step] - m[2 * step], v = m[3 * step] - m[4 * step];
    m[0] = (m[0] + s) + t;
    m[step] = fg_fused(Q, v, P * u);
    m[2 * step] = fg_fused(Q2, t, P2 * s);
    m[3 * step] = fg_fused(Q3, v, fg_fused(P3, u, m[5 * step]));
}

void fg_winograd_output_f32_ref(const fg_winograd_output_f32_args *args)
{
    for (size_t c = 0; c < args->channels; c++) {
        float m[FG_WINOGRAD_POSITIONS];
        for (size_t k = 0; k < FG_WINOGRAD_POSITIONS; k++) m[k] = args->x[k * args->x_step + c];
        for (size_t j = 0; j < FG_WINOGRAD_PATCH; j++) output_axis(m + j, FG_WINOGRAD_PATCH);
        for (size_t i = 0; i < FG_WINOGRAD_TILE; i++) {
            float *row = m + i * FG_WINOGRAD_PATCH;
            output_axis(row, 1);
            for (size_t j = 0; j < FG_WINOGRAD_TILE; j++) {
                float *out = args->out[i * FG_WINOGRAD_TILE + j];
                if (out) out[c] = fg_finished(&args->finish, args->bias ? row[j] + args->bias[c] : row[j]);
            }
        }
    }
}
