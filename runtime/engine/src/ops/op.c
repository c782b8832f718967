/* op.c: the operators by opcode, and what several of them share. */
#include "op.h"

static const fg_op_entry *const entries[FG_OP_COUNT] = {
    [FG_OP_CONV2D] = &fg_op_conv2d,
    [FG_OP_CONV_TRANSPOSE2D] = &fg_op_conv_transpose2d,
    [FG_OP_MATMUL] = &fg_op_matmul,
    [FG_OP_POOL] = &fg_op_pool,
    [FG_OP_REDUCE_PIXELS] = &fg_op_reduce_pixels,
    [FG_OP_REDUCE_CHANNELS] = &fg_op_reduce_channels,
    [FG_OP_SOFTMAX] = &fg_op_softmax,
    [FG_OP_UNARY] = &fg_op_unary,
    [FG_OP_BINARY] = &fg_op_binary,
    [FG_OP_WHERE] = &fg_op_where,
    [FG_OP_GATHER] = &fg_op_gather,
    [FG_OP_CONCAT] = &fg_op_concat,
    [FG_OP_RESIZE] = &fg_op_resize,
    [FG_OP_VIEW] = &fg_op_view,
    [FG_OP_TRANSPOSE] = &fg_op_transpose,
};

const fg_op_entry *fg_op_entry_of(const fg_node_record *node)
{
    return node->flags & FG_NODE_WINOGRAD ? &fg_op_winograd : entries[node->op];
}

void fg_op_positions(const uint32_t *pixels, uint32_t count, uint32_t cols, uint32_t *row, uint32_t *col)
{
    uint32_t at_row = 0, at_col = 0, at = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t ahead = pixels[i] - at; /* pixels mostly follow each other: most steps need no division */
        if (i > 0 && ahead < cols - at_col) {
            at_col += ahead;
        } else {
            at_row = pixels[i] / cols;
            at_col = pixels[i] % cols;
        }
        at = pixels[i];
        row[i] = at_row;
        col[i] = at_col;
    }
}

/* Pixels with gaps between them are packed for the activation, unless their channels fill vectors: numbers left over go
 * one by one, and would in every pixel. */
void fg_op_activate(const fg_op_context *context, float *out, uint32_t count, size_t out_stride)
{
    enum { PACKED = 256 }; /* numbers */
    const fg_node_record *node = context->node;
    const fg_kernels *kernels = context->kernels;
    const uint32_t channels = context->output->channels, fit = channels % FG_PANEL ? PACKED / channels : 0;
    if (node->activation == FG_ACT_IDENTITY) return;
    if (channels == out_stride) {
        kernels->activation_f32(node->activation, node->activation_parameters, out, (size_t)channels * count);
        return;
    }
    for (uint32_t i = 0, n; i < count; i += n, out += n * out_stride) {
        float packed[PACKED];
        fg_permute_f32_args copy = {.x = out, .x_step = (ptrdiff_t)out_stride, .channels = channels, .out = packed};
        n = fit < count - i ? fit : count - i;
        if (n < 2) {
            n = 1;
            kernels->activation_f32(node->activation, node->activation_parameters, out, channels);
            continue;
        }
        copy.pixels = n, copy.out_step = channels;
        kernels->permute_f32(&copy);
        kernels->activation_f32(node->activation, node->activation_parameters, packed, (size_t)channels * n);
        copy.x = packed, copy.x_step = (ptrdiff_t)channels, copy.out = out, copy.out_step = out_stride;
        kernels->permute_f32(&copy);
    }
}

void fg_op_footprint_broadcast(const fg_op_context *context, const fg_value_state *value, uint64_t *candidates)
{
    const fg_value_state *output = context->output;
    if (!value->mask || !value->changed) return;
    if (value->rows == output->rows && value->cols == output->cols) {
        fg_mask_or(candidates, value->mask, (size_t)output->rows * output->words);
        return;
    }
    for (uint32_t row = 0; row < output->rows; row++) {
        const uint64_t *from = fg_value_mask_row(value, value->rows == 1 ? 0 : row);
        uint64_t *to = candidates + (size_t)row * output->words;
        if (value->cols == output->cols) {
            fg_mask_or(to, from, output->words);
        } else if (from[0] & 1u) {
            fg_mask_fill_row(to, output->cols);
        }
    }
}

void fg_op_footprint_pointwise(const fg_op_context *context, uint64_t *candidates, uint64_t *scratch)
{
    (void)scratch;
    for (uint32_t i = 0; i < context->node->input_count; i++) {
        if (fg_op_has_input(context, i)) fg_op_footprint_broadcast(context, fg_op_input(context, i), candidates);
    }
}

int fg_op_rows_pointwise(const fg_graph *graph, const fg_node_record *node, uint32_t k, uint32_t row, fg_rows *rows)
{
    uint32_t in = graph->values[graph->index[node->first_input + k]].rows;
    *rows = in == graph->values[node->output].rows ? (fg_rows){row, row + 1} : (fg_rows){0, in};
    return 1;
}

int fg_op_rows_window(const fg_window *window, const fg_graph *graph, const fg_node_record *node, uint32_t row,
                      fg_rows *rows)
{
    int64_t in = graph->values[graph->index[node->first_input]].rows;
    int64_t first = (int64_t)row * window->stride_h - window->pad_top;
    int64_t end = first + (int64_t)(window->kernel_h - 1) * window->dilation_h + 1;
    rows->first = (uint32_t)(first < 0 ? 0 : first < in ? first : in);
    rows->end = (uint32_t)(end < 0 ? 0 : end < in ? end : in);
    return 1;
}
