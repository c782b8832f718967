/* conv.c: convolution over listed output pixels, and what its relatives share. Interior pixels, whose taps all lie
 * inside the input, are gathered by indirection: a pointer per pixel and an offset per tap, so that scattered pixels
 * cost the same as a row. Other pixels' windows are packed first, zeros outside. */
#include "conv.h"

#include <string.h>

enum {
    PACKED_NUMBERS = 16384, /* about so many in one call's packed windows */
    PACKED_MOST = 262144    /* then so many */
};

conv_state fg_conv_state_of(const fg_graph *graph, const fg_node_record *node)
{
    const fg_value_record *x = &graph->values[graph->index[node->first_input + CONV_X]];
    const fg_value_record *output = &graph->values[node->output];
    uint32_t in = x->channels, out = output->channels;
    conv_state s = {.a = node->attributes.conv, .pixels = output->rows * output->cols, .cols = output->cols};
    s.groups = (uint32_t)s.a.groups;
    s.group_in = in / s.groups;
    s.group_out = out / s.groups;
    s.panels = (s.group_out + FG_PANEL - 1) / FG_PANEL;
    s.taps = (uint32_t)(s.a.kernel_h * s.a.kernel_w);
    s.depthwise = s.groups > 1 && s.groups == in && s.groups == out;
    return s;
}

/* Parts of a node's state behind the struct. */
static uint64_t lay_out_state(conv_state *s, uint8_t *base)
{
    uint64_t used = fg_round_up(sizeof *s, FG_CACHE_LINE);
    uint64_t offsets = 2 * (uint64_t)s->taps * sizeof *s->offsets;
    uint64_t taps = s->depthwise ? (uint64_t)s->taps * sizeof *s->depthwise_taps : 0;
    uint64_t bias = (uint64_t)s->groups * (s->depthwise ? 1 : s->panels * FG_PANEL) * sizeof *s->bias;
    if (base) {
        s->offsets = (ptrdiff_t *)(void *)(base + used);
        s->depthwise_taps = (fg_tap *)(void *)(base + used + offsets);
        s->bias = (float *)(void *)(base + used + offsets + taps);
    }
    return used + offsets + taps + bias;
}

size_t fg_conv_packed_rows(const conv_state *s)
{
    size_t window = (size_t)s->taps * s->group_in * s->groups, weights = window * s->group_out;
    size_t fit = (weights < FG_MANY_WEIGHTS ? PACKED_NUMBERS : PACKED_MOST) / window;
    size_t most = s->pixels < FG_CHUNK_PIXELS ? s->pixels : FG_CHUNK_PIXELS; /* a small map asks for little memory */
    return fit < 1 ? 1 : fit < most ? fit : most;
}

uint64_t fg_conv_lay_out_scratch(const conv_state *s, int transposed, uint8_t *base, conv_scratch *scratch)
{
    int gemm = !s->depthwise, pack = gemm || transposed;
    uint64_t packed = fg_conv_packed_rows(s) * (uint64_t)s->taps * s->group_in * s->groups;
    uint64_t sizes[6] = {
        pack ? FG_CHUNK_PIXELS * sizeof(float *) : 0,          pack ? FG_CHUNK_PIXELS * sizeof(float *) : 0,
        pack ? FG_CHUNK_PIXELS * sizeof(uint32_t) : 0,         pack ? packed * sizeof(float) : 0,
        gemm ? 0 : fg_depthwise_edge_taps(s) * sizeof(fg_tap), gemm ? 0 : FG_CHUNK_PIXELS * sizeof(fg_depthwise_run)};
    uint64_t used = 0;
    uint8_t *parts[6];
    for (int i = 0; i < 6; i++) {
        parts[i] = base ? base + used : NULL;
        used += fg_round_up(sizes[i], FG_CACHE_LINE);
    }
    if (scratch) {
        scratch->x = (const float **)(void *)parts[0];
        scratch->to = (float **)(void *)parts[1];
        scratch->edge = (uint32_t *)(void *)parts[2];
        scratch->packed = (float *)(void *)parts[3];
        scratch->taps = (fg_tap *)(void *)parts[4];
        scratch->runs = (fg_depthwise_run *)(void *)parts[5];
    }
    return used;
}

