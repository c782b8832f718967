/* pool.c: windowed max and average pooling. */
#include "op.h"

#include <string.h>

static fg_window window_of(const fg_node_record *node)
{
    const fg_pool_attributes *a = &node->attributes.pool;
    fg_window window = {(uint32_t)a->kernel_h,   (uint32_t)a->kernel_w,   (uint32_t)a->stride_h, (uint32_t)a->stride_w,
                        (uint32_t)a->dilation_h, (uint32_t)a->dilation_w, (uint32_t)a->pad_top,  (uint32_t)a->pad_left};
    return window;
}

static void pool_sizes(const fg_graph *graph, const fg_node_record *node, fg_op_sizes *sizes)
{
    fg_window window = window_of(node);
    const fg_value_record *x = &graph->values[graph->index[node->first_input]];
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

static void pool_pixel(const fg_op_context *context, uint32_t row, uint32_t col, float *out)
{
    const fg_pool_attributes *a = &context->node->attributes.pool;
    const fg_value_state *x = fg_op_input(context, 0);
    size_t channels = x->channels;
    uint32_t kind = a->kind == FG_POOL_MAX ? FG_REDUCE_MAX : FG_REDUCE_SUM;
    axis_window v = axis_of(row, a->kernel_h, a->stride_h, a->dilation_h, a->pad_top, a->pad_bottom, x->rows);
    axis_window h = axis_of(col, a->kernel_w, a->stride_w, a->dilation_w, a->pad_left, a->pad_right, x->cols);
    int64_t inside = 0;
    memset(out, 0, channels * sizeof *out);
    for (int32_t ky = v.first; ky < v.last; ky++) {
        const float *base = x->data + (size_t)(v.start + (int64_t)ky * a->dilation_h) * x->cols * channels;
        for (int32_t kx = h.first; kx < h.last; kx++) {
            const float *from = base + (size_t)(h.start + (int64_t)kx * a->dilation_w) * channels;
            if (inside++ == 0) {
                memcpy(out, from, channels * sizeof *out);
            } else {
                context->kernels->accumulate_f32(kind, out, from, channels);
            }
        }
    }
    if (a->kind == FG_POOL_AVERAGE) {
        float divisor = (float)(a->count_include_pad ? (int64_t)v.padded * h.padded : inside);
        if (divisor > 0) context->kernels->binary_f32(FG_BINARY_DIV, out, 1, &divisor, 0, out, channels);
    }
}

static void pool_compute(const fg_op_context *context, const uint32_t *pixels, uint32_t count, float *out,
                         size_t out_stride, void *scratch)
{
    uint32_t cols = context->output->cols;
    (void)scratch;
    for (uint32_t i = 0; i < count; i++) pool_pixel(context, pixels[i] / cols, pixels[i] % cols, out + i * out_stride);
}

const fg_op_entry fg_op_pool = {pool_sizes, NULL, pool_footprint, NULL, pool_compute, NULL};
