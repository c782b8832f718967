/* pool.c: windowed max and average pooling. Neighbouring pixels whose windows lie inside the input are one kernel call;
 * at the edges taps are left out. */
#include "op.h"

#include <string.h>

static fg_window window_of(const fg_node_record *node)
{
    const fg_pool_attributes *a = &node->attributes.pool;
    fg_window window = {(uint32_t)a->kernel_h,   (uint32_t)a->kernel_w,   (uint32_t)a->stride_h, (uint32_t)a->stride_w,
                        (uint32_t)a->dilation_h, (uint32_t)a->dilation_w, (uint32_t)a->pad_top,  (uint32_t)a->pad_left};
    return window;
}

/* Scratch: the taps that can lie inside the input at once. */
static uint64_t taps_bytes(const fg_pool_attributes *a, uint32_t rows, uint32_t cols)
{
    uint64_t down = (uint32_t)a->kernel_h < rows ? (uint32_t)a->kernel_h : rows;
    uint64_t across = (uint32_t)a->kernel_w < cols ? (uint32_t)a->kernel_w : cols;
    return down * across * sizeof(ptrdiff_t);
}

static void pool_sizes(const fg_graph *graph, const fg_node_record *node, fg_op_sizes *sizes)
{
    fg_window window = window_of(node);
    const fg_value_record *x = &graph->values[graph->index[node->first_input]];
    sizes->thread = taps_bytes(&node->attributes.pool, x->rows, x->cols);
    sizes->footprint = fg_mask_window_scratch(&window, x->cols, graph->values[node->output].cols) * sizeof(uint64_t);
}

static void pool_footprint(const fg_op_context *context, uint64_t *candidates, uint64_t *scratch)
{
    const fg_value_state *x = fg_op_input(context, 0), *out = context->output;
    fg_window window = window_of(context->node);
    if (!x->mask || !x->changed) return;
    fg_mask_window(&window, x->mask, x->rows, x->cols, candidates, out->rows, out->cols, scratch);
}

/* Window elements of one axis: first .. last - 1 are inside the input, padded counts those in its padding too. */
typedef struct axis_window {
    int64_t start;
    int32_t first, last, padded;
} axis_window;

static axis_window axis_of(uint32_t out, int32_t kernel, int32_t stride, int32_t dilation, int32_t pad_before,
                           int32_t pad_after, uint32_t extent)
{
    axis_window w = {(int64_t)out * stride - pad_before, kernel, 0, 0};
    for (int32_t k = 0; k < kernel; k++) {
        int64_t at = w.start + (int64_t)k * dilation;
        w.padded += at < (int64_t)extent + pad_after;
        if (at < 0 || at >= (int64_t)extent) continue;
        if (k < w.first) w.first = k;
        w.last = k + 1;
    }
    return w;
}

static axis_window rows_of(const fg_op_context *context, uint32_t row)
{
    const fg_pool_attributes *a = &context->node->attributes.pool;
    return axis_of(row, a->kernel_h, a->stride_h, a->dilation_h, a->pad_top, a->pad_bottom,
                   fg_op_input(context, 0)->rows);
}

static axis_window cols_of(const fg_op_context *context, uint32_t col)
{
    const fg_pool_attributes *a = &context->node->attributes.pool;
    return axis_of(col, a->kernel_w, a->stride_w, a->dilation_w, a->pad_left, a->pad_right,
                   fg_op_input(context, 0)->cols);
}

/* How many pixels of a row from col on have windows that lie inside the input's columns, at most count; else 1. */
static uint32_t same_taps(const fg_op_context *context, axis_window h, uint32_t count)
{
    const fg_pool_attributes *a = &context->node->attributes.pool;
    int64_t room = fg_op_input(context, 0)->cols - 1 - (h.start + (int64_t)(a->kernel_w - 1) * a->dilation_w);
    if (h.start < 0 || room < 0) return 1;
    return count - 1 < room / a->stride_w ? count : (uint32_t)(room / a->stride_w) + 1;
}

static int64_t at_tap(axis_window w, int32_t dilation) { return w.start + (int64_t)w.first * dilation; }

