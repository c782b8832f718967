/* elementwise.c: unary, binary, where. Consecutive pixels of operands that do not broadcast are one kernel call. */
#include "op.h"

#include <string.h>

/* An operand at one output pixel; step 0 serves all channels with one number. */
typedef struct operand {
    const float *at;
    size_t step;
} operand;

static operand operand_at(const fg_op_context *context, const fg_value_state *value, uint32_t pixel)
{
    const fg_value_state *out = context->output;
    size_t from = pixel;
    if (value->rows != out->rows || value->cols != out->cols) {
        size_t row = value->rows == 1 ? 0 : pixel / out->cols, col = value->cols == 1 ? 0 : pixel % out->cols;
        from = row * value->cols + col;
    }
    operand o = {value->data + from * value->channels, value->channels == out->channels};
    return o;
}

static int is_plain(const fg_op_context *context, const fg_value_state *value)
{
    const fg_value_state *out = context->output;
    return value->rows == out->rows && value->cols == out->cols && value->channels == out->channels;
}

/* Pixels one kernel call may take: a run where neither operand broadcasts and results are packed, else one. */
static uint32_t span(const fg_op_context *context, const uint32_t *pixels, uint32_t i, uint32_t count,
                     size_t out_stride)
{
    if (out_stride != context->output->channels) return 1;
    for (uint32_t k = 0; k < context->node->input_count; k++) {
        if (!is_plain(context, fg_op_input(context, k))) return 1;
    }
    return fg_op_run_length(pixels, i, count);
}

static void unary_compute(const fg_op_context *context, const uint32_t *pixels, uint32_t count, float *out,
                          size_t out_stride, void *scratch)
{
    const fg_value_state *x = fg_op_input(context, 0);
    size_t channels = x->channels;
    (void)scratch;
    for (uint32_t i = 0; i < count;) {
        uint32_t n = span(context, pixels, i, count, out_stride);
        memcpy(out + i * out_stride, x->data + pixels[i] * channels, n * channels * sizeof *out);
        i += n;
    }
    fg_op_activate(context, out, count, out_stride);
}

const fg_op_entry fg_op_unary = {NULL, NULL, fg_op_footprint_pointwise, NULL, unary_compute, NULL};

static void binary_compute(const fg_op_context *context, const uint32_t *pixels, uint32_t count, float *out,
                           size_t out_stride, void *scratch)
{
    uint32_t kind = (uint32_t)context->node->attributes.binary.kind;
    (void)scratch;
    for (uint32_t i = 0; i < count;) {
        uint32_t n = span(context, pixels, i, count, out_stride);
        operand a = operand_at(context, fg_op_input(context, 0), pixels[i]);
        operand b = operand_at(context, fg_op_input(context, 1), pixels[i]);
        context->kernels->binary_f32(kind, a.at, a.step, b.at, b.step, out + i * out_stride,
                                     (size_t)n * context->output->channels);
        i += n;
    }
    fg_op_activate(context, out, count, out_stride);
}

const fg_op_entry fg_op_binary = {NULL, NULL, fg_op_footprint_pointwise, NULL, binary_compute, NULL};

static void where_compute(const fg_op_context *context, const uint32_t *pixels, uint32_t count, float *out,
                          size_t out_stride, void *scratch)
{
    (void)scratch;
    for (uint32_t i = 0; i < count;) {
        uint32_t n = span(context, pixels, i, count, out_stride);
        operand c = operand_at(context, fg_op_input(context, 0), pixels[i]);
        operand a = operand_at(context, fg_op_input(context, 1), pixels[i]);
        operand b = operand_at(context, fg_op_input(context, 2), pixels[i]);
        fg_where_f32_args args = {.condition = c.at,
                                  .a = a.at,
                                  .b = b.at,
                                  .condition_step = c.step,
                                  .a_step = a.step,
                                  .b_step = b.step,
                                  .out = out + i * out_stride,
                                  .count = (size_t)n * context->output->channels};
        context->kernels->where_f32(&args);
        i += n;
    }
}

const fg_op_entry fg_op_where = {NULL, NULL, fg_op_footprint_pointwise, NULL, where_compute, NULL};