void fg_conv_sizes(const fg_graph *graph, const fg_node_record *node, int transposed, fg_op_sizes *sizes)
{
    conv_state s = fg_conv_state_of(graph, node);
    const fg_value_record *x = &graph->values[graph->index[node->first_input]];
    const fg_value_record *out = &graph->values[node->output];
    fg_window window = fg_conv_window(&s.a);
    sizes->aux = lay_out_state(&s, NULL);
    sizes->thread = fg_conv_lay_out_scratch(&s, transposed, NULL, NULL);
    sizes->footprint = fg_mask_window_scratch(&window, x->cols, out->cols) * sizeof(uint64_t);
}

static void conv_sizes(const fg_graph *graph, const fg_node_record *node, fg_op_sizes *sizes)
{
    uint32_t number = (uint32_t)(node - graph->nodes);
    fg_conv_sizes(graph, node, 0, sizes);
    if (fg_separable_at(graph, number)) sizes->thread += fg_separable_thread(graph, number);
}

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

uint32_t fg_conv_fuse(const fg_node_record *node, fg_finish *finish)
{
    float p = node->activation_parameters[0], q = node->activation_parameters[1];
    if (node->attributes.conv.residual != FG_RESIDUAL_NONE) return 0;
    switch (node->activation) {
    case FG_ACT_IDENTITY: return 1;
    case FG_ACT_RELU: *finish = (fg_finish){.steps = FG_FINISH_LOW}; return 1;
    case FG_ACT_CLIP: *finish = (fg_finish){FG_FINISH_LOW | FG_FINISH_HIGH, p, q + 0.0f, 0.0f}; return 1;
    case FG_ACT_LEAKY_RELU:
        if (!(p > 0.0f && p <= 1.0f)) return 0;
        *finish = (fg_finish){.steps = FG_FINISH_SLOPE, .slope = p};
        return 1;
    default: return 0;
    }
}

static void pad_bias(conv_state *s, const float *bias)
{
    size_t padded = s->depthwise ? 1 : (size_t)s->panels * FG_PANEL; /* zeroed, as all state is */
    if (!bias && !s->finish.steps) s->bias = NULL;
    for (uint32_t g = 0; bias && g < s->groups; g++) {
        fg_conv_bias(s->bias + g * padded, bias + (size_t)g * s->group_out, s->group_out);
    }
}

void fg_conv_init(const fg_op_context *context)
{
    conv_state *s = context->aux;
    const fg_value_state *x = fg_op_input(context, CONV_X), *out = context->output;
    *s = fg_conv_state_of(context->graph, context->node);
    lay_out_state(s, context->aux);
    const fg_conv_attributes *a = &s->a;
    interior(x->rows, out->rows, a->kernel_h, a->stride_h, a->dilation_h, a->pad_top, &s->row_begin, &s->row_count);
    interior(x->cols, out->cols, a->kernel_w, a->stride_w, a->dilation_w, a->pad_left, &s->col_begin, &s->col_count);
    s->fused = fg_conv_fuse(context->node, &s->finish);
    pad_bias(s, fg_op_optional(context, CONV_BIAS));
    ptrdiff_t pixel = (ptrdiff_t)x->stride, row_step = a->dilation_h * (ptrdiff_t)x->cols * pixel,
              col_step = a->dilation_w * pixel;
    int joined = s->groups == 1 && ((a->dilation_w == 1 && fg_value_is_packed(x)) || a->kernel_w == 1);
    s->long_taps = joined ? (size_t)a->kernel_h : s->taps;
    s->long_depth = joined ? (size_t)a->kernel_w * s->group_in : s->group_in;
    s->point = s->taps == 1 && a->stride_h == 1 && a->stride_w == 1 && s->row_count == out->rows &&
               s->col_count == out->cols && x->rows == out->rows && x->cols == out->cols;
    uint32_t across = (uint32_t)(s->long_taps / (size_t)a->kernel_h);
    for (uint32_t t = 0; t < s->long_taps; t++) {
        s->offsets[t] = (ptrdiff_t)(t / across) * row_step + (ptrdiff_t)(t % across) * col_step;
        if (s->depthwise) s->depthwise_taps[t] = (fg_tap){s->offsets[t], (size_t)t * s->groups};
    }
    for (uint32_t t = 0; t < s->taps; t++) s->offsets[s->taps + t] = (ptrdiff_t)t * (ptrdiff_t)x->channels;
}

