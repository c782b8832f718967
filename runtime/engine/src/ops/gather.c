/* gather.c: index maps over rows, cols and channels, concatenation, resampling by tables. */
#include "op.h"

#include <string.h>

enum { GATHER_X = 0, GATHER_ROWS = 1, GATHER_COLS = 2, GATHER_CHANNELS = 3 };

static void gather_footprint(const fg_op_context *context, uint64_t *candidates, uint64_t *scratch)
{
    const fg_value_state *x = fg_op_input(context, GATHER_X), *out = context->output;
    const int32_t *rows = fg_op_table(context, GATHER_ROWS), *cols = fg_op_table(context, GATHER_COLS);
    (void)scratch;
    if (!x->mask || !x->changed) return;
    for (uint32_t i = 0; i < out->rows; i++) {
        uint64_t *to = candidates + (size_t)i * out->words;
        int64_t row = rows ? rows[i] : (int64_t)i;
        if (row < 0) continue;
        const uint64_t *from = fg_value_mask_row(x, (uint32_t)row);
        if (!fg_mask_any(from, x->words)) continue;
        if (!cols) {
            fg_mask_or(to, from, out->words);
            continue;
        }
        for (uint32_t j = 0; j < out->cols; j++) {
            if (cols[j] >= 0 && fg_mask_test(from, (uint32_t)cols[j])) fg_mask_set(to, j);
        }
    }
}

int fg_gather_is_range(const fg_graph *graph, const fg_node_record *node, uint32_t *first)
{
    const fg_gather_attributes *a = &node->attributes.gather;
    const uint32_t *inputs = graph->index + node->first_input;
    uint32_t channels = graph->values[node->output].channels, maps[3];
    for (uint32_t i = 0; i < 3; i++) maps[i] = i + 1 < node->input_count ? inputs[i + 1] : FG_NONE;
    *first = 0;
    if (node->op != FG_OP_GATHER || maps[0] != FG_NONE || maps[1] != FG_NONE) return 0;
    if (maps[2] == FG_NONE) return 1;
    const int32_t *map = fg_graph_constant(graph, maps[2]);
    if (a->phase_rows != 1 || a->phase_cols != 1 || map[0] < 0) return 0;
    for (uint32_t c = 1; c < channels; c++) {
        if (map[c] != map[0] + (int32_t)c) return 0;
    }
    *first = (uint32_t)map[0];
    return 1;
}

/* How a node's map reads channels. */
typedef enum map_kind {
    MAP_SLICES, /* in each phase a run of channels, or there is no map */
    MAP_CHANNELS,
    MAP_HOLES /* some numbers are fill */
} map_kind;

typedef struct gather_state {
    map_kind kind;
} gather_state;

static void gather_sizes(const fg_graph *graph, const fg_node_record *node, fg_op_sizes *sizes)
{
    (void)graph;
    (void)node;
    sizes->aux = sizeof(gather_state);
    sizes->thread = 2 * FG_CHUNK_PIXELS * sizeof(uint32_t);
}

static void gather_init(const fg_op_context *context)
{
    const fg_gather_attributes *a = &context->node->attributes.gather;
    const int32_t *map = fg_op_table(context, GATHER_CHANNELS);
    gather_state *s = context->aux;
    size_t channels = context->output->channels, phases = (size_t)a->phase_rows * (size_t)a->phase_cols;
    s->kind = MAP_SLICES;
    for (size_t i = 0; map && i < phases * channels; i++) {
        if (map[i] < 0) s->kind = MAP_HOLES;
        if (map[i] != map[i - i % channels] + (int32_t)(i % channels) && s->kind == MAP_SLICES) s->kind = MAP_CHANNELS;
    }
}

static void fill_numbers(float *out, size_t count, float value)
{
    for (size_t i = 0; i < count; i++) out[i] = value;
}

static void fill_pixels(float *out, uint32_t count, size_t out_stride, size_t channels, float value)
{
    for (uint32_t i = 0; i < count; i++) fill_numbers(out + i * out_stride, channels, value);
}

/* Pixels whose input pixels are evenly spaced in memory and whose channels one map describes. */
typedef struct gather_run {
    const float *x; /* NULL: outside the input, all numbers are fill */
    ptrdiff_t step;
    const int32_t *map;
    uint32_t count;
} gather_run;

static int64_t mapped(const int32_t *table, uint32_t at) { return table ? table[at] : (int64_t)at; }

