/* conv.c: convolution and transposed convolution over listed output pixels.
 *
 * Pixels are gathered by indirection: a tile of output pixels is a list of pointers per kernel tap, so scattered pixels
 * cost the same as a row. Inputs with few channels are copied into a packed tile instead (their taps are too short to
 * loop over). */
#include "op.h"

#include <string.h>

enum {
    CONV_X = 0,
    CONV_WEIGHTS = 1,
    CONV_BIAS = 2,
    CONV_RESIDUAL = 3,
    PACK_BELOW_CHANNELS = 16 /* per group: packed tile instead of indirection */
};

/* The kernel elements one phase of output pixels reads; a plain convolution has one phase with all of them. */
typedef struct conv_shape {
    fg_conv_attributes a;
    uint32_t groups, group_in, group_out;
    uint32_t panels; /* per group */
    uint32_t taps;   /* kernel_h * kernel_w */
    uint32_t depthwise;
} conv_shape;

static conv_shape shape_of(const fg_graph *graph, const fg_node_record *node)
{
    const uint32_t *inputs = graph->index + node->first_input;
    uint32_t in = graph->values[inputs[CONV_X]].channels, out = graph->values[node->output].channels;
    conv_shape s = {.a = node->attributes.conv};
    s.groups = (uint32_t)s.a.groups;
    s.group_in = in / s.groups;
    s.group_out = out / s.groups;
    s.panels = (s.group_out + FG_PANEL - 1) / FG_PANEL;
    s.taps = (uint32_t)(s.a.kernel_h * s.a.kernel_w);
    s.depthwise = s.groups > 1 && s.groups == in && s.groups == out;
    return s;
}

/* Scratch of one compute call: tap pointers, padded bias, packed tile; results of a transposed convolution's phase. */
typedef struct conv_scratch {
    const float **pointers;
    float *bias, *packed, *tile;
} conv_scratch;

static uint64_t lay_out(const conv_shape *s, uint64_t out_stride, uint8_t *base, conv_scratch *scratch)
{
    uint64_t pointers = (uint64_t)s->taps * FG_GEMM_MAX_ROWS * sizeof(float *);
    uint64_t bias = (uint64_t)s->panels * FG_PANEL * sizeof(float);
    uint64_t packed = s->group_in < PACK_BELOW_CHANNELS ? (uint64_t)s->taps * s->group_in * FG_GEMM_MAX_ROWS * 4 : 0;
    uint64_t tile = out_stride * FG_GEMM_MAX_ROWS * sizeof(float);
    uint64_t sizes[4] = {pointers, bias, packed, tile}, used = 0;
    uint8_t *parts[4];
    for (int i = 0; i < 4; i++) {
        parts[i] = base ? base + used : NULL;
        used += fg_round_up(sizes[i], 64);
    }
    if (scratch) {
        scratch->pointers = (const float **)(void *)parts[0];
        scratch->bias = (float *)(void *)parts[1];
        scratch->packed = (float *)(void *)parts[2];
        scratch->tile = (float *)(void *)parts[3];
    }
    return used;
}

static void conv_sizes(const fg_graph *graph, const fg_node_record *node, fg_op_sizes *sizes)
{
    conv_shape s = shape_of(graph, node);
    const fg_value_record *x = &graph->values[graph->index[node->first_input]];
    const fg_value_record *out = &graph->values[node->output];
    fg_window window = {(uint32_t)s.a.kernel_h, (uint32_t)s.a.kernel_w,   (uint32_t)s.a.stride_h,
                        (uint32_t)s.a.stride_w, (uint32_t)s.a.dilation_h, (uint32_t)s.a.dilation_w,
                        (uint32_t)s.a.pad_top,  (uint32_t)s.a.pad_left};
    if (!s.depthwise) sizes->out_stride = (uint64_t)(s.groups - 1) * s.group_out + (uint64_t)s.panels * FG_PANEL;
    sizes->zeros = x->channels;
    sizes->thread = lay_out(&s, sizes->out_stride, NULL, NULL);
    sizes->footprint = fg_mask_window_scratch(&window, x->cols, out->cols) * sizeof(uint64_t);
}

