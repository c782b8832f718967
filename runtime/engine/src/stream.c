/* stream.c: a push from frames to outputs, and what can be asked about a stream. */
#include <string.h>

#include "state.h"
#include "strips.h"

static void convert_output(const fg_output_record *output, const fg_value_state *value, uint8_t *data)
{
    size_t count = (size_t)value->rows * value->cols * value->channels;
    for (size_t i = 0; i < count; i++) {
        float x = value->data[i];
        if (output->dtype == FG_DTYPE_BOOL) {
            data[i] = x != 0.0f;
        } else if (output->dtype == FG_DTYPE_S32) {
            int32_t n = x != x ? 0 : x >= 2147483648.0f ? INT32_MAX : x <= -2147483648.0f ? INT32_MIN : (int32_t)x;
            memcpy(data + i * sizeof n, &n, sizeof n);
        } else {
            int64_t n = x != x                         ? 0
                        : x >= 9223372036854775808.0f  ? INT64_MAX
                        : x <= -9223372036854775808.0f ? INT64_MIN
                                                       : (int64_t)x;
            memcpy(data + i * sizeof n, &n, sizeof n);
        }
    }
}

/* Whether this push has to undo what gates held back. An input gate holds back too, and keeps no residue: where
 * nothing was pushed through since, comparing the frame at threshold 0 finds what there is. */
static uint32_t refresh_due(const fg_stream *stream)
{
    const fg_config *config = &stream->config;
    return config->gating && stream->started && config->refresh_interval &&
           stream->since_refresh >= config->refresh_interval;
}

static uint64_t now(const fg_stream *stream) { return stream->config.clock ? stream->config.clock() : 0; }

static uint64_t inputs_changed(const fg_stream *stream)
{
    uint64_t changed = 0;
    for (uint32_t i = 0; i < stream->graph.input_count; i++) {
        const fg_value_state *value = &stream->values[stream->graph.inputs[i].value];
        if (value->changed) changed += fg_mask_count(value->mask, (size_t)value->rows * value->words);
    }
    return changed;
}

static uint64_t inputs_pixels(const fg_stream *stream)
{
    uint64_t pixels = 0;
    for (uint32_t i = 0; i < stream->graph.input_count; i++) {
        const fg_value_state *value = &stream->values[stream->graph.inputs[i].value];
        pixels += (uint64_t)value->rows * value->cols;
    }
    return pixels;
}

/* Whether gates are worth asking what they cost. */
static uint32_t may_be_dear(const fg_stream *stream) { return !stream->skips && stream->cost_dense >= FG_SMALL_COST; }

/* Whether to compute everything, although gates could decide: in busy pushes and in the first one after them. Pushes
 * are busy where nearly all of the input changes at once and, after deciding cost more than it saved, while so much of
 * it changes that it would again; from time to time one is not, to see whether gates would save now. Busy ones need
 * not even keep what only gates would read: the first one that is not busy has to have it again. */
static uint32_t is_whole(fg_stream *stream, uint64_t changed)
{
    uint32_t was_busy = stream->busy;
    if (may_be_dear(stream) && !stream->refreshing && changed * 4 >= inputs_pixels(stream) * 3) {
        stream->dear = FG_SURELY_DEAR;
        stream->dear_changed = changed * 5 / 8;
        stream->busy++;
    } else if (stream->dear >= FG_SURELY_DEAR && was_busy < FG_BUSY_PUSHES && changed >= stream->dear_changed) {
        stream->busy++;
    } else {
        if (was_busy) stream->dear = 0;
        stream->busy = 0;
    }
    return stream->busy || was_busy;
}

/* After a push that gates decided: whether it cost more than one without, counted in multiply-accumulates, those that
 * were executed and, for every number that was computed, what finding, comparing and keeping it takes. Where less of
 * the input changes the cost falls, but by less than in proportion: gates are tried again where that would make it
 * four fifths (docs/gating.md). */
static void judge_gates(fg_stream *stream, uint64_t changed)
{
    uint64_t cost = 0;
    for (uint32_t i = 0; i < stream->graph.node_count; i++) {
        const fg_node_state *state = &stream->nodes[i];
        const uint64_t numbers = state->computed * stream->held[stream->graph.nodes[i].output].channels;
        if (state->macs) cost += fg_node_work(stream, i) + FG_NUMBER_GATED * numbers;
    }
    if (!may_be_dear(stream) || cost < stream->cost_dense) {
        stream->dear = 0;
        return;
    }
    stream->dear += cost - stream->cost_dense >= stream->cost_dense / 4 ? FG_SURELY_DEAR : 1;
    stream->dear_changed = changed * 820 / (cost / (stream->cost_dense >> 10));
}