/* The run from pixel i on of pixels at rows row and columns col. */
static gather_run next_run(const fg_op_context *context, uint32_t i, uint32_t count, const uint32_t *row,
                           const uint32_t *col)
{
    const fg_gather_attributes *a = &context->node->attributes.gather;
    const fg_value_state *x = fg_op_input(context, GATHER_X);
    const int32_t *rows = fg_op_table(context, GATHER_ROWS), *cols = fg_op_table(context, GATHER_COLS);
    int64_t in_row = mapped(rows, row[i]), in_col = mapped(cols, col[i]), step = 1;
    gather_run run = {.x = NULL, .map = fg_op_table(context, GATHER_CHANNELS), .count = 1};
    if (run.map) {
        size_t phase_row = row[i] % (uint32_t)a->phase_rows, phase_col = col[i] % (uint32_t)a->phase_cols;
        run.map += (phase_row * (size_t)a->phase_cols + phase_col) * context->output->channels;
    }
    if (in_row < 0 || in_col < 0) return run;
    run.x = fg_value_pixel(x, (size_t)in_row * x->cols + (size_t)in_col);
    for (uint32_t k = i + 1; a->phase_cols == 1 && k < count && row[k] == row[i]; k++, run.count++) {
        int64_t next = mapped(cols, col[k]);
        if (k == i + 1) step = next - in_col;
        if (next < 0 || next - in_col != step) break;
        in_col = next;
    }
    run.step = (ptrdiff_t)step * (ptrdiff_t)x->stride;
    return run;
}

/* A run's pixels from the map of one phase; numbers without a source are fill. */
static void gather_pixels(const fg_op_context *context, const gather_run *run, float *out, size_t out_stride)
{
    const gather_state *s = context->aux;
    const float fill = context->node->attributes.gather.fill, *from = run->x;
    fg_permute_f32_args args = {.x = run->x,
                                .x_step = run->step,
                                .map = run->map,
                                .channels = context->output->channels,
                                .pixels = run->count,
                                .out = out,
                                .out_step = out_stride};
    if (!run->x) {
        fill_pixels(out, run->count, out_stride, args.channels, fill);
        return;
    }
    if (s->kind == MAP_HOLES) {
        for (uint32_t i = 0; i < run->count; i++, from += run->step, out += out_stride) {
            for (size_t c = 0; c < args.channels; c++) out[c] = run->map[c] < 0 ? fill : from[run->map[c]];
        }
        return;
    }
    if (s->kind == MAP_SLICES && run->map) {
        args.x += run->map[0];
        args.map = NULL;
    }
    context->kernels->permute_f32(&args);
}

static void gather_compute(const fg_op_context *context, const uint32_t *pixels, uint32_t count, float *out,
                           size_t out_stride, void *scratch)
{
    const fg_gather_attributes *a = &context->node->attributes.gather;
    const fg_value_state *x = fg_op_input(context, GATHER_X);
    int placed = fg_op_table(context, GATHER_ROWS) || fg_op_table(context, GATHER_COLS);
    uint32_t *row = scratch, *col = row + FG_CHUNK_PIXELS;
    int plain = !placed && a->phase_rows == 1 && a->phase_cols == 1; /* every pixel is its own input pixel */
    if (!plain) fg_op_positions(pixels, count, context->output->cols, row, col);
    for (uint32_t i = 0; i < count;) {
        gather_run run = {.map = fg_op_table(context, GATHER_CHANNELS), .step = (ptrdiff_t)x->stride};
        if (plain) {
            run.x = fg_value_pixel(x, pixels[i]);
            run.count = fg_op_run_length(pixels, i, count);
        } else {
            run = next_run(context, i, count, row, col);
        }
        gather_pixels(context, &run, out + i * out_stride, out_stride);
        i += run.count;
    }
}

static fg_follows gather_follows(const fg_op_context *context)
{
    return context->output->home == context->inputs[GATHER_X] ? FG_FOLLOWS_IN_PLACE : FG_FOLLOWS_INPUTS;
}

static int gather_rows(const fg_graph *graph, const fg_node_record *node, uint32_t k, uint32_t row, fg_rows *rows)
{
    uint32_t map = node->input_count > GATHER_ROWS ? graph->index[node->first_input + GATHER_ROWS] : FG_NONE;
    int64_t at = map == FG_NONE ? (int64_t)row : ((const int32_t *)fg_graph_constant(graph, map))[row];
    if (k != GATHER_X || at < 0) return 0;
    *rows = (fg_rows){(uint32_t)at, (uint32_t)at + 1};
    return 1;
}

const fg_op_entry fg_op_gather = {.sizes = gather_sizes,
                                  .init = gather_init,
                                  .footprint = gather_footprint,
                                  .compute = gather_compute,
                                  .follows = gather_follows,
                                  .apart = FG_APART_INPUTS | FG_APART_OUTPUT,
                                  .rows_read = gather_rows};

/* ---- concat ---- */