static void conv_footprint(const fg_op_context *context, uint64_t *candidates, uint64_t *scratch)
{
    const fg_conv_attributes *a = &context->node->attributes.conv;
    const fg_value_state *x = fg_op_input(context, CONV_X), *out = context->output;
    fg_window window = {(uint32_t)a->kernel_h,   (uint32_t)a->kernel_w,   (uint32_t)a->stride_h, (uint32_t)a->stride_w,
                        (uint32_t)a->dilation_h, (uint32_t)a->dilation_w, (uint32_t)a->pad_top,  (uint32_t)a->pad_left};
    if (x->mask && x->changed) {
        fg_mask_window(&window, x->mask, x->rows, x->cols, candidates, out->rows, out->cols, scratch);
    }
    if (fg_op_has_input(context, CONV_RESIDUAL)) {
        fg_op_footprint_broadcast(context, fg_op_input(context, CONV_RESIDUAL), candidates);
    }
}

/* pointers[t * tap_stride] = input pixel of tap t, or zeros outside; for one output pixel of a plain convolution. */
static void point_at_taps(const conv_shape *s, const fg_value_state *x, const float *zeros, uint32_t row, uint32_t col,
                          const float **pointers, size_t tap_stride)
{
    int64_t top = (int64_t)row * s->a.stride_h - s->a.pad_top, left = (int64_t)col * s->a.stride_w - s->a.pad_left;
    for (int32_t ky = 0; ky < s->a.kernel_h; ky++) {
        int64_t in_row = top + (int64_t)ky * s->a.dilation_h;
        int inside = in_row >= 0 && in_row < (int64_t)x->rows;
        const float *base = x->data + (inside ? (size_t)in_row : 0) * x->cols * x->channels;
        for (int32_t kx = 0; kx < s->a.kernel_w; kx++, pointers += tap_stride) {
            int64_t in_col = left + (int64_t)kx * s->a.dilation_w;
            *pointers =
                inside && in_col >= 0 && in_col < (int64_t)x->cols ? base + (size_t)in_col * x->channels : zeros;
        }
    }
}

/* The tile's input numbers of one group, taps in order, one row of taps * depth numbers per pixel. */
static void pack_tile(const float *const *pointers, size_t rows, size_t taps, size_t depth, float *packed)
{
    for (size_t r = 0; r < rows; r++) {
        for (size_t t = 0; t < taps; t++, packed += depth) {
            const float *from = pointers[t * rows + r];
            for (size_t k = 0; k < depth; k++) packed[k] = from[k];
        }
    }
}

/* One tile of rows pixels, all groups, from tap pointers (taps x rows). zeros takes a group offset harmlessly. */
static void run_tile(const fg_op_context *context, const conv_shape *s, const float **pointers, size_t rows,
                     size_t taps, const float *weights, float *out, size_t out_stride, const conv_scratch *scratch)
{
    const float *bias = fg_op_optional(context, CONV_BIAS);
    size_t group_weights = (size_t)s->panels * taps * s->group_in * FG_PANEL;
    for (uint32_t g = 0; g < s->groups; g++) {
        fg_gemm_f32_args args = {.a = pointers, .rows = rows, .rows_stride = rows, .taps = taps, .depth = s->group_in};
        const float *packed_rows[FG_GEMM_MAX_ROWS];
        if (bias) {
            memcpy(scratch->bias, bias + (size_t)g * s->group_out, s->group_out * sizeof *bias);
            memset(scratch->bias + s->group_out, 0, ((size_t)s->panels * FG_PANEL - s->group_out) * sizeof *bias);
            args.bias = scratch->bias;
        }
        if (s->group_in < PACK_BELOW_CHANNELS && taps > 1) {
            size_t depth = taps * s->group_in;
            pack_tile(pointers, rows, taps, s->group_in, scratch->packed);
            for (size_t r = 0; r < rows; r++) packed_rows[r] = scratch->packed + r * depth;
            args.a = packed_rows;
            args.taps = 1;
            args.depth = depth;
        }
        args.panels = weights + g * group_weights;
        args.panel_count = s->panels;
        args.out = out + (size_t)g * s->group_out;
        args.out_stride = out_stride;
        context->kernels->gemm_f32(&args);
        if (g + 1 < s->groups) {
            for (size_t i = 0; i < rows * taps; i++) {
                pointers[i] = pointers[i] == context->zeros ? context->zeros : pointers[i] + s->group_in;
            }
        }
    }
}

