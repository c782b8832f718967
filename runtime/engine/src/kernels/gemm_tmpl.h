/* gemm_tmpl.h: the register tile of gemm_f32 for one vector type. The including file defines
 *     vec, VECTOR (its floats), MAX_ROWS, MAX_COLUMNS (vectors),
 *     vec_zero(), vec_load(p), vec_store(p, v), vec_spread(p), vec_fma(a, b, sum), vec_add(a, b), VEC_FENCE. */
#include "loops.h"

#define UNROLL _Pragma("GCC unroll 16")

/* rows x columns vectors of results, from float offset of panel on. rows and columns are constants at every call, so
 * that all sums stay in registers. The sum over taps * depth is cut into blocks of FG_GEMM_BLOCK (kernels.h): a block's
 * sums are added to what the blocks before it have left in out; the bias comes last. */
FG_INLINE void tile(const fg_gemm_f32_args *args, size_t panel, size_t offset, const size_t rows, const size_t columns)
{
    const size_t per_panel = FG_PANEL / VECTOR, total = args->taps * args->depth, panel_floats = total * FG_PANEL;
    const float *weights = args->panels + panel * panel_floats + offset;
    const size_t column = panel * FG_PANEL + offset;
    const float *bias = args->bias ? args->bias + column : NULL;
    size_t done = 0, tap = 0, k = 0;
    do {
        vec sum[MAX_ROWS][MAX_COLUMNS];
        UNROLL
        for (size_t v = 0; v < columns; v++) {
            UNROLL
            for (size_t r = 0; r < rows; r++) sum[r][v] = vec_zero();
        }
        const size_t first = done, end = fg_at_most(done + FG_GEMM_BLOCK, total);
        while (done < end) {
            const size_t run = fg_at_most(end - done, args->depth - k);
            const float *x[MAX_ROWS];
            UNROLL
            for (size_t r = 0; r < rows; r++) x[r] = args->a[tap * args->rows_stride + r] + k;
            for (size_t i = 0; i < run; i++, weights += FG_PANEL) {
                vec w[MAX_COLUMNS];
                UNROLL
                for (size_t v = 0; v < columns; v++)
                    w[v] = vec_load(weights + v / per_panel * panel_floats + v % per_panel * VECTOR);
                UNROLL
                for (size_t r = 0; r < rows; r++) {
                    const vec value = vec_spread(x[r] + i);
                    UNROLL
                    for (size_t v = 0; v < columns; v++) sum[r][v] = vec_fma(value, w[v], sum[r][v]);
                    VEC_FENCE;
                }
            }
            done += run;
            k += run;
            if (k == args->depth) k = 0, tap++;
        }
        UNROLL
        for (size_t r = 0; r < rows; r++) {
            UNROLL
            for (size_t v = 0; v < columns; v++) {
                float *at = args->out[r] + column + v * VECTOR;
                vec result = first == 0 ? sum[r][v] : vec_add(vec_load(at), sum[r][v]);
                if (bias && done == total) result = vec_add(result, vec_load(bias + v * VECTOR));
                vec_store(at, result);
            }
        }
    } while (done < total);
}

/* All panels, several at once where rows are few: an FMA's latency wants many independent sums. */
FG_INLINE void all_panels(const fg_gemm_f32_args *args, const size_t rows, const size_t panels)
{
    const size_t per_panel = FG_PANEL / VECTOR;
    size_t p = 0;
    for (; p + panels <= args->panel_count; p += panels) tile(args, p, 0, rows, panels * per_panel);
    for (; p < args->panel_count; p++) tile(args, p, 0, rows, per_panel);
}
