/* winograd.c: 3x3 convolution by Winograd's F(4x4, 3x3), where the node says so (FG_NODE_WINOGRAD).
 *
 * The output is cut into tiles of 4 x 4 pixels from pixel (0, 0) on. A tile with a listed pixel is computed whole, from
 * its patch of 6 x 6 input pixels and nothing else, so a pixel's bits do not depend on what is listed beside it. They
 * depend on the whole patch, though: candidates are whole tiles. Tiles go in batches: patches are transformed, position
 * by position multiplied by the weights, and transformed back. Compact weights (FG_NODE_COMPACT) are transformed as
 * they are needed, a few into memory that stays in a cache: large ones are read four times as fast as transformed. */
#include "../kernels/loops.h"
#include "../kernels/winograd.h"
#include "conv.h"

#include <string.h>

enum {
    BATCH_NUMBERS = 131072, /* about so many in a batch's transformed patches and sums: a second cache's worth */
    BATCH_LEAST = 36,       /* tiles: weights are read once per batch */
    BATCH_MOST = 72,
    SPACING = 16, /* numbers between two positions' blocks, which would otherwise meet in the same lines of a cache */
    TAPS = 9,     /* of the kernel */
    COMPACT_STEP = FG_GEMM_BLOCK * FG_PANEL + SPACING /* from one position's compact weights to the next one's */
};

/* A tile of a batch: its place, and the listed pixels in it. */
typedef struct tile {
    uint32_t row, col; /* of its first pixel */
    uint32_t begin, end;
} tile;

typedef struct winograd_state { /* a node's aux */
    uint32_t fused;
    fg_finish finish;
    float bias[]; /* of all channels; zeros where there is none */
} winograd_state;

typedef struct winograd_call {
    const fg_op_context *context;
    const winograd_state *s;
    const fg_value_state *x;
    const float *weights; /* of the part's output channels, as all below */
    const float *bias;
    size_t panels, columns; /* numbers between two positions' weights; output channels */
    const uint32_t *pixels;
    float *out;
    size_t out_stride;
    uint32_t rows, cols; /* of the output */
    uint32_t whole;      /* all pixels of some rows of tiles, in the map's order */
    uint32_t batch;      /* tiles */
    size_t in_step, sum_step;
    /* scratch */
    tile *tiles;
    const float **from;
    float **to;
    float *patch, *in, *sums;
    float *transformed, *part; /* compact weights of a pair of rows of positions, and what they add to the sums */
} winograd_call;

static uint32_t tiles_along(uint32_t extent) { return (extent + FG_WINOGRAD_TILE - 1) / FG_WINOGRAD_TILE; }

/* Most tiles of a batch. */
static uint32_t batch_of(uint32_t in, uint32_t out, uint32_t rows, uint32_t cols)
{
    uint64_t fit = BATCH_NUMBERS / (FG_WINOGRAD_POSITIONS * ((uint64_t)in + out));
    uint64_t tiles = (uint64_t)tiles_along(rows) * tiles_along(cols);
    fit = fit < BATCH_LEAST ? BATCH_LEAST : fit < BATCH_MOST ? fit : BATCH_MOST;
    return (uint32_t)(tiles < fit ? tiles : fit);
}

static int is_compact(const fg_node_record *node) { return (node->flags & FG_NODE_COMPACT) != 0; }

