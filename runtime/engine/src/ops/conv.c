/* conv.c: convolution and transposed convolution over listed output pixels.
 *
 * Pixels are gathered by indirection: a tile of output pixels is a list of pointers per kernel tap, so scattered pixels
 * cost the same as a row. Where a tap is too short to loop over, the tile is packed first. */
#include "op.h"

#include <string.h>

enum {
    CONV_X = 0,
    CONV_WEIGHTS = 1,
    CONV_BIAS = 2,
    CONV_RESIDUAL = 3,
    PACK_BELOW_CHANNELS = 8 /* of a tap: packed tile instead of indirection */
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

/* Scratch of one compute call: tap pointers, bias padded to whole panels, packed tile. */
typedef struct conv_scratch {
    const float **pointers;
    float *bias, *packed;
} conv_scratch;

static uint64_t lay_out(const conv_shape *s, uint8_t *base, conv_scratch *scratch)
{
    /* a depthwise pixel may be a run of its own */
    uint64_t pointers = (uint64_t)s->taps * (s->depthwise ? FG_CHUNK_PIXELS : FG_GEMM_MAX_ROWS) * sizeof(float *);
    uint64_t bias = (uint64_t)s->groups * s->panels * FG_PANEL * sizeof(float);
    uint64_t packed = s->group_in < PACK_BELOW_CHANNELS ? (uint64_t)s->taps * s->group_in * FG_GEMM_MAX_ROWS * 4 : 0;
    uint64_t sizes[3] = {pointers, bias, packed}, used = 0;
    uint8_t *parts[3];
    for (int i = 0; i < 3; i++) {
        parts[i] = base ? base + used : NULL;
        used += fg_round_up(sizes[i], 64);
    }
    if (scratch) {
        scratch->pointers = (const float **)(void *)parts[0];
        scratch->bias = (float *)(void *)parts[1];
        scratch->packed = (float *)(void *)parts[2];
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
    sizes->thread = lay_out(&s, NULL, NULL);
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

/* ---- what both convolutions share: tiles of pixels from tap pointers ---- */

/* The bias, every group padded to whole panels; NULL where there is none. */
static const float *pad_bias(const fg_op_context *context, const conv_shape *s, const conv_scratch *scratch)
{
    const float *bias = fg_op_optional(context, CONV_BIAS);
    size_t padded = (size_t)s->panels * FG_PANEL;
    if (!bias || s->depthwise) return bias;
    for (uint32_t g = 0; g < s->groups; g++) {
        float *to = scratch->bias + g * padded;
        memcpy(to, bias + (size_t)g * s->group_out, s->group_out * sizeof *to);
        memset(to + s->group_out, 0, (padded - s->group_out) * sizeof *to);
    }
    return scratch->bias;
}

/* A tile's input numbers of one group, taps in order, taps * depth numbers per row. */
static void pack_tile(const float *const *pointers, size_t rows, size_t taps, size_t depth, float *packed)
{
    for (size_t r = 0; r < rows; r++) {
        for (size_t t = 0; t < taps; t++, packed += depth) {
            const float *from = pointers[t * rows + r];
            for (size_t k = 0; k < depth; k++) packed[k] = from[k];
        }
    }
}

/* rows pixels, all groups, from tap pointers (taps x rows, each to depth numbers per group). A group's last panel may
 * spill over the next group's columns, which are written after it. */
static void run_tile(const fg_op_context *context, const conv_shape *s, const float **pointers, size_t rows,
                     size_t taps, size_t depth, const float *weights, const float *bias, float **out,
                     const conv_scratch *scratch)
{
    fg_gemm_f32_args args = {.rows = rows, .rows_stride = rows, .panel_count = s->panels, .out = out};
    const float *packed_rows[FG_GEMM_MAX_ROWS];
    int pack = depth < PACK_BELOW_CHANNELS && taps > 1;
    for (uint32_t g = 0; g < s->groups; g++) {
        args.a = pack ? packed_rows : pointers;
        args.taps = pack ? 1 : taps;
        args.depth = pack ? taps * depth : depth;
        args.panels = weights + g * s->panels * taps * depth * FG_PANEL;
        args.bias = bias ? bias + g * (size_t)s->panels * FG_PANEL : NULL;
        if (pack) {
            pack_tile(pointers, rows, taps, depth, scratch->packed);
            for (size_t r = 0; r < rows; r++) packed_rows[r] = scratch->packed + r * taps * depth;
        }
        context->kernels->gemm_f32(&args);
        if (g + 1 == s->groups) break;
        for (size_t r = 0; r < rows; r++) out[r] += s->group_out;
        for (size_t i = 0; i < rows * taps; i++) {
            pointers[i] = pointers[i] == context->zeros ? context->zeros : pointers[i] + depth;
        }
    }
}

/* How many of left pixels the next tile takes: tiles of nearly equal height leave no short last one. */
static size_t tile_rows(size_t left, size_t most)
{
    size_t tiles = (left + most - 1) / most;
    return (left + tiles - 1) / tiles;
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

/* ---- convolution ---- */

/* One compute call. Interior output pixels, whose taps all lie inside the input, need no test per tap, and where taps
 * of a kernel row lie side by side in memory they are one long tap. */
typedef struct conv_call {
    const fg_op_context *context;
    conv_shape s;
    conv_scratch scratch;
    const fg_value_state *x;
    const float *weights, *bias;
    uint32_t row_begin, row_count, col_begin, col_count;   /* of the interior */
    uint32_t joined;                                       /* taps of a kernel row are one tap */
    uint32_t rows[FG_CHUNK_PIXELS], cols[FG_CHUNK_PIXELS]; /* of the listed pixels */
} conv_call;

/* Output positions begin .. begin + count - 1 of an axis have all taps inside the input. */
static void interior(uint32_t in, uint32_t out, int32_t kernel, int32_t stride, int32_t dilation, int32_t pad,
                     uint32_t *begin, uint32_t *count)
{
    int64_t first = ((int64_t)pad + stride - 1) / stride;
    int64_t reach = (int64_t)in - 1 - (int64_t)(kernel - 1) * dilation + pad;
    int64_t end = reach < 0 ? 0 : reach / stride + 1;
    if (end > (int64_t)out) end = out;
    *begin = (uint32_t)first;
    *count = end > first ? (uint32_t)(end - first) : 0;
}

static int is_interior(const conv_call *call, uint32_t row, uint32_t col)
{
    return row - call->row_begin < call->row_count && col - call->col_begin < call->col_count;
}

static void conv_begin(conv_call *call, const fg_op_context *context, const uint32_t *pixels, uint32_t count,
                       void *memory)
{
    const fg_value_state *out = context->output;
    call->context = context;
    call->s = shape_of(context->graph, context->node);
    call->x = fg_op_input(context, CONV_X);
    const fg_conv_attributes *a = &call->s.a;
    lay_out(&call->s, memory, &call->scratch);
    interior(call->x->rows, out->rows, a->kernel_h, a->stride_h, a->dilation_h, a->pad_top, &call->row_begin,
             &call->row_count);
    interior(call->x->cols, out->cols, a->kernel_w, a->stride_w, a->dilation_w, a->pad_left, &call->col_begin,
             &call->col_count);
    call->joined = call->s.groups == 1 && (a->dilation_w == 1 || a->kernel_w == 1);
    call->weights = fg_op_input(context, CONV_WEIGHTS)->data;
    call->bias = pad_bias(context, &call->s, &call->scratch);
    fg_op_positions(pixels, count, out->cols, call->rows, call->cols);
}

/* Where the first tap of an output pixel lies; outside the input for pixels that are not interior. */
static ptrdiff_t first_tap(const conv_call *call, uint32_t row, uint32_t col)
{
    const fg_conv_attributes *a = &call->s.a;
    int64_t y = (int64_t)row * a->stride_h - a->pad_top, x = (int64_t)col * a->stride_w - a->pad_left;
    return (ptrdiff_t)((y * call->x->cols + x) * call->x->channels);
}

/* pointers[t * tap_stride] = tap t of any output pixel, zeros where it lies outside the input. */
static void point_at_taps(const conv_call *call, uint32_t row, uint32_t col, const float **pointers, size_t tap_stride)
{
    const fg_conv_attributes *a = &call->s.a;
    const fg_value_state *x = call->x;
    int64_t top = (int64_t)row * a->stride_h - a->pad_top, left = (int64_t)col * a->stride_w - a->pad_left;
    for (int32_t ky = 0; ky < a->kernel_h; ky++) {
        int64_t in_row = top + (int64_t)ky * a->dilation_h;
        int inside = in_row >= 0 && in_row < (int64_t)x->rows;
        const float *base = x->data + (inside ? (size_t)in_row : 0) * x->cols * x->channels;
        for (int32_t kx = 0; kx < a->kernel_w; kx++, pointers += tap_stride) {
            int64_t in_col = left + (int64_t)kx * a->dilation_w;
            int hit = inside && in_col >= 0 && in_col < (int64_t)x->cols;
            *pointers = hit ? base + (size_t)in_col * x->channels : call->context->zeros;
        }
    }
}

/* pointers[t * rows + r] = tap t of interior pixel r. */
static void point_at_interior(const conv_call *call, const ptrdiff_t *first, size_t rows, const float **pointers)
{
    const fg_conv_attributes *a = &call->s.a;
    ptrdiff_t row_step = (ptrdiff_t)((int64_t)a->dilation_h * call->x->cols * call->x->channels);
    ptrdiff_t col_step = (ptrdiff_t)((int64_t)a->dilation_w * call->x->channels);
    int32_t taps_across = call->joined ? 1 : a->kernel_w;
    for (int32_t ky = 0; ky < a->kernel_h; ky++) {
        for (int32_t kx = 0; kx < taps_across; kx++, pointers += rows) {
            const float *base = call->x->data + ky * row_step + kx * col_step;
            for (size_t r = 0; r < rows; r++) pointers[r] = base + first[r];
        }
    }
}

/* The listed pixels whose numbers stand in slots, all interior or none. */
static void run_slots(const conv_call *call, const uint32_t *slots, size_t count, int inside, float *out,
                      size_t out_stride)
{
    const conv_shape *s = &call->s;
    size_t taps = s->taps, depth = s->group_in;
    if (inside && call->joined) {
        taps = (size_t)s->a.kernel_h;
        depth *= (size_t)s->a.kernel_w;
    }
    for (size_t done = 0; done < count;) {
        size_t rows = tile_rows(count - done, call->context->kernels->gemm_rows);
        ptrdiff_t first[FG_GEMM_MAX_ROWS];
        float *to[FG_GEMM_MAX_ROWS];
        for (size_t r = 0; r < rows; r++) {
            uint32_t slot = slots[done + r], row = call->rows[slot], col = call->cols[slot];
            to[r] = out + slot * out_stride;
            if (inside) {
                first[r] = first_tap(call, row, col);
            } else {
                point_at_taps(call, row, col, call->scratch.pointers + r, rows);
            }
        }
        if (inside) point_at_interior(call, first, rows, call->scratch.pointers);
        run_tile(call->context, s, call->scratch.pointers, rows, taps, depth, call->weights, call->bias, to,
                 &call->scratch);
        done += rows;
    }
}

static void depthwise_runs(const conv_call *call, const fg_depthwise_run *runs, size_t count, size_t step, size_t taps,
                           const float *weights, size_t out_stride)
{
    fg_depthwise_f32_args args = {.runs = runs,
                                  .run_count = count,
                                  .step = step,
                                  .taps = taps,
                                  .channels = call->s.groups,
                                  .weights = weights,
                                  .bias = call->bias,
                                  .out_stride = out_stride};
    if (count) call->context->kernels->depthwise_f32(&args);
}

/* Listed pixels that follow each other in an interior row are one run, the others runs of one. */
static void depthwise_pixels(const conv_call *call, const uint32_t *pixels, uint32_t count, float *out,
                             size_t out_stride)
{
    fg_depthwise_run runs[FG_CHUNK_PIXELS];
    const float **pointers = call->scratch.pointers;
    size_t run_count = 0;
    for (uint32_t i = 0, n; i < count; i += n, pointers += call->s.taps) {
        uint32_t row = call->rows[i], col = call->cols[i];
        n = 1;
        if (is_interior(call, row, col)) {
            ptrdiff_t first = first_tap(call, row, col);
            uint32_t most = call->col_begin + call->col_count - col;
            while (n < most && i + n < count && pixels[i + n] == pixels[i] + n) n++;
            point_at_interior(call, &first, 1, pointers);
        } else {
            point_at_taps(call, row, col, pointers, 1);
        }
        runs[run_count++] = (fg_depthwise_run){pointers, n, out + i * out_stride};
    }
    size_t step = (size_t)call->s.a.stride_w * call->x->channels;
    depthwise_runs(call, runs, run_count, step, call->s.taps, call->weights, out_stride);
}

static void conv_compute(const fg_op_context *context, const uint32_t *pixels, uint32_t count, float *out,
                         size_t out_stride, void *memory)
{
    conv_call call;
    conv_begin(&call, context, pixels, count, memory);
    if (call.s.depthwise) {
        depthwise_pixels(&call, pixels, count, out, out_stride);
    } else {
        uint32_t slots[FG_CHUNK_PIXELS], inside = 0, outside = FG_CHUNK_PIXELS;
        for (uint32_t i = 0; i < count; i++) { /* interior ones from the front, the others from the back */
            if (is_interior(&call, call.rows[i], call.cols[i])) {
                slots[inside++] = i;
            } else {
                slots[--outside] = i;
            }
        }
        run_slots(&call, slots, inside, 1, out, out_stride);
        run_slots(&call, slots + outside, FG_CHUNK_PIXELS - outside, 0, out, out_stride);
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
static void point_at_phase_taps(const conv_call *call, uint32_t row, uint32_t col, const float **pointers,
                                size_t tap_stride)
{
    const fg_conv_attributes *a = &call->s.a;
    const fg_value_state *x = call->x;
    for (int64_t ky = 0; ky < a->kernel_h; ky++) {
        int64_t y = (int64_t)row + a->pad_top - ky * a->dilation_h;
        if (y % a->stride_h != 0) continue;
        int64_t in_row = y / a->stride_h;
        int inside = y >= 0 && in_row < (int64_t)x->rows;
        for (int64_t kx = 0; kx < a->kernel_w; kx++) {
            int64_t z = (int64_t)col + a->pad_left - kx * a->dilation_w;
            if (z % a->stride_w != 0) continue;
            int64_t in_col = z / a->stride_w;
            int hit = inside && z >= 0 && in_col < (int64_t)x->cols;
            *pointers =
                hit ? x->data + ((size_t)in_row * x->cols + (size_t)in_col) * x->channels : call->context->zeros;
            pointers += tap_stride;
        }
    }
}

/* The pixels of one phase among those listed, tile by tile. */
static void compute_phase(const conv_call *call, uint32_t phase_row, uint32_t phase_col, size_t taps,
                          const float *weights, uint32_t count, float *out, size_t out_stride)
{
    const conv_shape *s = &call->s;
    const float **pointers = call->scratch.pointers;
    uint32_t slots[FG_CHUNK_PIXELS], listed = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = call->rows[i], col = call->cols[i];
        if (row % (uint32_t)s->a.stride_h == phase_row && col % (uint32_t)s->a.stride_w == phase_col)
            slots[listed++] = i;
    }
    if (s->depthwise) {
        fg_depthwise_run runs[FG_CHUNK_PIXELS];
        for (uint32_t i = 0; i < listed; i++, pointers += taps) {
            point_at_phase_taps(call, call->rows[slots[i]], call->cols[slots[i]], pointers, 1);
            runs[i] = (fg_depthwise_run){pointers, 1, out + slots[i] * out_stride};
        }
        depthwise_runs(call, runs, listed, 0, taps, weights, out_stride);
        return;
    }
    for (size_t done = 0; done < listed;) {
        size_t rows = tile_rows(listed - done, call->context->kernels->gemm_rows);
        float *to[FG_GEMM_MAX_ROWS];
        for (size_t r = 0; r < rows; r++) {
            uint32_t slot = slots[done + r];
            to[r] = out + slot * out_stride;
            point_at_phase_taps(call, call->rows[slot], call->cols[slot], pointers + r, rows);
        }
        run_tile(call->context, s, pointers, rows, taps, s->group_in, weights, call->bias, to, &call->scratch);
        done += rows;
    }
}

static void transpose_compute(const fg_op_context *context, const uint32_t *pixels, uint32_t count, float *out,
                              size_t out_stride, void *memory)
{
    conv_call call;
    conv_begin(&call, context, pixels, count, memory);
    const conv_shape *s = &call.s;
    const float *weights = call.weights;
    for (uint32_t row = 0; row < (uint32_t)s->a.stride_h; row++) {
        size_t row_taps = axis_taps(row, s->a.pad_top, s->a.kernel_h, s->a.dilation_h, s->a.stride_h);
        for (uint32_t col = 0; col < (uint32_t)s->a.stride_w; col++) {
            size_t taps = row_taps * axis_taps(col, s->a.pad_left, s->a.kernel_w, s->a.dilation_w, s->a.stride_w);
            size_t numbers = s->depthwise ? s->groups : (size_t)s->groups * s->panels * s->group_in * FG_PANEL;
            compute_phase(&call, row, col, taps, weights, count, out, out_stride);
            weights += taps * numbers;
        }
    }
    finish(context, pixels, count, out, out_stride);
}

const fg_op_entry fg_op_conv_transpose2d = {conv_sizes, NULL, transpose_footprint, NULL, transpose_compute};
