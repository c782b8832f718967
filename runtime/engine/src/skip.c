/* skip.c: one push of a convolution behind a skip gate (docs/file_format.md, section 5a).
 *
 *     measure   residuals of the input pixels that changed, and what each adds to the value of gates
 *     decide    gates of the outputs whose window holds one of them: a sum over the window; or the leader's gates
 *     move      closed loop: the reference follows in the windows of fired outputs
 *     update    the convolution, at fired outputs (closed loop: at those whose window moved)
 *     clear     maps that must be 0 where nothing changed
 *
 * Each step costs what it lists; the only pass over a whole map is over masks, 64 pixels a word. Residuals lie in a map
 * of the input's extents, 0 elsewhere, so that the convolution runs on them as on any input. */
#include "skip.h"

#include <string.h>

#include "state.h"

enum { SLOT_X = 0, SLOT_WEIGHTS, SLOT_BIAS, SLOT_RESIDUAL, SLOT_GATE_WEIGHTS, SLOT_RESIDUAL_BIAS, SLOTS };
enum { GATE_CLOSED = 0, GATE_OPEN = 1, GATE_HALF = 2, DECIDE_CHUNK = 512, MEASURE_ROWS = 16 };

typedef struct skip_work {
    fg_stream *stream;
    const fg_node_record *node;
    fg_skip *skip;
    const fg_skip *leader; /* whose gates these are; NULL where the node has its own */
    const fg_op_entry *op;
    const fg_value_state *x;
    fg_value_state *out;
    fg_window window;
    float *taps;
    size_t tap_stride; /* numbers per input pixel */
    float *residual;   /* the residual map; NULL in recompute */
    const float *gate_weights;
    uint32_t gumbel, closed, floor, half;
    uint32_t by_bits; /* closed loop at threshold 0: the reference follows wherever a bit differs */
    float limit;
    fg_op_context context; /* of the convolution that updates: */
    fg_value_state values[SLOTS];
    uint32_t inputs[SLOTS];
} skip_work;

static size_t tap_count(const fg_node_record *node)
{
    return (size_t)node->attributes.conv.kernel_h * (size_t)node->attributes.conv.kernel_w;
}

static uint64_t tap_stride(const fg_node_record *node)
{
    if (node->gate == FG_GATE_SHARED) return 0;
    return node->gate == FG_GATE_GUMBEL ? tap_count(node) : 1;
}

fg_skip_sizes fg_skip_measure(const fg_graph *graph, const fg_node_record *node)
{
    const fg_value_record *x = &graph->values[graph->index[node->first_input]];
    fg_skip_sizes sizes = {.pixels = (uint64_t)x->rows * x->cols, .mask = (uint64_t)x->rows * fg_mask_words(x->cols)};
    sizes.reference = sizes.pixels * x->channels;
    sizes.taps = sizes.pixels * tap_stride(node);
    if (node->gate_flags & FG_GATE_RESIDUAL) sizes.residual = sizes.reference;
    if (node->gate == FG_GATE_GUMBEL) sizes.thread = (uint64_t)MEASURE_ROWS * x->channels * sizeof(float);
    return sizes;
}

static skip_work work_of(fg_stream *stream, uint32_t node)
{
    const fg_node_record *record = &stream->graph.nodes[node];
    fg_op_context context = fg_node_context(stream, node, 0);
    skip_work work = {.stream = stream, .node = record, .skip = stream->nodes[node].skip, .context = context};
    float scale = stream->config.threshold_scale;
    if (record->gate == FG_GATE_SHARED) work.leader = stream->nodes[record->gate_leader].skip;
    work.op = fg_op_entry_of(record);
    work.x = fg_op_input(&context, SLOT_X);
    work.out = context.output;
    work.window = fg_conv_window(&record->attributes.conv);
    work.taps = work.skip->taps ? work.skip->taps : stream->taps;
    work.tap_stride = (size_t)tap_stride(record);
    work.residual = record->gate_flags & FG_GATE_RESIDUAL ? stream->residual : NULL;
    work.gate_weights = fg_op_optional(&context, SLOT_GATE_WEIGHTS);
    work.gumbel = record->gate == FG_GATE_GUMBEL;
    work.closed = (record->gate_flags & FG_GATE_FIRED) != 0;
    work.floor = (record->gate_flags & FG_GATE_FLOOR) != 0;
    work.half = (record->gate_flags & FG_GATE_HALF) != 0;
    work.by_bits = work.closed && (stream->refreshing || !(scale > 0.0f));
    work.limit = work.gumbel ? record->gate_bias : record->gate_eps;
    if (work.closed) work.limit *= scale;
    return work;
}

