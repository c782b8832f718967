/* reduce.c: reductions over pixels (global pooling) and over channels, softmax.
 *
 * Reductions over cols keep one partial result per input row; only rows that changed are reduced again and the rows are
 * then combined in fixed order, so the cost follows change and the result is that of a dense frame bit for bit. */
#include "op.h"

#include <string.h>

static void reduce_sizes(const fg_graph *graph, const fg_node_record *node, fg_op_sizes *sizes)
{
    const fg_value_record *x = &graph->values[graph->index[node->first_input]];
    if (node->attributes.reduce_pixels.over_cols) sizes->aux = (uint64_t)x->rows * x->channels * sizeof(float);
}

static void reduce_footprint(const fg_op_context *context, uint64_t *candidates, uint64_t *scratch)
{
    const fg_reduce_pixels_attributes *a = &context->node->attributes.reduce_pixels;
    const fg_value_state *x = fg_op_input(context, 0), *out = context->output;
    (void)scratch;
    if (!x->mask || !x->changed) return;
    for (uint32_t row = 0; row < x->rows; row++) {
        uint64_t *to = candidates + (size_t)(a->over_rows ? 0 : row) * out->words;
        const uint64_t *from = fg_value_mask_row(x, row);
        if (!a->over_cols) {
            fg_mask_or(to, from, x->words);
        } else if (fg_mask_any(from, x->words)) {
            fg_mask_set(to, 0);
        }
    }
}

static void reduce_before(const fg_op_context *context)
{
    const fg_reduce_pixels_attributes *a = &context->node->attributes.reduce_pixels;
    const fg_value_state *x = fg_op_input(context, 0);
    size_t channels = x->channels;
    if (!a->over_cols) return;
    for (uint32_t row = 0; row < x->rows; row++) {
        size_t first = (size_t)row * x->cols;
        float *partial = (float *)context->aux + row * channels;
        if (!context->full && !(x->mask && fg_mask_any(fg_value_mask_row(x, row), x->words))) continue;
        memcpy(partial, fg_value_pixel(x, first), channels * sizeof *partial);
        context->kernels->accumulate_f32((uint32_t)a->kind, partial, fg_value_pixel(x, first + 1), x->stride,
                                         x->cols - 1, channels);
    }
}

static void reduce_compute(const fg_op_context *context, const uint32_t *pixels, uint32_t count, float *out,
                           size_t out_stride, void *scratch)
{
    const fg_reduce_pixels_attributes *a = &context->node->attributes.reduce_pixels;
    const fg_value_state *x = fg_op_input(context, 0);
    size_t channels = x->channels, row_step = a->over_cols ? channels : x->cols * x->stride;
    float divisor = (float)(a->over_rows ? x->rows : 1u) * (float)(a->over_cols ? x->cols : 1u);
    (void)scratch;
    for (uint32_t i = 0; i < count; i++, out += out_stride) {
        uint32_t row = pixels[i] / context->output->cols, col = pixels[i] % context->output->cols;
        const float *from = a->over_cols ? (const float *)context->aux : fg_value_pixel(x, col);
        if (!a->over_rows) from += row * row_step;
        memcpy(out, from, channels * sizeof *out);
        if (a->over_rows)
            context->kernels->accumulate_f32((uint32_t)a->kind, out, from + row_step, row_step, x->rows - 1, channels);
        if (a->kind == FG_REDUCE_MEAN) context->kernels->binary_f32(FG_BINARY_DIV, out, 1, &divisor, 0, out, channels);
    }
}

const fg_op_entry fg_op_reduce_pixels = {.sizes = reduce_sizes,
                                         .footprint = reduce_footprint,
                                         .before = reduce_before,
                                         .compute = reduce_compute,
                                         .apart = FG_APART_INPUTS | FG_APART_OUTPUT};

static void channels_compute(const fg_op_context *context, const uint32_t *pixels, uint32_t count, float *out,
                             size_t out_stride, void *scratch)
{
    const fg_reduce_channels_attributes *a = &context->node->attributes.reduce_channels;
    const fg_value_state *x = fg_op_input(context, 0);
    (void)scratch;
    for (uint32_t i = 0; i < count; i++) {
        fg_reduce_channels_f32_args args = {.kind = (uint32_t)a->kind,
                                            .x = fg_value_pixel(x, pixels[i]),
                                            .out = out + i * out_stride,
                                            .outer = (size_t)a->outer,
                                            .count = (size_t)a->count,
                                            .inner = (size_t)a->inner,
                                            .select_last = (uint32_t)a->select_last};
        context->kernels->reduce_channels_f32(&args);
    }
}

const fg_op_entry fg_op_reduce_channels = {.footprint = fg_op_footprint_pointwise,
                                           .compute = channels_compute,
                                           .apart = FG_APART_INPUTS | FG_APART_OUTPUT,
                                           .rows_read = fg_op_rows_pointwise};

static void softmax_compute(const fg_op_context *context, const uint32_t *pixels, uint32_t count, float *out,
                            size_t out_stride, void *scratch)
{
    const fg_softmax_attributes *a = &context->node->attributes.softmax;
    const fg_value_state *x = fg_op_input(context, 0);
    int packed = out_stride == x->channels && fg_value_is_packed(x);
    (void)scratch;
    for (uint32_t i = 0, n; i < count; i += n) { /* pixels that lie one behind the other are one call */
        for (n = 1; packed && i + n < count && pixels[i + n] == pixels[i] + n;) n++;
        context->kernels->softmax_f32(fg_value_pixel(x, pixels[i]), out + i * out_stride, (size_t)a->outer * n,
                                      (size_t)a->count, (size_t)a->inner, (uint32_t)a->log);
    }
}

const fg_op_entry fg_op_softmax = {
    .footprint = fg_op_footprint_pointwise, .compute = softmax_compute, .rows_read = fg_op_rows_pointwise};