static void concat_footprint(const fg_op_context *context, uint64_t *candidates, uint64_t *scratch)
{
    int32_t axis = context->node->attributes.concat.axis;
    const fg_value_state *out = context->output;
    uint32_t offset = 0;
    (void)scratch;
    for (uint32_t i = 0; i < context->node->input_count; i++) {
        const fg_value_state *x = fg_op_input(context, i);
        if (x->mask && x->changed && axis != 1) {
            uint64_t *to = candidates + (size_t)(axis == 0 ? offset : 0) * out->words;
            fg_mask_or(to, x->mask, (size_t)x->rows * x->words);
        } else if (x->mask && x->changed) {
            for (uint32_t row = 0; row < x->rows; row++) {
                fg_mask_or_shifted(candidates + (size_t)row * out->words, out->words, fg_value_mask_row(x, row),
                                   x->words, -(int64_t)offset);
            }
        }
        offset += axis == 0 ? x->rows : axis == 1 ? x->cols : 0;
    }
}

/* The input that holds position at along rows or cols; at becomes the position inside it. */
static const fg_value_state *concat_find(const fg_op_context *context, int32_t axis, uint32_t *at)
{
    for (uint32_t i = 0;; i++) {
        const fg_value_state *x = fg_op_input(context, i);
        uint32_t extent = axis == 0 ? x->rows : x->cols;
        if (*at < extent) return x;
        *at -= extent;
    }
}

/* Whether an input lies where it belongs, from channel offset on. */
static int lies_inside(const fg_op_context *context, const fg_value_state *x, size_t offset)
{
    return x->home == context->node->output && x->data == context->output->data + offset;
}

static void concat_compute(const fg_op_context *context, const uint32_t *pixels, uint32_t count, float *out,
                           size_t out_stride, void *scratch)
{
    int32_t axis = context->node->attributes.concat.axis;
    size_t channels = context->output->channels, offset = 0;
    (void)scratch;
    for (uint32_t k = 0; axis == 2 && k < context->node->input_count; k++) {
        const fg_value_state *x = fg_op_input(context, k);
        fg_permute_f32_args args = {.x_step = (ptrdiff_t)x->stride, .channels = x->channels, .out_step = out_stride};
        for (uint32_t i = 0; !lies_inside(context, x, offset) && i < count; i += (uint32_t)args.pixels) {
            args.x = fg_value_pixel(x, pixels[i]);
            args.pixels = fg_op_run_length(pixels, i, count);
            args.out = out + i * out_stride + offset;
            context->kernels->permute_f32(&args);
        }
        offset += x->channels;
    }
    for (uint32_t i = 0, n; axis != 2 && i < count; i += n) {
        uint32_t at[2] = {pixels[i] / context->output->cols, pixels[i] % context->output->cols};
        const fg_value_state *x = concat_find(context, axis, &at[axis]);
        n = fg_op_run_length(pixels, i, count);
        if (n > x->cols - at[1]) n = x->cols - at[1];
        fg_permute_f32_args args = {.x = fg_value_pixel(x, (size_t)at[0] * x->cols + at[1]),
                                    .x_step = (ptrdiff_t)x->stride,
                                    .channels = channels,
                                    .pixels = n,
                                    .out = out + i * out_stride,
                                    .out_step = out_stride};
        context->kernels->permute_f32(&args);
    }
}

static fg_follows concat_follows(const fg_op_context *context)
{
    size_t offset = 0;
    for (uint32_t k = 0; k < context->node->input_count; k++) {
        const fg_value_state *x = fg_op_input(context, k);
        if (!lies_inside(context, x, offset)) return FG_FOLLOWS_INPUTS;
        offset += x->channels;
    }
    return FG_FOLLOWS_IN_PLACE;
}

static int concat_rows(const fg_graph *graph, const fg_node_record *node, uint32_t k, uint32_t row, fg_rows *rows)
{
    return node->attributes.concat.axis != 0 && fg_op_rows_pointwise(graph, node, k, row, rows);
}

const fg_op_entry fg_op_concat = {.footprint = concat_footprint,
                                  .compute = concat_compute,
                                  .follows = concat_follows,
                                  .apart = FG_APART_INPUTS | FG_APART_OUTPUT,
                                  .rows_read = concat_rows};

/* ---- resize ---- */

enum { RESIZE_X = 0, RESIZE_ROW_INDEX = 1, RESIZE_ROW_WEIGHT = 2, RESIZE_COL_INDEX = 3, RESIZE_COL_WEIGHT = 4 };