static void run_nodes(fg_stream *stream, uint32_t whole)
{
    uint32_t passing = stream->busy || !stream->config.gating;
    uint64_t before = now(stream);
    for (uint32_t i = 0; i < stream->graph.node_count;) {
        if (passing && stream->nodes[i].end > i + 1) {
            fg_sequence_run(stream, i);
            i = stream->nodes[i].end;
            before = now(stream);
            continue;
        }
        fg_node_run(stream, i, whole);
        uint64_t after = now(stream);
        stream->nodes[i++].nanoseconds = after - before;
        before = after;
    }
}

/* Where nodes have nothing to do, nor had in the push before. */
static void forget_times(fg_stream *stream)
{
    if (!stream->config.clock) return;
    for (uint32_t i = 0; i < stream->graph.node_count; i++) stream->nodes[i].nanoseconds = 0;
}

fg_status fg_stream_push(fg_stream *stream, const fg_frame *frames, uint32_t count, fg_error *error)
{
    if (!stream || !frames) return fg_error_set(error, FG_ERR_ARGUMENT, FG_NONE, 0, "stream or frames is NULL");
    const fg_graph *graph = &stream->graph;
    if (count != graph->input_count) {
        return fg_error_set(error, FG_ERR_ARGUMENT, FG_NONE, 0, "one frame per network input is needed");
    }
    for (uint32_t i = 0; i < count; i++) {
        fg_status status = fg_input_check(stream, i, &frames[i], error);
        if (status != FG_OK) return status;
    }
    uint32_t full = !stream->started || !stream->config.gating;
    stream->refreshing = refresh_due(stream);
    float scale = stream->refreshing ? 0.0f : stream->config.threshold_scale;
    uint64_t start = now(stream);
    for (uint32_t i = 0; i < count; i++) fg_input_run(stream, i, &frames[i], scale, full);
    uint64_t changed = full ? 0 : inputs_changed(stream);
    uint32_t whole = full || is_whole(stream, changed);
    stream->values = stream->busy ? stream->passing : stream->held;
    uint32_t still = !whole && !stream->refreshing && !stream->skips && !changed;
    if (still && stream->still) {
        forget_times(stream);
    } else {
        run_nodes(stream, whole);
    }
    stream->still = still;
    fg_input_release(stream);
    if (!whole && !stream->refreshing) judge_gates(stream, changed);
    stream->nanoseconds = now(stream) - start;
    for (uint32_t i = 0; i < graph->output_count; i++) {
        const fg_value_state *value = &stream->values[graph->outputs[i].value];
        if (stream->output_data[i] && (value->changed || !stream->started)) {
            convert_output(&graph->outputs[i], value, stream->output_data[i]);
        }
    }
    stream->refreshes += stream->refreshing;
    stream->since_refresh = full || stream->refreshing ? 1 : stream->since_refresh + 1;
    stream->started = 1;
    stream->frames++;
    return FG_OK;
}

fg_status fg_stream_output(const fg_stream *stream, uint32_t index, fg_tensor *tensor)
{
    if (!stream || !tensor || index >= stream->graph.output_count) return FG_ERR_ARGUMENT;
    if (!stream->started) return FG_ERR_STATE;
    fg_status status = fg_model_output_info(&stream->model, index, &tensor->info);
    const uint8_t *converted = stream->output_data[index];
    const fg_value_state *value = &stream->values[stream->graph.outputs[index].value];
    tensor->data = converted ? (const void *)converted : value->data;
    tensor->changed = value->mask ? value->changed : stream->frames == 1;
    return status;
}

fg_status fg_stream_reset(fg_stream *stream)
{
    if (!stream) return FG_ERR_ARGUMENT;
    for (uint32_t i = 0; i < stream->graph.node_count; i++) {
        fg_node_state *state = &stream->nodes[i];
        state->std = 0.0f;
        state->stale = 0;
        state->macs = state->computed = state->changed = state->squares = state->macs_total = 0;
        if (state->skip) state->skip->macs_gate = state->skip->macs_official = 0;
    }
    stream->started = 0;
    stream->dear = stream->busy = stream->still = 0;
    stream->dear_changed = 0;
    stream->since_refresh = 0;
    stream->frames = stream->refreshes = 0;
    return FG_OK;
}

