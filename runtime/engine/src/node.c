/* node.c: one node of a push: candidates, work list, computation, hold gate, masks. The only path there is: a dense
 * frame is one whose every pixel is a candidate. */
#include <string.h>

#include "kernels/loops.h"
#include "kernels/square_root.h"
#include "state.h"

/* What the threads of one node share. */
typedef struct node_work {
    fg_stream *stream;
    const fg_op_entry *op;
    fg_op_context context;
    uint32_t all_change; /* every listed pixel does: nothing to compare */
    uint32_t gated;      /* compare by distance; otherwise by bits */
    uint32_t norm, block;
    float *moved;    /* where judging says how far pixels moved, or NULL */
    uint32_t side;   /* of the squares that candidates are listed in: the gate's block, or what the operator computes */
    float limit;     /* of the distance kernel's result */
    uint32_t listed; /* candidates */
    uint32_t asks;   /* judging one chunk asks for the held numbers of the next */
} node_work;

typedef uint32_t four_pixels __attribute__((vector_size(16)));

/* Lists the set bits of a word, bit 0 being pixel first; how many. Most often they follow each other. */
static uint32_t next_pixels(uint32_t *pixels, uint32_t first, uint64_t word)
{
    uint32_t bit = fg_mask_lowest(word), run = fg_mask_run(word, bit), n = 0;
    four_pixels four = (four_pixels){0, 1, 2, 3} + (first + bit);
    for (; n < run; n += FG_LISTED_MORE + 1, four += FG_LISTED_MORE + 1) memcpy(pixels + n, &four, sizeof four);
    n = run;
    for (word = fg_mask_behind_run(word); word; word &= word - 1) pixels[n++] = first + fg_mask_lowest(word);
    return n;
}

uint32_t fg_list_pixels(fg_stream *stream, const uint64_t *mask, uint32_t rows, uint32_t cols, uint32_t chunk,
                        uint32_t *chunk_count)
{
    uint32_t n = 0, chunks = 0, words = fg_mask_words(cols);
    for (uint32_t w = 0; w < rows * words; w++) { /* most are 0 */
        if (!mask[w]) continue;
        const uint32_t row = w / words;
        n += next_pixels(stream->pixels + n, row * cols + (w - row * words) * 64u, mask[w]);
    }
    for (uint32_t start = 0; start < n; start += chunk) stream->chunks[chunks++] = start;
    stream->chunks[chunks] = n;
    *chunk_count = chunks;
    return n;
}

/* The candidates from row[0] and col[0] up to row[1] and col[1], in squares of a side one after another. */
static uint32_t list_square(const fg_stream *stream, const fg_value_state *out, const uint32_t row[2],
                            const uint32_t col[2], uint32_t side, uint32_t *pixels)
{
    uint32_t n = 0;
    for (uint32_t top = row[0]; top < row[1]; top += side) {
        for (uint32_t left = col[0]; left < col[1]; left += side) {
            for (uint32_t y = top; y < row[1] && y < top + side; y++) {
                const uint64_t *mask = stream->candidates + (size_t)y * out->words;
                for (uint32_t x = left; x < col[1] && x < left + side; x++) {
                    if (fg_mask_test(mask, x)) pixels[n++] = y * out->cols + x;
                }
            }
        }
    }
    return n;
}

/* The candidates by squares, none divided between two chunks: of the larger of two sides, the gate's block and what the
 * operator computes, and of the smaller one inside them. */
static uint32_t list_squares(const node_work *work, uint32_t chunk, uint32_t *chunk_count)
{
    fg_stream *stream = work->stream;
    const fg_value_state *out = work->context.output;
    uint32_t n = 0, chunks = 0, side = work->side, inner = work->block < side ? work->block : work->op->square;
    if (inner < 2) inner = side;
    stream->chunks[0] = 0;
    for (uint32_t top = 0; top < out->rows; top += side) {
        const uint32_t row[2] = {top, top + side < out->rows ? top + side : out->rows};
        for (uint32_t w = 0; w < out->words; w++) {
            uint64_t word = 0;
            for (uint32_t y = row[0]; y < row[1]; y++) word |= stream->candidates[(size_t)y * out->words + w];
            while (word) {
                uint32_t bit = fg_mask_lowest(word) / side * side, left = w * 64u + bit;
                const uint32_t col[2] = {left, left + side < out->cols ? left + side : out->cols};
                word &= ~(((UINT64_C(1) << side) - 1) << bit);
                uint32_t more = list_square(stream, out, row, col, inner, stream->pixels + n);
                if (n + more - stream->chunks[chunks] > chunk) stream->chunks[++chunks] = n;
                n += more;
            }
        }
    }
    if (n) stream->chunks[++chunks] = n;
    *chunk_count = chunks;
    return n;
}