static uint64_t lay_out(winograd_call *call, const fg_node_record *node, uint32_t in, uint32_t out, uint8_t *base)
{
    const uint64_t pair = is_compact(node) ? FG_WINOGRAD_PAIR : 0;
    uint64_t in_step = (uint64_t)call->batch * in + SPACING, sum_step = (uint64_t)call->batch * out + SPACING;
    uint64_t sizes[8] = {call->batch * sizeof *call->tiles,
                         call->batch * sizeof *call->from,
                         call->batch * sizeof *call->to,
                         (uint64_t)FG_WINOGRAD_POSITIONS * in * sizeof(float),
                         FG_WINOGRAD_POSITIONS * in_step * sizeof(float),
                         FG_WINOGRAD_POSITIONS * sum_step * sizeof(float),
                         pair * COMPACT_STEP * sizeof(float),
                         pair ? call->batch * FG_PANEL * sizeof(float) : 0};
    uint64_t used = 0;
    uint8_t *parts[8];
    for (int i = 0; i < 8; i++) {
        parts[i] = base ? base + used : NULL;
        used += fg_round_up(sizes[i], FG_CACHE_LINE);
    }
    call->in_step = (size_t)in_step;
    call->sum_step = (size_t)sum_step;
    call->tiles = (tile *)(void *)parts[0];
    call->from = (const float **)(void *)parts[1];
    call->to = (float **)(void *)parts[2];
    call->patch = (float *)(void *)parts[3];
    call->in = (float *)(void *)parts[4];
    call->sums = (float *)(void *)parts[5];
    call->transformed = (float *)(void *)parts[6];
    call->part = (float *)(void *)parts[7];
    return used;
}

static void winograd_sizes(const fg_graph *graph, const fg_node_record *node, fg_op_sizes *sizes)
{
    const fg_value_record *x = &graph->values[graph->index[node->first_input]];
    const fg_value_record *out = &graph->values[node->output];
    fg_window window = fg_conv_window(&node->attributes.conv);
    winograd_call call = {.batch = batch_of(x->channels, out->channels, out->rows, out->cols)};
    sizes->aux = sizeof(winograd_state) + out->channels * sizeof(float);
    sizes->thread = lay_out(&call, node, x->channels, out->channels, NULL);
    sizes->footprint = fg_mask_window_scratch(&window, x->cols, out->cols) * sizeof(uint64_t);
}

static void winograd_init(const fg_op_context *context)
{
    winograd_state *s = context->aux;
    const float *bias = fg_op_optional(context, CONV_BIAS);
    s->fused = fg_conv_fuse(context->node, &s->finish);
    if (bias) fg_conv_bias(s->bias, bias, context->output->channels);
}

/* Whether the listed pixels are all of some rows of tiles, in the map's order: then a batch need not follow the list.
 */
static uint32_t whole_rows(const uint32_t *pixels, uint32_t count, uint32_t rows, uint32_t cols)
{
    uint32_t row = cols * FG_WINOGRAD_TILE, end = pixels[0] + count;
    if (pixels[0] % row != 0 || (end % row != 0 && end != rows * cols)) return 0;
    return fg_op_run_length(pixels, 0, count) == count;
}

/* A tile's patch, zeros where it leaves the input. */
static void pack_patch(const winograd_call *call, int64_t top, int64_t left)
{
    const fg_value_state *x = call->x;
    const size_t channels = x->channels;
    int32_t first_row, end_row, first_col, end_col;
    fg_conv_inside_taps(top, FG_WINOGRAD_PATCH, 1, x->rows, &first_row, &end_row);
    fg_conv_inside_taps(left, FG_WINOGRAD_PATCH, 1, x->cols, &first_col, &end_col);
    memset(call->patch, 0, FG_WINOGRAD_POSITIONS * channels * sizeof *call->patch);
    if (first_col == end_col) return; /* no pixel to point at */
    for (int32_t i = first_row; i < end_row; i++) {
        fg_conv_copy(call->context->kernels,
                     fg_value_pixel(x, (size_t)(top + i) * x->cols + (size_t)(left + first_col)), (ptrdiff_t)x->stride,
                     channels, (size_t)(end_col - first_col),
                     call->patch + (size_t)(i * FG_WINOGRAD_PATCH + first_col) * channels);
    }
}