/* ---- measure ---- */

/* The products of |r| of up to MEASURE_ROWS pixels with each tap of the gate's convolution. */
static void measure_taps(const skip_work *work, const uint32_t *pixels, uint32_t count, float *tile)
{
    static const float none[2] = {0.0f, 0.0f};
    size_t channels = work->x->channels;
    const float *rows[MEASURE_ROWS];
    float *to[MEASURE_ROWS];
    const ptrdiff_t offset = 0;
    fg_gemm_f32_args args = {
        .x = rows, .rows = count, .offsets = &offset, .taps = 1, .depth = channels, .panels = work->gate_weights};
    args.columns = work->tap_stride;
    args.out = to;
    for (uint32_t i = 0; i < count; i++) {
        rows[i] = tile + i * channels;
        to[i] = work->taps + pixels[i] * work->tap_stride;
    }
    work->context.kernels->activation_f32(FG_ACT_ABS, none, tile, count * channels);
    work->context.kernels->gemm_f32(&args);
}

static void measure_chunk(void *shared, uint32_t item, uint32_t thread)
{
    const skip_work *work = shared;
    const fg_stream *stream = work->stream;
    const fg_kernels *kernels = &stream->kernels;
    uint32_t start = stream->chunks[item], count = stream->chunks[item + 1] - start, rows = MEASURE_ROWS;
    const uint32_t *pixels = stream->pixels + start;
    size_t channels = work->x->channels, bytes = channels * sizeof(float);
    float *tile = (float *)(void *)(stream->thread_scratch + thread * stream->thread_bytes + stream->tile_bytes);
    for (uint32_t i = 0; i < count; i++) {
        size_t at = pixels[i] * channels;
        const float *x = work->x->data + at;
        float *reference = work->skip->reference + at;
        if (work->gumbel) {
            kernels->binary_f32(FG_BINARY_SUB, x, 1, reference, 1, tile + i % rows * channels, channels);
        } else if (!work->leader) {
            work->taps[pixels[i]] = kernels->distance_f32(FG_NORM_L1, x, reference, channels);
        }
        if (work->closed) {
            stream->flags[start + i] = memcmp(x, reference, bytes) != 0;
        } else {
            if (work->residual) {
                kernels->binary_f32(FG_BINARY_SUB, x, 1, reference, 1, work->residual + at, channels);
            }
            memcpy(reference, x, bytes);
        }
        if (work->gumbel && (i % rows == rows - 1 || i == count - 1)) {
            measure_taps(work, pixels + (i - i % rows), i % rows + 1, tile);
        }
    }
}

static void set_bits(uint64_t *mask, uint32_t words, uint32_t cols, uint32_t pixel, uint32_t on)
{
    uint64_t bit = UINT64_C(1) << (pixel % cols % 64u),
             *word = mask + (size_t)(pixel / cols) * words + pixel % cols / 64u;
    *word = on ? *word | bit : *word & ~bit;
}

static void measure(skip_work *work)
{
    fg_stream *stream = work->stream;
    const fg_value_state *x = work->x;
    uint32_t chunks, count = fg_list_pixels(stream, x->mask, x->rows, x->cols, FG_CHUNK_PIXELS, &chunks);
    fg_run_chunks(stream, measure_chunk, work, chunks);
    if (work->gumbel) work->skip->macs_gate = (uint64_t)count * x->channels * tap_count(work->node);
    for (uint32_t i = 0; work->closed && i < count; i++) {
        set_bits(work->skip->dirty, x->words, x->cols, stream->pixels[i], stream->flags[i]);
    }
}