static uint32_t block_of(const fg_value_state *out, uint32_t block, uint32_t pixel)
{
    return pixel / out->cols / block * fg_mask_words(out->cols) * 64u + pixel % out->cols / block;
}

/* Flags of one computed chunk, and its changed pixels written. Behind its pixels, ahead more are listed. */
static void judge(const node_work *work, const uint32_t *pixels, uint32_t count, uint32_t ahead, const float *tile,
                  uint8_t *flags)
{
    const fg_value_state *out = work->context.output;
    uint32_t blocks = work->gated && work->block > 1;
    fg_judge_f32_args args = {.fresh = tile,
                              .held = out->data,
                              .stride = out->stride,
                              .pixels = pixels,
                              .count = count,
                              .ahead = ahead,
                              .channels = out->channels,
                              .gated = work->gated,
                              .norm = work->norm,
                              .limit = work->limit,
                              .commit = !blocks,
                              .flags = flags,
                              .moved = work->moved};
    work->context.kernels->judge_f32(&args);
    for (uint32_t start = 0, end; blocks && start < count; start = end) { /* one pixel fires for its whole block */
        uint32_t fires = 0, block = block_of(out, work->block, pixels[start]);
        for (end = start; end < count && block_of(out, work->block, pixels[end]) == block; end++) {
            fires |= flags[end] == FG_PIXEL_CHANGED;
        }
        for (uint32_t i = start; fires && i < end; i++) {
            if (flags[i] == FG_PIXEL_SAME) continue;
            flags[i] = FG_PIXEL_CHANGED;
            memcpy(fg_value_pixel(out, pixels[i]), tile + i * (size_t)out->channels, out->channels * sizeof *tile);
        }
    }
}

/* A value's numbers at scattered pixels, run by run, asked for before they are needed: most were last touched a frame
 * ago. A long run the machine follows by itself. Always inline: GCC takes a function that only prefetches for one that
 * does nothing, and drops the call. */
FG_INLINE void prefetch(const fg_value_state *value, const uint32_t *pixels, uint32_t count)
{
    const size_t step = value->stride * sizeof(float), bytes = value->channels * sizeof(float);
    for (uint32_t i = 0, n; i < count; i += n) {
        /* numbers that rise by 4 over 4 places follow each other; where they do not rise, asking wrongly does no harm
         */
        for (n = 1; i + n + 3 < count && pixels[i + n + 3] - pixels[i] == n + 3; n += 4) continue;
        for (; i + n < count && pixels[i + n] - pixels[i] == n; n++) continue;
        const char *held = (const char *)fg_value_pixel(value, pixels[i]);
        size_t left = (n - 1) * step + bytes;
        if (left > FG_PREFETCH_BYTES) left = FG_PREFETCH_BYTES;
        const char *const end = held + left;
        for (; held + 3 * FG_CACHE_LINE < end; held += 4 * FG_CACHE_LINE) {
            __builtin_prefetch(held);
            __builtin_prefetch(held + FG_CACHE_LINE);
            __builtin_prefetch(held + 2 * FG_CACHE_LINE);
            __builtin_prefetch(held + 3 * FG_CACHE_LINE);
        }
        for (; held < end; held += FG_CACHE_LINE) __builtin_prefetch(held);
    }
}

