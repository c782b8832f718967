/* elementwise.c: unary, binary, where. Consecutive pixels are one kernel call, unless an operand has rows or columns of
 * its own to broadcast. */
#include "op.h"

#include <string.h>

enum {
    PACKED_NUMBERS = 2048
}; /* of an operand whose pixels are put side by side first, or one repeated: they stay in the first cache */

/* An operand at one output pixel; step 0 serves all channels with one number. */
typedef struct operand {
    const float *at;
    size_t step;
} operand;

static int is_plain(const fg_op_context *context, const fg_value_state *value)
{
    const fg_value_state *out = context->output;
    return value->rows == out->rows && value->cols == out->cols && value->channels == out->channels;
}

/* One number for all. */
static int is_number(const fg_value_state *value)
{
    return value->rows == 1 && value->cols == 1 && value->channels == 1;
}

/* One pixel for all, as squeeze-and-excite has it. */
static int is_pixel(const fg_op_context *context, const fg_value_state *value)
{
    return value->rows == 1 && value->cols == 1 && value->channels == context->output->channels && !is_number(value);
}

/* Pixels of an operand that scratch has room for. */
static uint32_t fit(const fg_op_context *context) { return PACKED_NUMBERS / context->output->channels; }

static void copy_run(const fg_op_context *context, const fg_value_state *from, uint32_t pixel, uint32_t count,
                     float *to, size_t to_stride)
{
    fg_permute_f32_args args = {.x = fg_value_pixel(from, pixel),
                                .x_step = (ptrdiff_t)from->stride,
                                .channels = from->channels,
                                .pixels = count,
                                .out = to,
                                .out_step = to_stride};
    context->kernels->permute_f32(&args);
}

/* Repeats operands of one pixel as often as one of count output pixels' calls may ask for. */
static void repeat_pixels(const fg_op_context *context, uint32_t count, size_t out_stride, float *scratch)
{
    const size_t channels = context->output->channels;
    const uint32_t copies = out_stride != channels ? 1 : count < fit(context) ? count : fit(context);
    for (uint32_t k = 0; k < context->node->input_count && copies > 1; k++) {
        const fg_value_state *value = fg_op_input(context, k);
        if (!is_pixel(context, value)) continue;
        for (uint32_t i = 0; i < copies; i++)
            memcpy(scratch + k * PACKED_NUMBERS + i * channels, value->data, channels * sizeof *scratch);
    }
}

/* Input k at count output pixels from pixel on, which span has found to be one call's. */
static operand operand_at(const fg_op_context *context, uint32_t k, uint32_t pixel, uint32_t count, float *scratch)
{
    const fg_value_state *value = fg_op_input(context, k), *out = context->output;
    float *packed = scratch + k * PACKED_NUMBERS;
    operand o = {.at = packed, .step = value->channels == out->channels};
    size_t from = pixel;
    if (count > 1 && is_number(value)) return (operand){.at = value->data, .step = 0};
    if (count > 1 && !is_plain(context, value)) return o; /* repeated there */
    if (value->rows != out->rows || value->cols != out->cols) {
        size_t row = value->rows == 1 ? 0 : pixel / out->cols, col = value->cols == 1 ? 0 : pixel % out->cols;
        from = row * value->cols + col;
    }
    if (count == 1 || fg_value_is_packed(value)) {
        o.at = fg_value_pixel(value, from);
    } else {
        copy_run(context, value, pixel, count, packed, value->channels);
    }
    return o;
}

/* Pixels one kernel call may take: a run where results are packed and no operand broadcasts rows or columns, else
 * one. */
static uint32_t span(const fg_op_context *context, const uint32_t *pixels, uint32_t i, uint32_t count,
                     size_t out_stride)
{
    uint32_t in_place = 1, most = fit(context);
    if (out_stride != context->output->channels) return 1;
    for (uint32_t k = 0; k < context->node->input_count; k++) {
        const fg_value_state *value = fg_op_input(context, k);
        const int plain = is_plain(context, value);
        if (!plain && !is_pixel(context, value) && !is_number(value)) return 1;
        in_place &= (uint32_t)(plain ? fg_value_is_packed(value) : is_number(value));
    }
    if (!in_place && most < count - i) count = i + (most ? most : 1);
    return fg_op_run_length(pixels, i, count);
}