/* ---- decide ---- */

static int gate_of(const skip_work *work, float sum)
{
    if (work->gumbel) return sum + work->limit < 0.0f ? GATE_CLOSED : GATE_OPEN; /* NaN fires */
    float value = sum * work->node->gate_scale;
    if (work->floor) {
        float steps = value * 1e5f;
        if (steps < 8388608.0f) steps = (float)(int32_t)steps; /* from 2^23 on there are no fractions; never negative */
        value = steps / 1e5f;
    }
    if (work->half && value == work->limit) return GATE_HALF;
    return value <= work->limit ? GATE_CLOSED : GATE_OPEN;
}

/* The kernel elements of an axis that lie inside the input: first .. first + count - 1, counted from 0. */
static uint32_t taps_inside(int64_t start, uint32_t dilation, uint32_t kernel, uint32_t extent, uint32_t *count)
{
    *count = kernel;
    if (start >= 0 && start + (int64_t)(kernel - 1) * dilation < (int64_t)extent) return 0; /* spares the divisions */
    int64_t first = start < 0 ? (-start + dilation - 1) / dilation : 0;
    int64_t end = start < (int64_t)extent ? ((int64_t)extent - 1 - start) / dilation + 1 : 0;
    if (end > (int64_t)kernel) end = kernel;
    *count = end > first ? (uint32_t)(end - first) : 0;
    return (uint32_t)first;
}

static float window_sum(const skip_work *work, uint32_t pixel)
{
    const fg_window *w = &work->window;
    uint32_t rows, cols, taps = work->gumbel;
    int64_t top = (int64_t)(pixel / work->out->cols) * w->stride_h - w->pad_top;
    int64_t left = (int64_t)(pixel % work->out->cols) * w->stride_w - w->pad_left;
    uint32_t row = taps_inside(top, w->dilation_h, w->kernel_h, work->x->rows, &rows);
    uint32_t col = taps_inside(left, w->dilation_w, w->kernel_w, work->x->cols, &cols);
    size_t step = w->dilation_w * work->tap_stride + taps;
    float sum = 0.0f;
    for (uint32_t i = row; i < row + rows; i++) {
        size_t at = (size_t)(top + (int64_t)i * w->dilation_h) * work->x->cols;
        at += (size_t)(left + (int64_t)col * w->dilation_w);
        const float *from = work->taps + at * work->tap_stride + taps * (i * w->kernel_w + col);
        for (uint32_t j = 0; j < cols; j++) sum += from[j * step];
    }
    return sum;
}

static void decide_chunk(void *shared, uint32_t item, uint32_t thread)
{
    const skip_work *work = shared;
    const fg_stream *stream = work->stream;
    (void)thread;
    for (uint32_t i = stream->chunks[item]; i < stream->chunks[item + 1]; i++) {
        stream->flags[i] = (uint8_t)gate_of(work, window_sum(work, stream->pixels[i]));
    }
}

static void share(const skip_work *work)
{
    fg_skip *skip = work->skip;
    size_t words = (size_t)work->out->rows * work->out->words;
    memcpy(skip->fired, work->leader->fired, words * sizeof *skip->fired);
    skip->halves = work->leader->halves;
    if (skip->halves) memcpy(skip->half, work->leader->half, words * sizeof *skip->half);
}