/* The taps of a window that lie inside the input, as numbers from the first of them; how many. */
static size_t list_taps(const fg_op_context *context, axis_window v, axis_window h, ptrdiff_t *taps)
{
    const fg_pool_attributes *a = &context->node->attributes.pool;
    const fg_value_state *x = fg_op_input(context, 0);
    ptrdiff_t down = (ptrdiff_t)a->dilation_h * (ptrdiff_t)(x->cols * x->stride);
    ptrdiff_t across = (ptrdiff_t)a->dilation_w * (ptrdiff_t)x->stride;
    size_t count = 0;
    for (int32_t ky = 0; ky < v.last - v.first; ky++) {
        for (int32_t kx = 0; kx < h.last - h.first; kx++) taps[count++] = ky * down + kx * across;
    }
    return count;
}

/* Whether no number of a value can be -0: a convolution adds a bias that is none, and what is below 0 becomes 0. */
static uint32_t has_no_minus_zero(const fg_op_context *context, uint32_t value)
{
    const fg_value_record *record = &context->graph->values[value];
    if (record->kind != FG_VALUE_NODE) return 0;
    const fg_node_record *node = &context->graph->nodes[record->producer];
    return node->op == FG_OP_CONV2D && node->activation == FG_ACT_RELU &&
           node->attributes.conv.residual == FG_RESIDUAL_NONE &&
           (node->gate == FG_GATE_NONE || node->gate == FG_GATE_HOLD);
}

/* count pixels of one row whose windows hold the same taps, those of v and of the first pixel's h. */
static void pool_run(const fg_op_context *context, axis_window v, axis_window h, uint32_t count, float *out,
                     size_t out_stride, ptrdiff_t *taps)
{
    const fg_pool_attributes *a = &context->node->attributes.pool;
    const fg_value_state *x = fg_op_input(context, 0);
    size_t inside = v.first < v.last && h.first < h.last ? list_taps(context, v, h, taps) : 0;
    fg_pool_f32_args args = {.kind = a->kind == FG_POOL_MAX ? FG_REDUCE_MAX : FG_REDUCE_MEAN,
                             .no_minus = has_no_minus_zero(context, context->inputs[0]),
                             .x_step = (size_t)a->stride_w * x->stride,
                             .taps = taps,
                             .tap_count = inside,
                             .channels = x->channels,
                             .pixels = count,
                             .out = out,
                             .out_step = out_stride};
    args.divisor = (float)(a->count_include_pad ? (int64_t)v.padded * h.padded : (int64_t)inside);
    for (uint32_t i = 0; inside == 0 && i < count; i++) memset(out + i * out_stride, 0, x->channels * sizeof *out);
    if (inside == 0) return;
    args.x = fg_value_pixel(x, (size_t)at_tap(v, a->dilation_h) * x->cols + (size_t)at_tap(h, a->dilation_w));
    context->kernels->pool_f32(&args);
}

static void pool_compute(const fg_op_context *context, const uint32_t *pixels, uint32_t count, float *out,
                         size_t out_stride, void *scratch)
{
    uint32_t cols = context->output->cols;
    for (uint32_t i = 0, n; i < count; i += n, out += n * out_stride) {
        uint32_t row = pixels[i] / cols, col = pixels[i] % cols;
        axis_window v = rows_of(context, row), h = cols_of(context, col);
        uint32_t most = same_taps(context, h, count - i < cols - col ? count - i : cols - col);
        for (n = 1; n < most && pixels[i + n] == pixels[i] + n;) n++;
        pool_run(context, v, h, n, out, out_stride, scratch);
    }
}

static int pool_rows(const fg_graph *graph, const fg_node_record *node, uint32_t k, uint32_t row, fg_rows *rows)
{
    fg_window window = window_of(node);
    (void)k;
    return fg_op_rows_window(&window, graph, node, row, rows);
}

const fg_op_entry fg_op_pool = {.sizes = pool_sizes,
                                .footprint = pool_footprint,
                                .compute = pool_compute,
                                .apart = FG_APART_INPUTS | FG_APART_OUTPUT,
                                .rows_read = pool_rows};