static void transform_patch(const winograd_call *call, const tile *at, float *to)
{
    const fg_conv_attributes *a = &call->context->node->attributes.conv;
    const fg_value_state *x = call->x;
    size_t channels = x->channels;
    int64_t top = (int64_t)at->row - a->pad_top, left = (int64_t)at->col - a->pad_left;
    fg_winograd_input_f32_args args = {
        .col_step = (ptrdiff_t)x->stride, .channels = channels, .out = to, .out_step = call->in_step};
    if (top >= 0 && left >= 0 && top + FG_WINOGRAD_PATCH <= (int64_t)x->rows &&
        left + FG_WINOGRAD_PATCH <= (int64_t)x->cols) {
        args.x = fg_value_pixel(x, (size_t)top * x->cols + (size_t)left);
        args.row_step = (ptrdiff_t)(x->cols * x->stride);
    } else {
        pack_patch(call, top, left);
        args.x = call->patch;
        args.col_step = (ptrdiff_t)channels;
        args.row_step = (ptrdiff_t)(FG_WINOGRAD_PATCH * channels);
    }
    call->context->kernels->winograd_input_f32(&args);
}

/* The sums of every position for count tiles. */
static void multiply(const winograd_call *call, uint32_t count)
{
    size_t in = call->x->channels, out = call->columns;
    ptrdiff_t offset = 0;
    fg_gemm_f32_args args = {
        .x = call->from, .rows = count, .offsets = &offset, .taps = 1, .depth = in, .columns = out, .out = call->to};
    fg_conv_list(call->in, in, call->sums, out, count, call->from, call->to);
    for (uint32_t p = 0; p < FG_WINOGRAD_POSITIONS; p++) {
        offset = (ptrdiff_t)(p * call->in_step);
        args.panels = call->weights + p * call->panels;
        call->context->kernels->gemm_f32(&args);
        for (uint32_t i = 0; i < count; i++) call->to[i] += call->sum_step;
    }
}

/* What a position's sums are multiplied by where weights are compact: one over the distances of its row's and its
 * column's points to the others. */
static float position_scale(uint32_t row, uint32_t col)
{
    static const double p = 2.0 * FG_WINOGRAD_P2 * (FG_WINOGRAD_P2 - FG_WINOGRAD_Q2);
    static const double q = 2.0 * FG_WINOGRAD_Q2 * (FG_WINOGRAD_Q2 - FG_WINOGRAD_P2);
    const double scales[FG_WINOGRAD_PATCH] = {1.0 / FG_WINOGRAD_P2Q2, 1.0 / p, 1.0 / p, 1.0 / q, 1.0 / q, 1.0};
    return (float)(scales[row] * scales[col]);
}

/* Adds what the first or a later block of products gives to a position's sums of a panel's columns. */
FG_INLINE void add_columns(const winograd_call *call, uint32_t count, const size_t columns, const int first,
                           float scale, float *restrict sums)
{
    const float *restrict part = call->part;
    for (uint32_t i = 0; i < count; i++, part += FG_PANEL, sums += call->columns) {
        for (size_t j = 0; j < columns; j++) sums[j] = (first ? part[j] : sums[j] + part[j]) * scale;
    }
}

static void add_part(const winograd_call *call, uint32_t count, size_t columns, int first, float scale, float *sums)
{
    if (columns < FG_PANEL) {
        add_columns(call, count, columns, first, scale, sums);
    } else if (first) {
        add_columns(call, count, FG_PANEL, 1, scale, sums);
    } else {
        add_columns(call, count, FG_PANEL, 0, scale, sums);
    }
}