static void resize_sizes(const fg_graph *graph, const fg_node_record *node, fg_op_sizes *sizes)
{
    const fg_resize_attributes *a = &node->attributes.resize;
    uint64_t channels = graph->values[node->output].channels;
    sizes->thread = (uint64_t)(a->row_taps + a->col_taps) * sizeof(float *) + (uint64_t)a->row_taps * channels * 4;
    sizes->footprint = fg_mask_words(graph->values[graph->index[node->first_input]].cols) * sizeof(uint64_t);
}

static void resize_footprint(const fg_op_context *context, uint64_t *candidates, uint64_t *scratch)
{
    const fg_resize_attributes *a = &context->node->attributes.resize;
    const fg_value_state *x = fg_op_input(context, RESIZE_X), *out = context->output;
    const int32_t *rows = fg_op_table(context, RESIZE_ROW_INDEX), *cols = fg_op_table(context, RESIZE_COL_INDEX);
    if (!x->mask || !x->changed) return;
    for (uint32_t i = 0; i < out->rows; i++, rows += a->row_taps) {
        uint64_t *to = candidates + (size_t)i * out->words;
        fg_mask_clear(scratch, x->words);
        for (int32_t t = 0; t < a->row_taps; t++) {
            if (rows[t] >= 0) fg_mask_or(scratch, fg_value_mask_row(x, (uint32_t)rows[t]), x->words);
        }
        if (!fg_mask_any(scratch, x->words)) continue;
        for (uint32_t j = 0; j < out->cols; j++) {
            const int32_t *taps = cols + (size_t)j * (size_t)a->col_taps;
            uint32_t hit = 0;
            for (int32_t t = 0; t < a->col_taps; t++) hit |= taps[t] >= 0 && fg_mask_test(scratch, (uint32_t)taps[t]);
            if (hit) fg_mask_set(to, j);
        }
    }
}

static int any_negative(const int32_t *taps, int32_t count)
{
    int negative = 0;
    for (int32_t t = 0; t < count; t++) negative |= taps[t] < 0;
    return negative;
}

static void resize_compute(const fg_op_context *context, const uint32_t *pixels, uint32_t count, float *out,
                           size_t out_stride, void *scratch)
{
    const fg_resize_attributes *a = &context->node->attributes.resize;
    const fg_value_state *x = fg_op_input(context, RESIZE_X);
    const float *row_weights = fg_op_optional(context, RESIZE_ROW_WEIGHT);
    const float *col_weights = fg_op_optional(context, RESIZE_COL_WEIGHT);
    size_t channels = x->channels, row_taps = (size_t)a->row_taps, col_taps = (size_t)a->col_taps;
    const float **across = scratch, **down = across + col_taps;
    float *blended = (float *)(void *)(down + row_taps);
    for (uint32_t i = 0; i < count; i++, out += out_stride) {
        uint32_t row = pixels[i] / context->output->cols, col = pixels[i] % context->output->cols;
        const int32_t *rows = fg_op_table(context, RESIZE_ROW_INDEX) + row * row_taps;
        const int32_t *cols = fg_op_table(context, RESIZE_COL_INDEX) + col * col_taps;
        if (any_negative(rows, a->row_taps) || any_negative(cols, a->col_taps)) {
            fill_numbers(out, channels, a->fill);
            continue;
        }
        for (size_t t = 0; t < row_taps; t++) {
            const float *base = fg_value_pixel(x, (size_t)rows[t] * x->cols);
            for (size_t u = 0; u < col_taps; u++) across[u] = base + (size_t)cols[u] * x->stride;
            down[t] = blended + t * channels;
            context->kernels->blend_f32(across, col_weights + col * col_taps, col_taps, blended + t * channels,
                                        channels);
        }
        context->kernels->blend_f32(down, row_weights + row * row_taps, row_taps, out, channels);
    }
}

static int resize_rows(const fg_graph *graph, const fg_node_record *node, uint32_t k, uint32_t row, fg_rows *rows)
{
    uint32_t taps = (uint32_t)node->attributes.resize.row_taps;
    const int32_t *at = fg_graph_constant(graph, graph->index[node->first_input + RESIZE_ROW_INDEX]);
    uint32_t first = UINT32_MAX, end = 0;
    if (k != RESIZE_X) return 0;
    for (uint32_t t = 0; t < taps; t++) {
        int32_t tap = at[(size_t)row * taps + t];
        if (tap < 0) return 0;
        if ((uint32_t)tap < first) first = (uint32_t)tap;
        if ((uint32_t)tap >= end) end = (uint32_t)tap + 1;
    }
    *rows = (fg_rows){first, end};
    return taps > 0;
}

const fg_op_entry fg_op_resize = {.sizes = resize_sizes,
                                  .footprint = resize_footprint,
                                  .compute = resize_compute,
                                  .apart = FG_APART_INPUTS | FG_APART_OUTPUT,
                                  .rows_read = resize_rows};