/* Sets skip->fired to the outputs whose gate is not 0, and skip->half to those where it is 0.5. */
static void decide(skip_work *work)
{
    fg_stream *stream = work->stream;
    fg_skip *skip = work->skip;
    const fg_value_state *out = work->out;
    size_t words = (size_t)out->rows * out->words;
    uint32_t chunks, count, block = work->node->gate_block;
    if (work->leader) {
        share(work);
        return;
    }
    fg_mask_clear(stream->candidates, words);
    if (fg_skip_everywhere(work->node)) {
        fg_mask_fill(stream->candidates, out->rows, out->cols);
    } else {
        work->op->footprint(&work->context, stream->candidates, stream->footprint);
    }
    count = fg_list_pixels(stream, stream->candidates, out->rows, out->cols, DECIDE_CHUNK, &chunks);
    fg_run_chunks(stream, decide_chunk, work, chunks);
    fg_mask_clear(skip->fired, words);
    if (work->half) fg_mask_clear(skip->half, words);
    for (uint32_t i = 0; i < count; i++) {
        if (stream->flags[i] == GATE_CLOSED) continue;
        set_bits(stream->flags[i] == GATE_HALF ? skip->half : skip->fired, out->words, out->cols, stream->pixels[i], 1);
    }
    if (block > 1) fg_mask_or_blocks(skip->fired, skip->fired, out->rows, out->cols, block);
    if (!work->half) return;
    if (block > 1) fg_mask_or_blocks(skip->half, skip->half, out->rows, out->cols, block);
    for (size_t i = 0; i < words; i++) {
        skip->half[i] &= ~skip->fired[i];
        skip->fired[i] |= skip->half[i];
        skip->halves |= skip->half[i] != 0;
    }
}

/* ---- move ---- */

/* The reference follows the input at pixels of stream->moved; stream->candidates become the outputs that see one. */
static void move(skip_work *work)
{
    fg_stream *stream = work->stream;
    fg_skip *skip = work->skip;
    const fg_value_state *x = work->x, *out = work->out;
    size_t words = (size_t)x->rows * x->words, out_words = (size_t)out->rows * out->words, channels = x->channels;
    if (work->by_bits) {
        memcpy(stream->moved, skip->dirty, words * sizeof *skip->dirty);
    } else {
        fg_mask_clear(stream->moved, words);
        fg_mask_reach(&work->window, skip->fired, out->rows, out->cols, stream->moved, x->rows, x->cols,
                      stream->footprint);
        for (size_t i = 0; i < words; i++) stream->moved[i] &= skip->dirty[i];
    }
    uint32_t chunks, count = fg_list_pixels(stream, stream->moved, x->rows, x->cols, FG_CHUNK_PIXELS, &chunks);
    for (uint32_t i = 0; i < count; i++) {
        size_t pixel = stream->pixels[i], at = pixel * channels;
        if (work->residual) {
            stream->kernels.binary_f32(FG_BINARY_SUB, x->data + at, 1, skip->reference + at, 1, work->residual + at,
                                       channels);
        }
        memcpy(skip->reference + at, x->data + at, channels * sizeof(float));
        memset(work->taps + pixel * work->tap_stride, 0, work->tap_stride * sizeof(float));
    }
    for (size_t i = 0; i < words; i++) skip->dirty[i] &= ~stream->moved[i];
    skip->dirty_any = fg_mask_any(skip->dirty, words);
    fg_mask_clear(stream->candidates, out_words);
    if (count) {
        fg_mask_window(&work->window, stream->moved, x->rows, x->cols, stream->candidates, out->rows, out->cols,
                       stream->footprint);
    }
    if (work->by_bits) memcpy(skip->fired, stream->candidates, out_words * sizeof *skip->fired);
}

/* ---- update ---- */

/* Reference last: the outputs that fired. A leader's gates fire without asking for a residual here; where that is 0 its
 * convolution is, too, and is left out unless it has a bias. */
static void select_fired(const skip_work *work)
{
    fg_stream *stream = work->stream;
    const fg_value_state *x = work->x, *out = work->out;
    size_t words = (size_t)out->rows * out->words;
    if (!work->leader || !work->residual || fg_op_has_input(&work->context, SLOT_RESIDUAL_BIAS)) {
        memcpy(stream->candidates, work->skip->fired, words * sizeof *stream->candidates);
        return;
    }
    fg_mask_clear(stream->candidates, words);
    if (!work->x->changed) return;
    fg_mask_window(&work->window, x->mask, x->rows, x->cols, stream->candidates, out->rows, out->cols,
                   stream->footprint);
    for (size_t i = 0; i < words; i++) stream->candidates[i] &= work->skip->fired[i];
}