static void elementwise_sizes(const fg_graph *graph, const fg_node_record *node, fg_op_sizes *sizes)
{
    (void)graph;
    sizes->thread = (uint64_t)node->input_count * PACKED_NUMBERS * sizeof(float);
}

static void unary_compute(const fg_op_context *context, const uint32_t *pixels, uint32_t count, float *out,
                          size_t out_stride, void *scratch)
{
    const fg_value_state *x = fg_op_input(context, 0);
    size_t channels = x->channels;
    (void)scratch;
    for (uint32_t i = 0, n; i < count; i += n) {
        n = fg_op_run_length(pixels, i, count);
        if (out + i * out_stride == fg_value_pixel(x, pixels[i])) { /* written over its input */
        } else if (out_stride == channels && fg_value_is_packed(x)) {
            memcpy(out + i * channels, fg_value_pixel(x, pixels[i]), n * channels * sizeof *out);
        } else {
            copy_run(context, x, pixels[i], n, out + i * out_stride, out_stride);
        }
    }
    fg_op_activate(context, out, count, out_stride);
}

static fg_follows unary_follows(const fg_op_context *context)
{
    (void)context;
    return FG_FOLLOWS_INPUTS;
}

const fg_op_entry fg_op_unary = {.footprint = fg_op_footprint_pointwise,
                                 .compute = unary_compute,
                                 .follows = unary_follows,
                                 .apart = FG_APART_INPUTS,
                                 .over_input = 1,
                                 .rows_read = fg_op_rows_pointwise};

static void binary_compute(const fg_op_context *context, const uint32_t *pixels, uint32_t count, float *out,
                           size_t out_stride, void *scratch)
{
    uint32_t kind = (uint32_t)context->node->attributes.binary.kind;
    repeat_pixels(context, count, out_stride, scratch);
    for (uint32_t i = 0; i < count;) {
        uint32_t n = span(context, pixels, i, count, out_stride);
        operand a = operand_at(context, 0, pixels[i], n, scratch);
        operand b = operand_at(context, 1, pixels[i], n, scratch);
        context->kernels->binary_f32(kind, a.at, a.step, b.at, b.step, out + i * out_stride,
                                     (size_t)n * context->output->channels);
        i += n;
    }
    fg_op_activate(context, out, count, out_stride);
}

/* Arithmetic; comparisons and the like say the same of most numbers. */
static fg_follows binary_follows(const fg_op_context *context)
{
    return context->node->attributes.binary.kind <= FG_BINARY_DIV ? FG_FOLLOWS_INPUTS : FG_FOLLOWS_NOT;
}

const fg_op_entry fg_op_binary = {.sizes = elementwise_sizes,
                                  .footprint = fg_op_footprint_pointwise,
                                  .compute = binary_compute,
                                  .follows = binary_follows,
                                  .apart = FG_APART_INPUTS,
                                  .over_input = 1,
                                  .rows_read = fg_op_rows_pointwise};

static void where_compute(const fg_op_context *context, const uint32_t *pixels, uint32_t count, float *out,
                          size_t out_stride, void *scratch)
{
    repeat_pixels(context, count, out_stride, scratch);
    for (uint32_t i = 0; i < count;) {
        uint32_t n = span(context, pixels, i, count, out_stride);
        operand c = operand_at(context, 0, pixels[i], n, scratch);
        operand a = operand_at(context, 1, pixels[i], n, scratch);
        operand b = operand_at(context, 2, pixels[i], n, scratch);
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

const fg_op_entry fg_op_where = {.sizes = elementwise_sizes,
                                 .footprint = fg_op_footprint_pointwise,
                                 .compute = where_compute,
                                 .apart = FG_APART_INPUTS,
                                 .over_input = 1,
                                 .rows_read = fg_op_rows_pointwise};