void fg_compute_in_place(const fg_op_entry *op, const fg_op_context *context, const uint32_t *pixels, uint32_t count,
                         float *tile, void *scratch)
{
    const fg_value_state *out = context->output;
    float *to = fg_value_pixel(out, pixels[0]);
    fg_permute_f32_args args = {.x = tile, .x_step = (ptrdiff_t)out->channels, .channels = out->channels};
    if (fg_value_is_packed(out) || (op->apart & FG_APART_OUTPUT)) {
        op->compute(context, pixels, count, to, out->stride, scratch);
        return;
    }
    uint32_t most = fg_chunk_pixels(op, out->channels, (uint64_t)out->rows * out->cols, 1);
    for (uint32_t i = 0; i < count; i += most) { /* side by side, and then apart */
        args.pixels = count - i < most ? count - i : most;
        args.out = to + i * out->stride;
        args.out_step = out->stride;
        op->compute(context, pixels + i, (uint32_t)args.pixels, tile, out->channels, scratch);
        context->kernels->permute_f32(&args);
    }
}

uint32_t fg_node_parts(const fg_stream *stream, const fg_op_entry *op, const fg_op_context *context, uint32_t pixels)
{
    const uint32_t threads = fg_thread_count(stream);
    const uint32_t rows = op->square ? pixels / (op->square * op->square) : pixels; /* of its products */
    if (threads == 1 || !op->parts || context->before || rows >= FG_FEW_PIXELS * threads) return 1;
    const uint32_t most = op->parts(context);
    return most < 2 ? 1 : most < threads ? most : threads;
}

/* A chunk's part of the output channels, where there are parts. */
static void run_part(void *shared, uint32_t item, uint32_t thread)
{
    const node_work *work = shared;
    const fg_stream *stream = work->stream;
    fg_op_context context = work->context;
    const uint32_t chunk = item / context.parts, start = stream->chunks[chunk];
    uint8_t *memory = stream->thread_scratch + thread * stream->thread_bytes;
    context.part = item % context.parts;
    fg_compute_in_place(work->op, &context, stream->pixels + start, stream->chunks[chunk + 1] - start,
                        (float *)(void *)memory, memory + stream->tile_bytes);
}

static void run_chunk(void *shared, uint32_t item, uint32_t thread)
{
    const node_work *work = shared;
    const fg_stream *stream = work->stream;
    uint32_t start = stream->chunks[item], count = stream->chunks[item + 1] - start;
    const uint32_t *pixels = stream->pixels + start;
    uint8_t *memory = stream->thread_scratch + thread * stream->thread_bytes, *scratch = memory + stream->tile_bytes;
    float *tile = (float *)(void *)memory;
    if ((item == 0 || !work->asks) && pixels[count - 1] - pixels[0] != count - 1)
        prefetch(work->context.output, pixels, count);
    if (!work->all_change) {
        const uint32_t left = work->asks ? work->listed - start - count : 0;
        work->op->compute(&work->context, pixels, count, tile, work->context.output->channels, scratch);
        judge(work, pixels, count, left < count ? left : count, tile, stream->flags + start);
        return;
    }
    for (uint32_t i = 0, n; i < count; i += n) {
        n = fg_op_run_length(pixels, i, count);
        fg_compute_in_place(work->op, &work->context, pixels + i, n, tile, scratch);
    }
}

void fg_run_chunks(const fg_stream *stream, fg_task task, void *work, uint32_t chunks)
{
    if (fg_thread_count(stream) > 1 && chunks > 1) {
        stream->config.parallel_for(stream->config.pool, task, work, chunks);
        return;
    }
    for (uint32_t i = 0; i < chunks; i++) task(work, i, 0);
}

_Static_assert(FG_PIXEL_CHANGED == 1 && FG_PIXEL_HELD == 2, "flags are bits");

/* The lowest bits of eight bytes, the first byte's lowest: products of a factor in which no two of them meet. */
static uint64_t lowest_bits(uint64_t bytes)
{
    return (bytes & UINT64_C(0x0101010101010101)) * UINT64_C(0x0102040810204080) >> 56;
}

/* The flags of count pixels, which follow each other, as masks. Flags are read, and may be, up to seven further. */
static void merge_run(const uint8_t *flag, uint32_t count, uint64_t *changed, uint64_t *held)
{
    *changed = *held = 0;
    for (uint32_t k = 0; k < count; k += 8) {
        uint64_t eight;
        memcpy(&eight, flag + k, sizeof eight); /* the first is the lowest byte: machines are little endian */
        *changed |= lowest_bits(eight) << k;
        *held |= lowest_bits(eight >> 1) << k;
    }
}