/* What the convolution reads: with residuals the residual map and its own bias, else what is given. */
static void set_convolution(skip_work *work, float *data)
{
    const fg_op_context context = work->context;
    uint32_t residual = data == work->residual;
    for (uint32_t i = 0; i < SLOTS; i++) {
        uint32_t from = i == SLOT_BIAS && residual ? SLOT_RESIDUAL_BIAS : i;
        work->inputs[i] = fg_op_has_input(&context, from) ? i : FG_NONE;
        if (work->inputs[i] == i) work->values[i] = *fg_op_input(&context, from);
    }
    work->values[SLOT_X].data = data;
    work->context.values = work->values;
    work->context.inputs = work->inputs;
    if (residual) work->context.aux = work->skip->aux;
}

void fg_skip_init(fg_stream *stream, uint32_t node)
{
    skip_work work = work_of(stream, node);
    if (!work.residual) return;
    set_convolution(&work, work.residual);
    work.op->init(&work.context);
}

/* tile = z + gate * tile. */
static void accumulate(const skip_work *work, const uint32_t *pixels, uint32_t count, float *tile)
{
    static const float half = 0.5f;
    const fg_value_state *out = work->out;
    const fg_kernels *kernels = work->context.kernels;
    for (uint32_t i = 0; i < count; i++, tile += out->channels) {
        const uint64_t *halves = work->skip->half + (size_t)(pixels[i] / out->cols) * out->words;
        if (work->skip->halves && fg_mask_test(halves, pixels[i] % out->cols)) {
            kernels->binary_f32(FG_BINARY_MUL, tile, 1, &half, 0, tile, out->channels);
        }
        kernels->binary_f32(FG_BINARY_ADD, fg_value_pixel(out, pixels[i]), 1, tile, 1, tile, out->channels);
    }
}

static void update_chunk(void *shared, uint32_t item, uint32_t thread)
{
    const skip_work *work = shared;
    const fg_stream *stream = work->stream;
    uint32_t start = stream->chunks[item], count = stream->chunks[item + 1] - start;
    const uint32_t *pixels = stream->pixels + start;
    uint8_t *memory = stream->thread_scratch + thread * stream->thread_bytes;
    float *tile = (float *)(void *)memory;
    work->op->compute(&work->context, pixels, count, tile, work->out->channels, memory + stream->tile_bytes);
    if (work->values[SLOT_X].data == work->residual) accumulate(work, pixels, count, tile);
    fg_judge_f32_args args = {.fresh = tile,
                              .held = work->out->data,
                              .stride = work->out->stride,
                              .pixels = pixels,
                              .count = count,
                              .channels = work->out->channels,
                              .commit = 1,
                              .flags = stream->flags + start};
    work->context.kernels->judge_f32(&args);
}

/* Computes the outputs of stream->candidates; sets the output's mask and the node's counters. */
static void update(skip_work *work, fg_node_state *state)
{
    fg_stream *stream = work->stream;
    fg_value_state *out = work->out;
    uint32_t chunks, chunk = fg_judged_pixels(stream, work->op, state, work->out, 1);
    uint32_t count = fg_list_pixels(stream, stream->candidates, out->rows, out->cols, chunk, &chunks);
    fg_run_chunks(stream, update_chunk, work, chunks);
    fg_mask_clear(out->mask, (size_t)out->rows * out->words);
    for (uint32_t i = 0; i < count; i++) {
        if (stream->flags[i] != FG_PIXEL_CHANGED) continue;
        set_bits(out->mask, out->words, out->cols, stream->pixels[i], 1);
        state->changed++;
    }
    out->changed = state->changed > 0;
    state->computed = count;
    state->macs = state->pixel_macs * count;
    state->macs_total += state->macs;
}