/* Residual and activation of computed pixels. */
static void finish(const fg_op_context *context, const uint32_t *pixels, uint32_t count, float *out, size_t out_stride)
{
    int32_t residual = context->node->attributes.conv.residual;
    size_t channels = context->output->channels;
    if (residual == FG_RESIDUAL_AFTER) fg_op_activate(context, out, count, out_stride);
    if (residual != FG_RESIDUAL_NONE) {
        const float *add = fg_op_input(context, CONV_RESIDUAL)->data;
        for (uint32_t i = 0; i < count; i++) {
            float *row = out + i * out_stride;
            context->kernels->binary_f32(FG_BINARY_ADD, row, 1, add + pixels[i] * channels, 1, row, channels);
        }
    }
    if (residual != FG_RESIDUAL_AFTER) fg_op_activate(context, out, count, out_stride);
}

static void depthwise_pixels(const fg_op_context *context, const float *weights, const float **pointers, size_t pixels,
                             size_t taps, float *out, size_t out_stride)
{
    fg_depthwise_f32_args args = {.x = pointers,
                                  .pixels = pixels,
                                  .taps = taps,
                                  .channels = context->output->channels,
                                  .weights = weights,
                                  .bias = fg_op_optional(context, CONV_BIAS),
                                  .out = out,
                                  .out_stride = out_stride};
    context->kernels->depthwise_f32(&args);
}

static void conv_compute(const fg_op_context *context, const uint32_t *pixels, uint32_t count, float *out,
                         size_t out_stride, void *memory)
{
    conv_shape s = shape_of(context->graph, context->node);
    const fg_value_state *x = fg_op_input(context, CONV_X);
    const float *weights = fg_op_input(context, CONV_WEIGHTS)->data;
    uint32_t cols = context->output->cols;
    size_t tile = s.depthwise ? FG_GEMM_MAX_ROWS : context->kernels->gemm_rows;
    conv_scratch scratch;
    lay_out(&s, out_stride, memory, &scratch);
    for (uint32_t done = 0; done < count; done += (uint32_t)tile) {
        size_t rows = count - done < tile ? count - done : tile;
        for (size_t r = 0; r < rows; r++) {
            uint32_t row = pixels[done + r] / cols, col = pixels[done + r] % cols;
            const float **at = s.depthwise ? scratch.pointers + r * s.taps : scratch.pointers + r;
            point_at_taps(&s, x, context->zeros, row, col, at, s.depthwise ? 1 : rows);
        }
        float *to = out + done * out_stride;
        if (s.depthwise) {
            depthwise_pixels(context, weights, scratch.pointers, rows, s.taps, to, out_stride);
        } else {
            run_tile(context, &s, scratch.pointers, rows, s.taps, weights, to, out_stride, &scratch);
        }
    }
    finish(context, pixels, count, out, out_stride);
}

const fg_op_entry fg_op_conv2d = {conv_sizes, NULL, conv_footprint, NULL, conv_compute};

/* ---- transposed convolution: pixels of equal row and column modulo the stride (a phase) share their taps ---- */

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