/* The products of a block of channels from c on with the panel of a column, at the positions of a pair of rows. */
static void multiply_pair(const winograd_call *call, uint32_t count, uint32_t pair, size_t column, size_t c)
{
    const fg_kernels *kernels = call->context->kernels;
    const size_t in = call->x->channels, depth = in - c < FG_GEMM_BLOCK ? in - c : FG_GEMM_BLOCK;
    const size_t columns = call->columns - column < FG_PANEL ? call->columns - column : FG_PANEL;
    const fg_winograd_weights_f32_args weights = {.weights = call->weights + column * TAPS * in + c * FG_PANEL,
                                                  .tap_step = in * FG_PANEL,
                                                  .count = depth * FG_PANEL,
                                                  .pair = pair,
                                                  .out = call->transformed,
                                                  .out_step = COMPACT_STEP};
    ptrdiff_t offset = 0;
    fg_gemm_f32_args args = {.x = call->from,
                             .rows = count,
                             .offsets = &offset,
                             .taps = 1,
                             .depth = depth,
                             .columns = FG_PANEL,
                             .out = call->to};
    kernels->winograd_weights_f32(&weights);
    for (uint32_t k = 0; k < FG_WINOGRAD_PAIR; k++) {
        const uint32_t row = fg_winograd_row(pair, k / FG_WINOGRAD_PATCH), col = k % FG_WINOGRAD_PATCH;
        const size_t position = row * FG_WINOGRAD_PATCH + col;
        const float scale = c + depth == in ? position_scale(row, col) : 1.0f;
        offset = (ptrdiff_t)(position * call->in_step + c);
        args.panels = call->transformed + k * COMPACT_STEP;
        kernels->gemm_f32(&args);
        add_part(call, count, columns, c == 0, scale, call->sums + position * call->sum_step + column);
    }
}

/* The same with compact weights, panel by panel. */
static void multiply_compact(const winograd_call *call, uint32_t count)
{
    const size_t in = call->x->channels;
    fg_conv_list(call->in, in, call->part, FG_PANEL, count, call->from, call->to);
    for (size_t column = 0; column < call->columns; column += FG_PANEL) {
        for (size_t c = 0; c < in; c += FG_GEMM_BLOCK) {
            for (uint32_t pair = 0; pair < FG_WINOGRAD_PAIRS; pair++) multiply_pair(call, count, pair, column, c);
        }
    }
}

/* A tile's pixels from its sums, those that are listed. */
static void transform_sums(const winograd_call *call, const tile *at, const float *sums)
{
    float *out[FG_WINOGRAD_PIXELS] = {NULL};
    if (call->whole) {
        const size_t begin = (size_t)(at->row * call->cols + at->col - call->pixels[0]) * call->out_stride;
        for (uint32_t r = 0; r < FG_WINOGRAD_TILE && at->row + r < call->rows; r++) {
            float *to = call->out + begin + r * call->cols * call->out_stride;
            for (uint32_t c = 0; c < FG_WINOGRAD_TILE && at->col + c < call->cols; c++, to += call->out_stride)
                out[r * FG_WINOGRAD_TILE + c] = to;
        }
    }
    for (uint32_t i = at->begin; i < at->end; i++) {
        uint32_t row = call->pixels[i] / call->cols - at->row, col = call->pixels[i] % call->cols - at->col;
        out[row * FG_WINOGRAD_TILE + col] = call->out + i * call->out_stride;
    }
    const fg_winograd_output_f32_args args = {.x = sums,
                                              .x_step = call->sum_step,
                                              .channels = call->columns,
                                              .bias = call->bias,
                                              .finish = call->s->finish,
                                              .out = out};
    call->context->kernels->winograd_output_f32(&args);
}

static void run_batch(const winograd_call *call, uint32_t count)
{
    size_t in = call->x->channels, out = call->columns;
    for (uint32_t i = 0; i < count; i++) transform_patch(call, &call->tiles[i], call->in + i * in);
    if (is_compact(call->context->node)) {
        multiply_compact(call, count);
    } else {
        multiply(call, count);
    }
    for (uint32_t i = 0; i < count; i++) transform_sums(call, &call->tiles[i], call->sums + i * out);
}

/* All tiles of some rows of them, in batches of nearly equal size. */
static void run_whole(const winograd_call *call, uint32_t count)
{
    uint32_t first = call->pixels[0] / call->cols, across = tiles_along(call->cols);
    uint32_t left = tiles_along(count / call->cols) * across, batches = (left + call->batch - 1) / call->batch;
    for (uint32_t t = 0, n; batches > 0; batches--, t += n, left -= n) {
        n = (left + batches - 1) / batches;
        for (uint32_t i = 0; i < n; i++) {
            uint32_t row = first + (t + i) / across * FG_WINOGRAD_TILE, col = (t + i) % across * FG_WINOGRAD_TILE;
            call->tiles[i] = (tile){.row = row, .col = col};
        }
        run_batch(call, n);
    }
}