/* ---- a push ---- */

/* What must be 0 where the input is as it was. */
static void clear(const skip_work *work, const uint64_t *touched)
{
    fg_stream *stream = work->stream;
    const fg_value_state *x = work->x;
    uint32_t chunks, count = fg_list_pixels(stream, touched, x->rows, x->cols, FG_CHUNK_PIXELS, &chunks);
    for (uint32_t i = 0; i < count; i++) {
        size_t pixel = stream->pixels[i];
        if (!work->closed) memset(work->taps + pixel * work->tap_stride, 0, work->tap_stride * sizeof(float));
        if (work->residual) memset(work->residual + pixel * x->channels, 0, x->channels * sizeof(float));
    }
}

/* The official counter: half gates count half, a gumbel gate's convolution counts at every output, and a layer with
 * shared gates at every output that fired. */
static uint64_t official_macs(const skip_work *work, const fg_node_state *state)
{
    const fg_value_state *out = work->out;
    size_t words = (size_t)out->rows * out->words;
    uint64_t halves = work->skip->halves ? fg_mask_count(work->skip->half, words) : 0;
    uint64_t gate = (uint64_t)out->rows * out->cols * work->x->channels * tap_count(work->node);
    uint64_t count = work->leader && !work->closed ? fg_mask_count(work->skip->fired, words) : state->computed;
    return (2 * count - halves) * state->pixel_macs / 2 + (work->gumbel ? gate : 0);
}

void fg_skip_restart(fg_stream *stream, uint32_t node)
{
    skip_work work = work_of(stream, node);
    fg_skip_sizes sizes = fg_skip_measure(&stream->graph, work.node);
    if (stream->config.gating) {
        memcpy(work.skip->reference, work.x->data, (size_t)sizes.reference * sizeof(float));
    }
    if (work.closed) {
        memset(work.taps, 0, (size_t)sizes.taps * sizeof(float));
        fg_mask_clear(work.skip->dirty, (size_t)sizes.mask);
    }
    work.skip->dirty_any = 0;
    fg_mask_fill(work.skip->fired, work.out->rows, work.out->cols);
    work.skip->halves = 0;
    work.skip->macs_gate = 0;
    work.skip->macs_official = stream->nodes[node].macs;
}

void fg_skip_run(fg_stream *stream, uint32_t node)
{
    skip_work work = work_of(stream, node);
    fg_node_state *state = &stream->nodes[node];
    fg_value_state *out = work.out;
    size_t words = (size_t)out->rows * out->words;
    work.skip->macs_gate = 0;
    work.skip->halves = 0;
    if (work.node->gate_reset && stream->frames % work.node->gate_reset == 0) {
        fg_mask_fill(stream->candidates, out->rows, out->cols);
        set_convolution(&work, work.x->data);
        update(&work, state);
        fg_skip_restart(stream, node);
        return;
    }
    uint32_t pending = work.by_bits && work.skip->dirty_any;
    uint32_t fires = work.leader ? fg_mask_any(work.leader->fired, words) : (uint32_t)fg_skip_everywhere(work.node);
    if (!work.x->changed && !pending && !fires) {
        if (out->changed) fg_mask_clear(out->mask, words);
        out->changed = 0;
        fg_mask_clear(work.skip->fired, words);
        work.skip->macs_official = official_macs(&work, state);
        return;
    }
    if (work.x->changed) measure(&work);
    if (!work.by_bits) decide(&work);
    if (work.closed) {
        move(&work);
    } else {
        select_fired(&work);
    }
    set_convolution(&work, work.residual ? work.residual : work.closed ? work.skip->reference : work.x->data);
    update(&work, state);
    if (work.closed && work.residual) clear(&work, stream->moved);
    if (!work.closed && work.x->changed) clear(&work, work.x->mask);
    work.skip->macs_official = official_macs(&work, state);
}