static void add_node_stats(const fg_stream *stream, uint32_t node, fg_stats *stats)
{
    const fg_node_record *record = &stream->graph.nodes[node];
    const fg_node_state *state = &stream->nodes[node];
    const fg_value_state *out = &stream->values[record->output];
    stats->work += fg_node_work(stream, node);
    stats->work_dense += fg_node_work_dense(stream, node);
    stats->macs += state->macs;
    stats->macs_total += state->macs_total;
    stats->computed += state->computed;
    stats->changed += state->changed;
    if (state->skip) stats->macs_gate += state->skip->macs_gate;
    if (state->skip) stats->macs_official += state->skip->macs_official;
    if (record->op != FG_OP_VIEW) stats->pixels += (uint64_t)out->rows * out->cols;
}

fg_status fg_stream_stats(const fg_stream *stream, uint32_t node, fg_stats *stats)
{
    if (!stream || !stats || (node != FG_NONE && node >= stream->graph.node_count)) return FG_ERR_ARGUMENT;
    memset(stats, 0, sizeof *stats);
    stats->frames = stream->frames;
    stats->refreshes = stream->refreshes;
    if (node != FG_NONE) {
        add_node_stats(stream, node, stats);
        stats->nanoseconds = stream->nodes[node].nanoseconds;
        stats->macs_dense = fg_graph_node_macs(&stream->graph, &stream->graph.nodes[node]);
        return FG_OK;
    }
    stats->nanoseconds = stream->nanoseconds;
    stats->macs_dense = stream->macs_dense;
    for (uint32_t i = 0; i < stream->graph.node_count; i++) add_node_stats(stream, i, stats);
    return FG_OK;
}

static fg_status copy_mask(const fg_stream *stream, uint32_t value, uint8_t *mask, size_t mask_bytes)
{
    const fg_value_state *state = &stream->values[value];
    size_t pixels = (size_t)state->rows * state->cols;
    if (!mask || mask_bytes < pixels) return FG_ERR_ARGUMENT;
    if (!stream->started) return FG_ERR_STATE;
    if (state->mask) {
        fg_mask_to_bytes(state->mask, state->rows, state->cols, mask);
    } else {
        memset(mask, stream->frames == 1, pixels); /* a constant changes with the first push only */
    }
    return FG_OK;
}

fg_status fg_stream_gate_map(const fg_stream *stream, uint32_t node, uint8_t *gates, size_t gate_bytes)
{
    if (!stream || node >= stream->graph.node_count || !stream->nodes[node].skip) return FG_ERR_ARGUMENT;
    const fg_skip *skip = stream->nodes[node].skip;
    const fg_value_state *out = &stream->values[stream->graph.nodes[node].output];
    size_t pixels = (size_t)out->rows * out->cols;
    if (!gates || gate_bytes < pixels) return FG_ERR_ARGUMENT;
    if (!stream->started) return FG_ERR_STATE;
    for (uint32_t row = 0; row < out->rows; row++) {
        size_t at = (size_t)row * out->words;
        for (uint32_t col = 0; col < out->cols; col++) {
            uint32_t half = skip->halves && fg_mask_test(skip->half + at, col);
            *gates++ = (uint8_t)(fg_mask_test(skip->fired + at, col) * 2u - half);
        }
    }
    return FG_OK;
}

fg_status fg_stream_input_mask(const fg_stream *stream, uint32_t input, uint8_t *mask, size_t mask_bytes)
{
    if (!stream || input >= stream->graph.input_count) return FG_ERR_ARGUMENT;
    return copy_mask(stream, stream->graph.inputs[input].value, mask, mask_bytes);
}

fg_status fg_stream_node_mask(const fg_stream *stream, uint32_t node, uint8_t *mask, size_t mask_bytes)
{
    if (!stream || node >= stream->graph.node_count) return FG_ERR_ARGUMENT;
    return copy_mask(stream, stream->graph.nodes[node].output, mask, mask_bytes);
}

fg_status fg_stream_output_mask(const fg_stream *stream, uint32_t output, uint8_t *mask, size_t mask_bytes)
{
    if (!stream || output >= stream->graph.output_count) return FG_ERR_ARGUMENT;
    return copy_mask(stream, stream->graph.outputs[output].value, mask, mask_bytes);
}
