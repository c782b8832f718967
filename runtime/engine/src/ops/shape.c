/* shape.c: view (other extents, same numbers) and transpose (other order). */
#include "op.h"

/* Pixels first .. last in the order they lie in memory. */
static void set_pixels(const fg_value_state *value, uint64_t *mask, uint64_t first, uint64_t last)
{
    uint64_t row = first / value->cols, end = last / value->cols;
    uint32_t col = (uint32_t)(first - row * value->cols), last_col = (uint32_t)(last - end * value->cols);
    for (; row <= end; row++, col = 0)
        fg_mask_set_range(mask + (size_t)row * value->words, col, row == end ? last_col : value->cols - 1);
}

static void view_footprint(const fg_op_context *context, uint64_t *candidates, uint64_t *scratch)
{
    const fg_value_state *x = fg_op_input(context, 0), *out = context->output;
    (void)scratch;
    if (!x->mask || !x->changed) return;
    if (x->rows == out->rows && x->cols == out->cols) {
        fg_mask_or(candidates, x->mask, (size_t)out->rows * out->words);
        return;
    }
    for (uint32_t row = 0; row < x->rows; row++) {
        for (uint32_t w = 0; w < x->words; w++) {
            uint64_t word = fg_value_mask_row(x, row)[w];
            while (word) { /* by runs of set bits */
                uint32_t bit = fg_mask_lowest(word), count = fg_mask_run(word, bit);
                uint64_t pixel = (uint64_t)row * x->cols + w * 64u + bit;
                set_pixels(out, candidates, pixel * x->channels / out->channels,
                           ((pixel + count) * x->channels - 1) / out->channels);
                word = count < 64u - bit ? word >> (bit + count) << (bit + count) : 0;
            }
        }
    }
}

/* The stream lets a view's data be its input's; there is nothing to compute. */
const fg_op_entry fg_op_view = {.footprint = view_footprint};

static void transpose_footprint(const fg_op_context *context, uint64_t *candidates, uint64_t *scratch)
{
    const fg_value_state *x = fg_op_input(context, 0);
    (void)scratch;
    if (x->mask && x->changed) fg_mask_fill(candidates, context->output->rows, context->output->cols);
}

static void transpose_compute(const fg_op_context *context, const uint32_t *pixels, uint32_t count, float *out,
                              size_t out_stride, void *scratch)
{
    const fg_transpose_attributes *a = &context->node->attributes.transpose;
    const float *x = fg_op_input(context, 0)->data;
    size_t channels = context->output->channels, steps[8], dims[8], at[8];
    uint32_t rank = (uint32_t)a->rank;
    (void)scratch;
    for (uint32_t k = 0; k < rank; k++) {
        size_t step = 1;
        for (uint32_t d = (uint32_t)a->perm[k] + 1; d < rank; d++) step *= (size_t)a->dims[d];
        steps[k] = step;
        dims[k] = (size_t)a->dims[a->perm[k]];
    }
    for (uint32_t i = 0; i < count; i++) {
        size_t element = (size_t)pixels[i] * channels, from = 0;
        for (uint32_t k = rank; k-- > 0;) {
            at[k] = element % dims[k];
            element /= dims[k];
            from += at[k] * steps[k];
        }
        for (size_t c = 0; c < channels; c++) {
            out[i * out_stride + c] = x[from];
            for (uint32_t k = rank; k-- > 0;) { /* an odometer: the innermost axis turns first */
                from += steps[k];
                if (++at[k] < dims[k]) break;
                from -= steps[k] * dims[k];
                at[k] = 0;
            }
        }
    }
}

const fg_op_entry fg_op_transpose = {.footprint = transpose_footprint, .compute = transpose_compute};