/* Tap pointers of one output pixel: the phase's kernel elements, row taps outermost. */
static void point_at_phase_taps(const conv_shape *s, const fg_value_state *x, const float *zeros, uint32_t row,
                                uint32_t col, const float **pointers, size_t tap_stride)
{
    for (int64_t ky = 0; ky < s->a.kernel_h; ky++) {
        int64_t y = (int64_t)row + s->a.pad_top - ky * s->a.dilation_h;
        if (y % s->a.stride_h != 0) continue;
        int64_t in_row = y / s->a.stride_h;
        int inside = y >= 0 && in_row < (int64_t)x->rows;
        for (int64_t kx = 0; kx < s->a.kernel_w; kx++) {
            int64_t z = (int64_t)col + s->a.pad_left - kx * s->a.dilation_w;
            if (z % s->a.stride_w != 0) continue;
            int64_t in_col = z / s->a.stride_w;
            int hit = inside && z >= 0 && in_col < (int64_t)x->cols;
            *pointers = hit ? x->data + ((size_t)in_row * x->cols + (size_t)in_col) * x->channels : zeros;
            pointers += tap_stride;
        }
    }
}

/* The pixels of one phase among those listed, tile by tile. */
static void compute_phase(const fg_op_context *context, const conv_shape *s, uint32_t phase_row, uint32_t phase_col,
                          size_t taps, const float *weights, const uint32_t *pixels, uint32_t count, float *out,
                          size_t out_stride, const conv_scratch *scratch)
{
    const fg_value_state *x = fg_op_input(context, CONV_X);
    uint32_t cols = context->output->cols, slots[FG_GEMM_MAX_ROWS];
    size_t tile = context->kernels->gemm_rows, rows = 0;
    for (uint32_t i = 0; i <= count; i++) {
        if (i < count) {
            uint32_t row = pixels[i] / cols, col = pixels[i] % cols;
            if (row % (uint32_t)s->a.stride_h == phase_row && col % (uint32_t)s->a.stride_w == phase_col)
                slots[rows++] = i;
        }
        if (!rows || (rows < tile && i < count)) continue;
        for (size_t r = 0; r < rows; r++) {
            uint32_t pixel = pixels[slots[r]];
            const float **at = s->depthwise ? scratch->pointers + r * taps : scratch->pointers + r;
            point_at_phase_taps(s, x, context->zeros, pixel / cols, pixel % cols, at, s->depthwise ? 1 : rows);
        }
        if (s->depthwise) {
            depthwise_pixels(context, weights, scratch->pointers, rows, taps, scratch->tile, out_stride);
        } else {
            run_tile(context, s, scratch->pointers, rows, taps, weights, scratch->tile, out_stride, scratch);
        }
        for (size_t r = 0; r < rows; r++) {
            memcpy(out + slots[r] * out_stride, scratch->tile + r * out_stride,
                   context->output->channels * sizeof *out);
        }
        rows = 0;
    }
}

static void transpose_compute(const fg_op_context *context, const uint32_t *pixels, uint32_t count, float *out,
                              size_t out_stride, void *memory)
{
    conv_shape s = shape_of(context->graph, context->node);
    const float *weights = fg_op_input(context, CONV_WEIGHTS)->data;
    conv_scratch scratch;
    lay_out(&s, out_stride, memory, &scratch);
    for (uint32_t row = 0; row < (uint32_t)s.a.stride_h; row++) {
        size_t row_taps = axis_taps(row, s.a.pad_top, s.a.kernel_h, s.a.dilation_h, s.a.stride_h);
        for (uint32_t col = 0; col < (uint32_t)s.a.stride_w; col++) {
            size_t taps = row_taps * axis_taps(col, s.a.pad_left, s.a.kernel_w, s.a.dilation_w, s.a.stride_w);
            size_t numbers = s.depthwise ? s.groups : (size_t)s.groups * s.panels * s.group_in * FG_PANEL;
            compute_phase(context, &s, row, col, taps, weights, pixels, count, out, out_stride, &scratch);
            weights += taps * numbers;
        }
    }
    finish(context, pixels, count, out, out_stride);
}

const fg_op_entry fg_op_conv_transpose2d = {conv_sizes, NULL, transpose_footprint, NULL, transpose_compute};