/* Turns the flags of candidates listed in row order into the changed mask and the residue. */
static uint64_t merge_rows(const fg_stream *stream, fg_node_state *state, const fg_value_state *out)
{
    const uint8_t *flag = stream->flags;
    const size_t words = (size_t)out->rows * out->words;
    uint64_t count = 0, any_held = 0;
    for (size_t w = 0; w < words; w++) {
        uint64_t candidates = stream->candidates[w], changed = 0, held = 0;
        if (!candidates) {
            out->mask[w] = 0;
            continue;
        }
        for (uint64_t rest = candidates, behind; rest; rest = behind) {
            uint32_t bit = fg_mask_lowest(rest), run = fg_mask_run(rest, bit);
            uint64_t part[2];
            behind = fg_mask_behind_run(rest);
            merge_run(flag, run, &part[0], &part[1]);
            changed |= part[0] << bit & (rest ^ behind);
            held |= part[1] << bit & (rest ^ behind);
            flag += run;
        }
        out->mask[w] = changed;
        count += fg_mask_bits(changed);
        any_held |= held;
        if (state->residue) state->residue[w] = (state->residue[w] & ~candidates) | held;
    }
    state->residue_any = any_held != 0 || (state->residue_any && fg_mask_any(state->residue, words));
    return count;
}

/* The same for candidates listed block by block. */
static uint64_t merge_blocks(const fg_stream *stream, fg_node_state *state, const fg_value_state *out, uint32_t count)
{
    size_t words = (size_t)out->rows * out->words;
    fg_mask_clear(out->mask, words);
    for (size_t w = 0; state->residue && w < words; w++) state->residue[w] &= ~stream->candidates[w];
    uint32_t row = 0, first = 0; /* a row's first pixel: most pixels lie in the row of the one before */
    for (uint32_t i = 0; i < count; i++) {
        uint32_t col = stream->pixels[i] - first;
        if (col >= out->cols) { /* wrapped around where it lies in front */
            row = stream->pixels[i] / out->cols;
            first = row * out->cols;
            col = stream->pixels[i] - first;
        }
        if (stream->flags[i] == FG_PIXEL_CHANGED) fg_mask_set(out->mask + (size_t)row * out->words, col);
        if (stream->flags[i] == FG_PIXEL_HELD) fg_mask_set(state->residue + (size_t)row * out->words, col);
    }
    state->residue_any = state->residue && fg_mask_any(state->residue, words);
    return fg_mask_count(out->mask, words);
}

/* The node's standard deviation, from about FG_MEASURED_ROWS rows at equal distances: all numbers of a large map say
 * the same, and to read them takes a sixth of a refresh. Summed per row in double, rows in order: equal for any thread
 * count and wherever the value lies. */
static float measure(const fg_stream *stream, const fg_value_state *value)
{
    size_t numbers = (size_t)value->cols * value->channels;
    uint32_t step = (value->rows + FG_MEASURED_ROWS - 1) / FG_MEASURED_ROWS, rows = 0;
    float *packed = (float *)(void *)stream->thread_scratch; /* plan.c has made room for a row */
    double sum = 0.0, squares = 0.0;
    for (uint32_t row = step / 2; row < value->rows; row += step, rows++) {
        const float *from = fg_value_pixel(value, (size_t)row * value->cols);
        double sums[2];
        if (!fg_value_is_packed(value)) {
            fg_permute_f32_args args = {.x = from,
                                        .x_step = (ptrdiff_t)value->stride,
                                        .channels = value->channels,
                                        .pixels = value->cols,
                                        .out = packed,
                                        .out_step = value->channels};
            stream->kernels.permute_f32(&args);
            from = packed;
        }
        stream->kernels.moments_f64(from, numbers, sums);
        sum += sums[0];
        squares += sums[1];
    }
    double count = (double)numbers * rows, mean = sum / count, variance = squares / count - mean * mean;
    return variance > 0.0 ? (float)fg_square_root(variance) : 0.0f; /* 0, also for NaN: pixels fire by bits */
}