void fg_conv_footprint(const fg_op_context *context, uint64_t *candidates, uint64_t *scratch)
{
    const fg_conv_attributes *a = &context->node->attributes.conv;
    const fg_value_state *x = fg_op_input(context, CONV_X), *out = context->output;
    fg_window window = fg_conv_window(a);
    if (x->mask && x->changed) {
        fg_mask_window(&window, x->mask, x->rows, x->cols, candidates, out->rows, out->cols, scratch);
    }
    if (fg_op_has_input(context, CONV_RESIDUAL)) {
        fg_op_footprint_broadcast(context, fg_op_input(context, CONV_RESIDUAL), candidates);
    }
}

size_t fg_conv_part(const fg_op_context *context, size_t channels, size_t *first)
{
    const size_t panels = (channels + FG_PANEL - 1) / FG_PANEL;
    const size_t end = panels * (context->part + 1) / context->parts * FG_PANEL;
    *first = panels * context->part / context->parts * FG_PANEL;
    return (end < channels ? end : channels) - *first;
}

/* A part of the weights as they lie. */
static void take_part(const fg_op_context *context, conv_call *call)
{
    const conv_state *s = call->s;
    size_t first;
    call->columns = fg_conv_part(context, s->group_out, &first);
    call->weights += first * s->taps * s->group_in;
    call->out += first;
    if (call->bias) call->bias += first;
}

static uint32_t conv_parts(const fg_op_context *context)
{
    const conv_state *s = context->aux;
    const size_t weights = (size_t)s->taps * s->group_in * s->group_out;
    return s->groups == 1 && s->fused && weights >= FG_MANY_WEIGHTS ? s->panels : 0;
}

conv_call fg_conv_begin(const fg_op_context *context, float *out, size_t out_stride, int transposed, void *memory)
{
    conv_call call = {.kernels = context->kernels, .s = context->aux, .out = out, .out_stride = out_stride};
    call.x = fg_op_input(context, CONV_X);
    call.weights = fg_op_input(context, CONV_WEIGHTS)->data;
    call.bias = call.s->bias;
    call.columns = call.s->group_out;
    fg_conv_lay_out_scratch(call.s, transposed, memory, &call.scratch);
    if (context->parts > 1) take_part(context, &call);
    return call;
}

/* count pixels, all groups, from x to to; with groups both lists are used up. */
static void run_pixels(const conv_call *call, const float **x, float **to, size_t count, const ptrdiff_t *offsets,
                       size_t taps, size_t depth, const float *weights)
{
    const conv_state *s = call->s;
    size_t padded = (size_t)s->panels * FG_PANEL;
    fg_gemm_f32_args args = {x, count, offsets, taps, depth, NULL, call->columns, NULL, s->finish, to};
    for (uint32_t g = 0; count > 0 && g < s->groups; g++) {
        args.panels = weights + g * padded * taps * depth;
        args.bias = call->bias ? call->bias + g * padded : NULL;
        call->kernels->gemm_f32(&args);
        for (size_t r = 0; r < count && g + 1 < s->groups; r++) x[r] += s->group_in, to[r] += s->group_out;
    }
}