/* The tiles of listed pixels; those of one tile follow each other. */
static void run_listed(const winograd_call *call, uint32_t count)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = call->pixels[i] / call->cols, col = call->pixels[i] % call->cols;
        tile *last = n ? &call->tiles[n - 1] : NULL;
        if (last && row - last->row < FG_WINOGRAD_TILE && col - last->col < FG_WINOGRAD_TILE) {
            last->end = i + 1;
            continue;
        }
        if (n == call->batch) {
            run_batch(call, n);
            n = 0;
        }
        call->tiles[n++] = (tile){row - row % FG_WINOGRAD_TILE, col - col % FG_WINOGRAD_TILE, i, i + 1};
    }
    run_batch(call, n);
}

static uint32_t panels_of(const fg_op_context *context)
{
    return (context->output->channels + FG_PANEL - 1) / FG_PANEL;
}

/* Each transforms all patches: a twentieth of the work. */
static uint32_t winograd_parts(const fg_op_context *context)
{
    const winograd_state *s = context->aux;
    const size_t weights =
        (size_t)FG_WINOGRAD_POSITIONS * fg_op_input(context, CONV_X)->channels * context->output->channels;
    return s->fused && weights >= FG_MANY_WEIGHTS ? panels_of(context) : 0;
}

/* A part of each position's weights as they lie. */
static void take_part(const fg_op_context *context, winograd_call *call)
{
    size_t first;
    call->columns = fg_conv_part(context, call->columns, &first);
    call->weights += first * call->x->channels * (is_compact(context->node) ? TAPS : 1);
    call->bias += first;
    call->out += first;
}

static void winograd_compute(const fg_op_context *context, const uint32_t *pixels, uint32_t count, float *out,
                             size_t out_stride, void *memory)
{
    const fg_value_state *x = fg_op_input(context, CONV_X), *output = context->output;
    const winograd_state *s = context->aux;
    winograd_call call = {.context = context,
                          .s = s,
                          .x = x,
                          .weights = fg_op_input(context, CONV_WEIGHTS)->data,
                          .bias = s->bias,
                          .panels = (size_t)panels_of(context) * FG_PANEL * x->channels,
                          .columns = output->channels,
                          .pixels = pixels,
                          .out = out,
                          .out_stride = out_stride,
                          .rows = output->rows,
                          .cols = output->cols};
    call.batch = batch_of(x->channels, output->channels, output->rows, output->cols);
    lay_out(&call, context->node, x->channels, output->channels, memory);
    call.whole = whole_rows(pixels, count, call.rows, call.cols);
    if (context->parts > 1) take_part(context, &call);
    if (call.whole) {
        run_whole(&call, count);
    } else {
        run_listed(&call, count);
    }
    if (!s->fused) fg_conv_finish(context, pixels, count, out, out_stride);
}

static int winograd_rows(const fg_graph *graph, const fg_node_record *node, uint32_t k, uint32_t row, fg_rows *rows)
{
    fg_window window = fg_conv_window(&node->attributes.conv);
    if (k != CONV_X) return fg_op_rows_pointwise(graph, node, k, row, rows);
    window.kernel_h = FG_WINOGRAD_PATCH;
    return fg_op_rows_window(&window, graph, node, row - row % FG_WINOGRAD_TILE, rows);
}

const fg_op_entry fg_op_winograd = {.sizes = winograd_sizes,
                                    .init = winograd_init,
                                    .footprint = fg_conv_footprint,
                                    .compute = winograd_compute,
                                    .apart = FG_APART_INPUTS | FG_APART_OUTPUT,
                                    .rows_read = winograd_rows,
                                    .parts = winograd_parts,
                                    .square = FG_WINOGRAD_TILE,
                                    .square_work = 4}; /* 36 products a channel pair, a pixel has 9 */