/* Thresholds follow the node's standard deviation as of the first push and of each refresh. */
static void measure_if_due(const fg_stream *stream, const fg_node_record *node, fg_node_state *state,
                           const fg_value_state *out, uint32_t full)
{
    if (node->gate != FG_GATE_HOLD || node->gate_std > 0.0f || !stream->config.gating || !state->stale) return;
    if (state->drift.sums) return; /* nothing is held */
    if (stream->busy || (!full && !stream->refreshing)) return;
    state->std = measure(stream, out);
    state->stale = 0;
}

/* In the output's own units. */
static float threshold_of(const fg_stream *stream, uint32_t node, float alpha)
{
    const fg_node_record *record = &stream->graph.nodes[node];
    const float std = record->gate_std > 0.0f ? record->gate_std : stream->nodes[node].std;
    return alpha * std * stream->config.threshold_scale;
}

/* How this push decides: by the distance kernel's result against limit, or by bits. What is decided by drift counts in
 * units of its input, and by bits where that is. */
static void set_gate(node_work *work, uint32_t number, const fg_node_state *state)
{
    const fg_stream *stream = work->stream;
    const fg_node_record *node = &stream->graph.nodes[number];
    uint32_t unit = number; /* the node whose deviation counts */
    if (state->drift.sums) unit = stream->graph.values[stream->graph.index[node->first_input]].producer;
    float threshold = threshold_of(stream, unit, node->gate_alpha);
    if (!(threshold_of(stream, unit, stream->graph.nodes[unit].gate_alpha) > 0.0f)) threshold = 0.0f;
    float channels = (float)work->context.output->channels;
    work->norm = node->gate_norm;
    work->block = node->gate_block;
    work->side = work->block > work->op->square ? work->block : work->op->square;
    work->gated = node->gate == FG_GATE_HOLD && !stream->refreshing && threshold > 0.0f;
    work->moved = work->gated ? state->moved : NULL;
    work->limit = threshold;
    if (node->gate_norm == FG_NORM_L1) work->limit = threshold * channels;
    if (node->gate_norm == FG_NORM_RMS) work->limit = threshold * threshold * channels;
}

static uint64_t listed_macs(const fg_stream *stream, const fg_node_record *node, const fg_node_state *state,
                            uint32_t count, uint32_t cols)
{
    uint64_t macs = 0;
    if (node->op != FG_OP_CONV_TRANSPOSE2D) return state->pixel_macs * count;
    for (uint32_t i = 0; i < count; i++) {
        macs += fg_graph_pixel_macs(&stream->graph, node, stream->pixels[i] / cols, stream->pixels[i] % cols);
    }
    return macs;
}

/* Sets stream->candidates; whether there are any. Where an operator's pixels depend on their whole square in the last
 * bits, a push that decides by bits computes all of it. */
static uint32_t find_candidates(const node_work *work, const fg_node_state *state)
{
    fg_stream *stream = work->stream;
    const fg_op_context *context = &work->context;
    const fg_value_state *out = context->output;
    uint32_t side = work->gated ? work->block : work->side;
    size_t words = (size_t)out->rows * out->words;
    uint32_t touched = stream->refreshing && state->residue_any;
    for (uint32_t i = 0; i < context->node->input_count && !touched; i++) {
        touched = fg_op_has_input(context, i) && fg_op_input(context, i)->changed;
    }
    if (!touched) return 0;
    fg_mask_clear(stream->candidates, words);
    work->op->footprint(context, stream->candidates, stream->footprint);
    if (stream->refreshing && state->residue_any) fg_mask_or(stream->candidates, state->residue, words);
    if (side > 1) fg_mask_or_blocks(stream->candidates, stream->candidates, out->rows, out->cols, side);
    return fg_mask_any(stream->candidates, words);
}

/* Whether so many pixels of a map are candidates that computing all of them, in rows and without comparing, is quicker.
 * Only where bits decide everywhere, in refreshes and at threshold 0: there it alters none, a pixel that need not be
 * computed comes out as it was. */
static uint32_t is_crowded(const node_work *work)
{
    const fg_stream *stream = work->stream;
    const fg_value_state *out = work->context.output;
    uint64_t pixels = (uint64_t)out->rows * out->cols;
    if ((!stream->refreshing && stream->config.threshold_scale > 0.0f) || pixels < FG_LEAST_PIXELS) return 0;
    return fg_mask_count(stream->candidates, (size_t)out->rows * out->words) * FG_CROWDED_OF >= pixels * FG_CROWDED;
}

