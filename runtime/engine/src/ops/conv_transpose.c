/* conv_transpose.c: transposed convolution over listed output pixels. Pixels of equal row and column modulo the stride
 * (a phase) share their taps; their windows are packed. */
#include "conv.h"

#include <string.h>

static void transpose_sizes(const fg_graph *graph, const fg_node_record *node, fg_op_sizes *sizes)
{
    fg_conv_sizes(graph, node, 1, sizes);
}

static uint32_t axis_taps(uint32_t phase, int32_t pad, int32_t kernel, int32_t dilation, int32_t stride)
{
    uint32_t taps = 0;
    for (int64_t k = 0; k < kernel; k++) taps += ((int64_t)phase + pad - k * dilation) % stride == 0;
    return taps;
}

static void transpose_footprint(const fg_op_context *context, uint64_t *candidates, uint64_t *scratch)
{
    const fg_conv_attributes *a = &context->node->attributes.conv;
    const fg_value_state *x = fg_op_input(context, CONV_X), *out = context->output;
    for (uint32_t i = 0; x->mask && x->changed && i < out->rows; i++) {
        uint64_t *to = candidates + (size_t)i * out->words;
        fg_mask_clear(scratch, x->words);
        for (int32_t k = 0; k < a->kernel_h; k++) {
            int64_t at = (int64_t)i + a->pad_top - (int64_t)k * a->dilation_h;
            if (at >= 0 && at % a->stride_h == 0 && at / a->stride_h < (int64_t)x->rows) {
                fg_mask_or(scratch, fg_value_mask_row(x, (uint32_t)(at / a->stride_h)), x->words);
            }
        }
        for (uint32_t w = 0; w < x->words; w++) {
            for (uint64_t word = scratch[w]; word; word &= word - 1) {
                int64_t col = (int64_t)(w * 64u + fg_mask_lowest(word)) * a->stride_w - a->pad_left;
                for (int32_t k = 0; k < a->kernel_w; k++, col += a->dilation_w) {
                    if (col >= 0 && col < (int64_t)out->cols) fg_mask_set(to, (uint32_t)col);
                }
            }
        }
    }
    if (fg_op_has_input(context, CONV_RESIDUAL)) {
        fg_op_footprint_broadcast(context, fg_op_input(context, CONV_RESIDUAL), candidates);
    }
}

/* A pixel's window: the phase's kernel elements, row taps outermost, zeros where they leave the input. */
static void pack_phase(const conv_call *call, uint32_t row, uint32_t col, float *to)
{
    const fg_conv_attributes *a = &call->s->a;
    const fg_value_state *x = call->x;
    size_t bytes = x->channels * sizeof *to;
    for (int64_t ky = 0; ky < a->kernel_h; ky++) {
        int64_t y = (int64_t)row + a->pad_top - ky * a->dilation_h;
        if (y % a->stride_h != 0) continue;
        int64_t in_row = y / a->stride_h;
        int inside = y >= 0 && in_row < (int64_t)x->rows;
        for (int64_t kx = 0; kx < a->kernel_w; kx++) {
            int64_t z = (int64_t)col + a->pad_left - kx * a->dilation_w;
            if (z % a->stride_w != 0) continue;
            int64_t in_col = z / a->stride_w;
            if (inside && z >= 0 && in_col < (int64_t)x->cols) {
                memcpy(to, fg_value_pixel(x, (size_t)in_row * x->cols + (size_t)in_col), bytes);
            } else {
                memset(to, 0, bytes);
            }
            to += x->channels;
        }
    }
}

/* n packed windows of a depthwise phase. */
static void run_packed_depthwise(const conv_call *call, size_t n, size_t taps, const float *weights)
{
    const conv_scratch *scratch = &call->scratch;
    for (size_t t = 0; t < taps; t++) {
        size_t at = t * call->s->groups;
        scratch->taps[t] = (fg_tap){(ptrdiff_t)at, at};
    }
    for (size_t i = 0; i < n; i++) {
        scratch->runs[i] = (fg_depthwise_run){scratch->x[i], scratch->taps, taps, 1, scratch->to[i]};
    }
    fg_depthwise_runs(call, scratch->runs, n, 0, weights);
}

/* The pixels of one phase among those listed, some at a time. */
static void compute_phase(const conv_call *call, uint32_t phase_row, uint32_t phase_col, size_t taps,
                          const float *weights, const uint32_t *pixels, uint32_t count)
{
    const conv_state *s = call->s;
    const conv_scratch *scratch = &call->scratch;
    uint32_t stride_h = (uint32_t)s->a.stride_h, stride_w = (uint32_t)s->a.stride_w;
    uint32_t cols = call->s->cols, n = 0;
    uint32_t most = (uint32_t)fg_conv_packed_rows(s);
    size_t numbers = taps * call->x->channels;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = pixels[i] / cols, col = pixels[i] % cols;
        if (row % stride_h == phase_row && col % stride_w == phase_col) {
            pack_phase(call, row, col, scratch->packed + n * numbers);
            scratch->x[n] = scratch->packed + n * numbers;
            scratch->to[n++] = call->out + i * call->out_stride;
        }
        if (n < most && (i + 1 < count || n == 0)) continue;
        if (s->depthwise) {
            run_packed_depthwise(call, n, taps, weights);
        } else {
            fg_conv_run_packed(call, n, taps, weights);
        }
        n = 0;
    }
}

static void transpose_compute(const fg_op_context *context, const uint32_t *pixels, uint32_t count, float *out,
                              size_t out_stride, void *memory)
{
    conv_call call = fg_conv_begin(context, out, out_stride, 1, memory);
    const conv_state *s = call.s;
    const float *weights = call.weights;
    for (uint32_t row = 0; row < (uint32_t)s->a.stride_h; row++) {
        size_t row_taps = axis_taps(row, s->a.pad_top, s->a.kernel_h, s->a.dilation_h, s->a.stride_h);
        for (uint32_t col = 0; col < (uint32_t)s->a.stride_w; col++) {
            size_t taps = row_taps * axis_taps(col, s->a.pad_left, s->a.kernel_w, s->a.dilation_w, s->a.stride_w);
            size_t numbers = s->depthwise ? s->groups : (size_t)s->groups * s->panels * s->group_in * FG_PANEL;
            compute_phase(&call, row, col, taps, weights, pixels, count);
            weights += taps * numbers;
        }
    }
    if (!call.s->fused) fg_conv_finish(context, pixels, count, out, out_stride);
}

const fg_op_entry fg_op_conv_transpose2d = {.sizes = transpose_sizes,
                                            .init = fg_conv_init,
                                            .footprint = transpose_footprint,
                                            .compute = transpose_compute,
                                            .apart = FG_APART_INPUTS | FG_APART_OUTPUT};