void fg_conv_run_packed(const conv_call *call, size_t count, size_t taps, const float *weights)
{
    const conv_state *s = call->s;
    const ptrdiff_t *offsets = s->offsets + s->taps;
    int one = s->groups == 1; /* then a window is one long tap */
    run_pixels(call, call->scratch.x, call->scratch.to, count, offsets, one ? 1 : taps,
               one ? taps * s->group_in : s->group_in, weights);
}

void fg_conv_finish(const fg_op_context *context, const uint32_t *pixels, uint32_t count, float *out, size_t out_stride)
{
    int32_t residual = context->node->attributes.conv.residual;
    size_t channels = context->output->channels;
    if (residual == FG_RESIDUAL_AFTER) fg_op_activate(context, out, count, out_stride);
    if (residual != FG_RESIDUAL_NONE) {
        const fg_value_state *add = fg_op_input(context, CONV_RESIDUAL);
        for (uint32_t i = 0; i < count; i++) {
            float *row = out + i * out_stride;
            context->kernels->binary_f32(FG_BINARY_ADD, row, 1, fg_value_pixel(add, pixels[i]), 1, row, channels);
        }
    }
    if (residual != FG_RESIDUAL_AFTER) fg_op_activate(context, out, count, out_stride);
}

void fg_conv_inside_taps(int64_t first, int32_t kernel, int32_t dilation, uint32_t extent, int32_t *begin, int32_t *end)
{
    int64_t before = first < 0 ? -first : 0, left = (int64_t)extent - first; /* positions */
    if (dilation > 1) { /* elements: one every dilation positions */
        before = (before + dilation - 1) / dilation;
        left = (left + dilation - 1) / dilation;
    }
    *begin = before < kernel ? (int32_t)before : kernel;
    *end = left < *begin ? *begin : left < kernel ? (int32_t)left : kernel;
}

/* A pixel's window, taps in order, zeros where it leaves the input. */
static void pack_window(const conv_call *call, uint32_t row, uint32_t col, float *to)
{
    const fg_conv_attributes *a = &call->s->a;
    const fg_value_state *x = call->x;
    int64_t top = (int64_t)row * a->stride_h - a->pad_top, left = (int64_t)col * a->stride_w - a->pad_left;
    size_t channels = x->channels, tap_row = (size_t)a->kernel_w * channels;
    int32_t first_row, end_row, first_col, end_col;
    fg_conv_inside_taps(top, a->kernel_h, a->dilation_h, x->rows, &first_row, &end_row);
    fg_conv_inside_taps(left, a->kernel_w, a->dilation_w, x->cols, &first_col, &end_col);
    memset(to, 0, (size_t)a->kernel_h * tap_row * sizeof *to);
    if (first_col == end_col) return; /* no pixel to point at */
    for (int32_t ky = first_row; ky < end_row; ky++) {
        size_t from = (size_t)(top + (int64_t)ky * a->dilation_h) * x->cols;
        fg_conv_copy(call->kernels, fg_value_pixel(x, from + (size_t)(left + (int64_t)first_col * a->dilation_w)),
                     a->dilation_w * (ptrdiff_t)x->stride, channels, (size_t)(end_col - first_col),
                     to + (size_t)ky * tap_row + (size_t)first_col * channels);
    }
}

static void run_edges(const conv_call *call, const uint32_t *pixels, uint32_t count)
{
    const conv_state *s = call->s;
    const conv_scratch *scratch = &call->scratch;
    size_t numbers = (size_t)s->taps * s->group_in * s->groups;
    uint32_t most = (uint32_t)fg_conv_packed_rows(s), cols = call->s->cols;
    for (uint32_t done = 0, n; done < count; done += n) {
        n = count - done < most ? count - done : most;
        for (uint32_t i = 0; i < n; i++) {
            uint32_t slot = scratch->edge[done + i];
            float *window = scratch->packed + i * numbers;
            pack_window(call, pixels[slot] / cols, pixels[slot] % cols, window);
            scratch->x[i] = window;
            scratch->to[i] = call->out + slot * call->out_stride;
        }
        fg_conv_run_packed(call, n, s->taps, call->weights);
    }
}