static fg_follows follows_inputs(const node_work *work)
{
    if (work->context.node->gate != FG_GATE_NONE || !work->op->follows) return FG_FOLLOWS_NOT;
    return work->op->follows(&work->context);
}

static void run_view(fg_stream *stream, const fg_op_context *context, uint32_t full)
{
    fg_value_state *out = context->output;
    fg_mask_clear(out->mask, (size_t)out->rows * out->words);
    out->changed = full || fg_op_input(context, 0)->changed;
    if (full) {
        fg_mask_fill(out->mask, out->rows, out->cols);
    } else if (out->changed) {
        fg_op_view.footprint(context, out->mask, stream->footprint);
    }
}

/* Pixels of a work item out of count: many, at most so many, but enough items for all threads where it is worth waking
 * them; a square of a side at least. */
static uint32_t shared_pixels(const fg_stream *stream, const fg_node_state *state, uint32_t count, uint32_t most,
                              uint32_t side)
{
    const uint64_t threads = fg_thread_count(stream), cost = (state->pixel_macs + FG_ITEM_PIXEL) * count;
    if (threads == 1) return most;
    uint64_t items = cost / FG_ITEM_COST;
    if (items > FG_THREAD_ITEMS * threads) items = FG_THREAD_ITEMS * threads;
    if (items < 2) return most;
    uint32_t share = (uint32_t)((count + items - 1) / items);
    share = (share + FG_ITEM_PIXELS - 1) / FG_ITEM_PIXELS * FG_ITEM_PIXELS;
    if (share < side * side) share = side * side;
    return share < most ? share : most;
}

uint32_t fg_judged_pixels(const fg_stream *stream, const fg_op_entry *op, const fg_node_state *state,
                          const fg_value_state *out, uint32_t block)
{
    const uint32_t most = fg_chunk_pixels(op, out->channels, (uint64_t)out->rows * out->cols, block);
    if (fg_thread_count(stream) == 1) return most;
    const uint32_t count = (uint32_t)fg_mask_count(stream->candidates, (size_t)out->rows * out->words);
    return shared_pixels(stream, state, count, most, block > op->square ? block : op->square);
}

/* The same where results are written in place; whole rows of an operator's squares. */
static uint32_t direct_pixels(const node_work *work, const fg_node_state *state)
{
    const fg_value_state *out = work->context.output;
    uint32_t most = work->op->square ? FG_SQUARES_PIXELS : FG_CHUNK_PIXELS, row = work->op->square * out->cols;
    uint32_t share = shared_pixels(work->stream, state, out->rows * out->cols, most, 1);
    return row ? (share + row - 1) / row * row : share;
}

/* Computes the candidates; how many there are. */
static uint32_t compute_candidates(node_work *work, const fg_node_state *state, uint32_t full)
{
    fg_stream *stream = work->stream;
    const fg_value_state *out = work->context.output;
    uint32_t chunks = 0, count, chunk;
    chunk = full ? direct_pixels(work, state) : fg_judged_pixels(stream, work->op, state, out, work->block);
    if (work->side > 1 && !full) {
        count = list_squares(work, chunk, &chunks);
    } else {
        count = fg_list_pixels(stream, stream->candidates, out->rows, out->cols, chunk, &chunks);
    }
    work->listed = count;
    work->asks = work->context.kernels->judge_asks && !work->all_change && fg_thread_count(stream) == 1;
    if (work->op->before) work->op->before(&work->context);
    const uint32_t parts = full ? fg_node_parts(stream, work->op, &work->context, count) : 1;
    if (parts > 1) {
        work->context.parts = parts;
        fg_run_chunks(stream, run_part, work, chunks * parts);
    } else {
        fg_run_chunks(stream, run_chunk, work, chunks);
    }
    return count;
}

uint64_t fg_node_work(const fg_stream *stream, uint32_t node)
{
    const fg_node_state *state = &stream->nodes[node];
    const fg_op_entry *op = fg_op_entry_of(&stream->graph.nodes[node]);
    return op->square ? state->squares * op->square_work * state->pixel_macs : state->macs;
}

uint64_t fg_node_work_dense(const fg_stream *stream, uint32_t node)
{
    const fg_node_record *record = &stream->graph.nodes[node];
    const fg_op_entry *op = fg_op_entry_of(record);
    if (!op->square) return fg_graph_node_macs(&stream->graph, record);
    return fg_square_count(op, &stream->values[record->output]) * op->square_work * stream->nodes[node].pixel_macs;
}

void fg_node_all_changed(fg_stream *stream, uint32_t node)
{
    fg_node_state *state = &stream->nodes[node];
    fg_value_state *out = &stream->values[stream->graph.nodes[node].output];
    uint32_t pixels = out->rows * out->cols;
    fg_mask_fill(out->mask, out->rows, out->cols);
    if (state->drift.sums && state->residue_any) memset(state->drift.sums, 0, pixels * sizeof *state->drift.sums);
    if (state->residue) fg_mask_clear(state->residue, (size_t)out->rows * out->words);
    state->residue_any = 0;
    out->changed = 1;
    state->stale = 1;
    state->computed = state->changed = pixels;
    state->squares = fg_square_count(fg_op_entry_of(&stream->graph.nodes[node]), out);
    state->macs = state->pixel_macs * pixels;
    state->macs_total += state->macs;
}

void fg_node_run(fg_stream *stream, uint32_t node, uint32_t full)
{
    const fg_node_record *record = &stream->graph.nodes[node];
    fg_node_state *state = &stream->nodes[node];
    node_work work = {.stream = stream, .op = fg_op_entry_of(record)};
    work.context = fg_node_context(stream, node, full);
    fg_op_context depthwise;
    if (node > 0 && stream->nodes[node - 1].drift.sums) {
        depthwise = fg_node_context(stream, node - 1, full);
        work.context.before = &depthwise;
    }
    fg_value_state *out = work.context.output;
    size_t words = (size_t)out->rows * out->words;
    state->macs = state->computed = state->changed = state->squares = 0;
    if (record->op == FG_OP_VIEW) {
        run_view(stream, &work.context, full);
        return;
    }
    if (state->skip && !full) {
        fg_skip_run(stream, node);
        return;
    }
    set_gate(&work, node, state);
    if (!full && !find_candidates(&work, state)) {
        if (out->changed) {
            fg_mask_clear(out->mask, words);
            state->moved_before = 1;
        }
        out->changed = 0;
        measure_if_due(stream, record, state, out, full); /* it may have changed before this refresh */
        return;
    }
    fg_drift_forget(stream, node);
    uint32_t whole = full || is_crowded(&work);
    work.context.full = whole;
    if (whole) fg_mask_fill(stream->candidates, out->rows, out->cols);
    if (state->drift.sums) {
        fg_drift_run(stream, node, work.gated && !whole ? &work.limit : NULL);
        return;
    }
    fg_follows follows = follows_inputs(&work);
    work.all_change = whole || follows != FG_FOLLOWS_NOT;
    if (follows == FG_FOLLOWS_IN_PLACE) {
        state->computed = (uint32_t)fg_mask_count(stream->candidates, words);
    } else {
        state->computed = compute_candidates(&work, state, whole);
    }
    if (work.op->square)
        state->squares = fg_mask_count_blocks(stream->candidates, out->rows, out->cols, work.op->square);
    if (work.all_change) {
        memcpy(out->mask, stream->candidates, words * sizeof *out->mask);
        if (state->residue) fg_mask_clear(state->residue, words);
        state->residue_any = 0;
        state->changed = state->computed;
    } else {
        uint32_t count = (uint32_t)state->computed, square = work.op->square;
        if (square && work.gated) /* what was not computed of their squares may differ in the last bits */
            fg_mask_or_blocks(state->residue, stream->candidates, out->rows, out->cols, square);
        state->changed = work.side > 1 ? merge_blocks(stream, state, out, count) : merge_rows(stream, state, out);
    }
    out->changed = state->changed > 0;
    state->stale |= out->changed;
    state->macs = listed_macs(stream, record, state, (uint32_t)state->computed, out->cols);
    state->macs_total += state->macs;
    if (state->skip) fg_skip_restart(stream, node);
    measure_if_due(stream, record, state, out, full);
}