/* Whether a call's interior pixels had better be packed, too, since that copies fewer numbers than weights would be
 * read once more for them. The products are the same, in the same order. */
static int reads_weights_twice(const conv_state *s, uint32_t inside, uint32_t count)
{
    return s->groups == 1 && inside < s->group_out && count <= fg_conv_packed_rows(s) &&
           (size_t)s->taps * s->group_in * s->group_out >= FG_MANY_WEIGHTS;
}

/* Pixels of a convolution that reads just those: no rows need to be told apart. */
static void point_pixels(const conv_call *call, const uint32_t *pixels, uint32_t count)
{
    const conv_scratch *scratch = &call->scratch;
    const float *x = call->x->data;
    float *to = call->out;
    const size_t step = call->x->stride, out_stride = call->out_stride;
    _Pragma("GCC unroll 4") for (uint32_t i = 0; i < count; i++, to += out_stride)
    {
        scratch->x[i] = x + pixels[i] * step;
        scratch->to[i] = to;
    }
    run_pixels(call, scratch->x, scratch->to, count, call->s->offsets, 1, call->s->group_in, call->weights);
}

static void gemm_pixels(const conv_call *call, const uint32_t *pixels, uint32_t count)
{
    const conv_state *s = call->s;
    const conv_scratch *scratch = &call->scratch;
    size_t step = (size_t)s->a.stride_w * call->x->stride;
    uint32_t inside = 0, edges = 0;
    for (uint32_t i = 0; i < count;) {
        row_piece piece = fg_conv_next_piece(s, pixels, i, count);
        uint32_t k = 0;
        for (; k < piece.left; k++) scratch->edge[edges++] = i + k;
        fg_conv_list(call->x->data + fg_conv_first_tap(call, piece.row, piece.col + k), step,
                     call->out + (i + k) * call->out_stride, call->out_stride, piece.inside, scratch->x + inside,
                     scratch->to + inside);
        inside += piece.inside;
        k += piece.inside;
        for (; k < piece.count; k++) scratch->edge[edges++] = i + k;
        i += piece.count;
    }
    if (edges && inside && reads_weights_twice(s, inside, count)) {
        for (uint32_t i = 0; i < count; i++) scratch->edge[i] = i;
        edges = count;
        inside = 0;
    }
    run_pixels(call, scratch->x, scratch->to, inside, s->offsets, s->long_taps, s->long_depth, call->weights);
    if (edges) run_edges(call, pixels, edges);
}

static void conv_compute(const fg_op_context *context, const uint32_t *pixels, uint32_t count, float *out,
                         size_t out_stride, void *memory)
{
    conv_call call = fg_conv_begin(context, out, out_stride, 0, memory);
    if (context->before) {
        uint64_t own = fg_conv_lay_out_scratch(call.s, 0, NULL, NULL);
        fg_separable_compute(context->before, &call, pixels, count, (uint8_t *)memory + own);
    } else if (call.s->depthwise) {
        fg_depthwise_pixels(&call, pixels, count);
    } else if (call.s->point) {
        point_pixels(&call, pixels, count);
    } else {
        gemm_pixels(&call, pixels, count);
    }
    if (!call.s->fused) fg_conv_finish(context, pixels, count, out, out_stride);
}

int fg_conv_rows(const fg_graph *graph, const fg_node_record *node, uint32_t k, uint32_t row, fg_rows *rows)
{
    fg_window window = fg_conv_window(&node->attributes.conv);
    if (k != CONV_X) return fg_op_rows_pointwise(graph, node, k, row, rows);
    return fg_op_rows_window(&window, graph, node, row, rows);
}

const fg_op_entry fg_op_conv2d = {.sizes = conv_sizes,
                                  .init = fg_conv_init,
                                  .footprint = fg_conv_footprint,
                                  .compute = conv_compute,
                                  .apart = FG_APART_INPUTS | FG_APART_OUTPUT,
                                  .rows_read = fg_conv_rows,
                                  .parts = conv_parts};
