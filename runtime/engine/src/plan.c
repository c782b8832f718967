/* plan.c: one walk over the graph that lays out a stream's memory. Run without memory it only measures, so the sizes
 * a caller is told and the addresses a stream uses cannot differ. */
#include <string.h>

#include "checked.h"
#include "place.h"
#include "reuse.h"
#include "state.h"
#include "strips.h"

typedef struct arena {
    uint8_t *base; /* NULL: measure only */
    size_t used;
    int overflow;
} arena;

static void *take(arena *a, uint64_t count, size_t size)
{
    size_t bytes, at = a->used, end;
    if (count > SIZE_MAX || !fg_mul_size((size_t)count, size, &bytes) || !fg_align_up(bytes, FG_MEMORY_ALIGN, &bytes) ||
        !fg_add_size(at, bytes, &end)) {
        a->overflow = 1;
        return NULL;
    }
    a->used = end;
    return a->base ? a->base + at : NULL;
}

fg_op_sizes fg_node_sizes(const fg_graph *graph, const fg_node_record *node)
{
    const fg_op_entry *op = fg_op_entry_of(node);
    fg_op_sizes sizes = {.aux = 0};
    if (op->sizes) op->sizes(graph, node, &sizes);
    return sizes;
}

fg_op_context fg_node_context(fg_stream *stream, uint32_t node, uint32_t full)
{
    const fg_node_record *record = &stream->graph.nodes[node];
    fg_op_context context = {.graph = &stream->graph,
                             .node = record,
                             .inputs = stream->graph.index + record->first_input,
                             .values = stream->values,
                             .output = &stream->values[record->output],
                             .kernels = &stream->kernels,
                             .aux = stream->nodes[node].aux,
                             .full = full};
    return context;
}

static uint64_t larger(uint64_t a, uint64_t b) { return a > b ? a : b; }

static uint64_t mask_words(const fg_value_record *value) { return (uint64_t)value->rows * fg_mask_words(value->cols); }

/* A node's output inside its home, once that is known to lie where it does. */
static void settle(const fg_graph *graph, uint32_t node, fg_value_state *values)
{
    uint32_t output = graph->nodes[node].output;
    fg_value_state *value = &values[output];
    if (value->stride) return;
    fg_place place = fg_place_of(graph, output);
    const fg_value_state *home = &values[place.home];
    if (!home->stride) return;
    value->home = place.home;
    value->offset = home->offset + (size_t)place.offset;
    value->stride = place.apart ? home->stride : value->channels;
    if (home->data) value->data = home->data + place.offset;
}

/* What is known of a value before anything lies anywhere, and its mask. */
static void lay_out_value(arena *a, const fg_graph *graph, uint32_t i, fg_value_state *values)
{
    const fg_value_record *record = &graph->values[i];
    int inside = fg_place_of(graph, i).home != FG_NONE, constant = record->kind == FG_VALUE_CONSTANT;
    fg_value_state value = {.rows = record->rows, .cols = record->cols, .channels = record->channels};
    value.stride = inside ? 0 : record->channels;
    value.home = FG_NONE;
    value.words = fg_mask_words(record->cols);
    if (!constant) value.mask = take(a, mask_words(record), sizeof *value.mask);
    /* Constants are only read; the state has one pointer type for both. */
    if (constant && values) memcpy(&value.data, &(const void *){fg_graph_constant(graph, i)}, sizeof value.data);
    if (values) values[i] = value;
}

/* One walk over values in the order they are computed. Where they end up in the memory they share, and rows of those
 * not kept whole in scratch memory, waits in offset until there is such memory. */
typedef struct walk {
    arena *a;
    const fg_graph *graph;
    fg_stream *layout;
    uint32_t gating, threads;
    fg_value_state *passing; /* without gating and in busy pushes */
    fg_sequence sequence;
    fg_reuse reuse;
    uint64_t held_numbers; /* of held values, one after the other in the same memory */
} walk;

/* Memory for a value and all that lies in it. What the caller sees and what a gated stream compares a frame with stays
 * in memory of its own. What else a gated stream holds, and that is all but what drift stands for, may be overwritten
 * by busy pushes, since the first push that is not busy computes everything. kept: rows in memory at once; 0: all of
 * them. begin: see fg_reuse_take. */
static void lay_out_root(walk *w, uint32_t value, fg_life life, uint32_t kept, uint32_t begin)
{
    const fg_value_record *record = &w->graph->values[value];
    uint64_t numbers = (uint64_t)record->rows * record->cols * record->channels;
    fg_value_state *held = w->layout->held;
    if (life.last == FG_NONE || (w->gating && record->kind == FG_VALUE_INPUT)) {
        float *data = take(w->a, numbers, sizeof *data);
        if (held) held[value].data = data;
        return;
    }
    const int drifts = record->kind == FG_VALUE_NODE && fg_drifts_at(w->graph, record->producer);
    if (w->gating && !drifts) {
        if (held) held[value].offset = (size_t)w->held_numbers;
        w->held_numbers += fg_round_up(numbers, FG_MEMORY_ALIGN / sizeof(float));
    }
    if (kept) return;
    uint64_t at = fg_reuse_take(&w->reuse, w->graph, value, life, begin);
    if (w->passing) w->passing[value].offset = (size_t)at;
}

/* What nodes compute. Rows of values that are not kept whole lie in scratch memory, where sequences follow each other.
 */
static void lay_out_outputs(walk *w)
{
    fg_stream *layout = w->layout;
    fg_sequence *sequence = &w->sequence;
    uint64_t used = 0; /* numbers */
    for (uint32_t i = 0; i < w->graph->node_count; i++) {
        uint32_t output = w->graph->nodes[i].output;
        const fg_value_record *record = &w->graph->values[output];
        if (i == sequence->end) {
            fg_sequence_at(w->graph, i, w->threads, sequence);
            used = 0;
            if (layout->nodes) layout->nodes[i].end = sequence->end;
            if (layout->nodes) layout->nodes[i].sweeps = sequence->sweeps;
        }
        if (layout->nodes) layout->nodes[i].into_next = sequence->into_next[i - sequence->begin];
        uint32_t begin = sequence->sweeps > 1 ? sequence->begin : i, kept = sequence->kept[i - sequence->begin];
        if (i == begin) fg_reuse_drop(&w->reuse, i);
        if (w->passing) w->passing[output].kept = kept;
        if (kept && sequence->root[i - sequence->begin] == i) {
            if (w->passing) w->passing[output].offset = (size_t)used;
            used += fg_round_up((uint64_t)kept * record->cols * record->channels, FG_MEMORY_ALIGN / sizeof(float));
            layout->rows_numbers = larger(layout->rows_numbers, used);
        }
        if (kept && !w->gating) continue;
        fg_life life;
        uint32_t value = fg_life_begins(w->graph, i, &life);
        if (value != FG_NONE) lay_out_root(w, value, life, kept, begin);
    }
}

/* Values in passing have other places than held ones, save those with memory of their own. */
static void settle_passing(const fg_graph *graph, const fg_value_state *held, fg_value_state *passing)
{
    for (uint32_t i = 0; i < graph->value_count; i++) {
        uint32_t root = i;
        while (held[root].home != FG_NONE) root = held[root].home;
        fg_value_state value = held[i];
        value.kept = passing[i].kept;
        value.offset += passing[root].offset - held[root].offset;
        if (value.kept) value.data = NULL;
        passing[i] = value;
    }
}

static void set_shared(const fg_graph *graph, fg_value_state *values, float *shared)
{
    for (uint32_t i = 0; values && i < graph->value_count; i++) {
        if (!values[i].data && !values[i].kept) values[i].data = shared + values[i].offset;
    }
}

static void lay_out_values(arena *a, const fg_graph *graph, const fg_config *config, fg_stream *layout)
{
    fg_value_state *values = layout->held;
    walk w = {.a = a, .graph = graph, .layout = layout, .gating = config->gating, .threads = config->threads};
    w.passing = config->gating ? layout->passing : values;
    layout->rows_numbers = 0;
    for (uint32_t i = 0; i < graph->value_count; i++) lay_out_value(a, graph, i, values);
    for (uint32_t i = 0; i < graph->value_count; i++) {
        if (graph->values[i].kind == FG_VALUE_INPUT) lay_out_root(&w, i, fg_life_of(graph, i), 0, 0);
    }
    lay_out_outputs(&w);
    float *shared = take(a, larger(w.held_numbers, w.reuse.numbers), sizeof *shared);
    /* Homes of later nodes from the last one on, then those of earlier ones. */
    for (uint32_t i = values ? graph->node_count : 0; i-- > 0;) settle(graph, i, values);
    for (uint32_t i = 0; values && i < graph->node_count; i++) settle(graph, i, values);
    if (layout->passing) settle_passing(graph, values, layout->passing);
    set_shared(graph, values, shared);
    set_shared(graph, layout->passing, shared);
}

/* One node's skip gate; total: the largest of what the stream's nodes share. */
static fg_skip *lay_out_skip(arena *a, const fg_graph *graph, const fg_node_record *node, fg_skip_sizes *total)
{
    fg_skip_sizes sizes = fg_skip_measure(graph, node);
    fg_skip skip = {.reference = NULL}, *made = take(a, 1, sizeof skip);
    skip.reference = take(a, sizes.reference, sizeof(float));
    if (node->gate_flags & FG_GATE_FIRED) {
        skip.taps = take(a, sizes.taps, sizeof(float));
        skip.dirty = take(a, sizes.mask, sizeof(uint64_t));
    } else {
        total->taps = larger(total->taps, sizes.taps);
    }
    skip.fired = take(a, mask_words(&graph->values[node->output]), sizeof(uint64_t));
    if (node->gate_flags & FG_GATE_HALF) {
        skip.half = take(a, mask_words(&graph->values[node->output]), sizeof(uint64_t));
    }
    if (node->gate_flags & FG_GATE_RESIDUAL) skip.aux = take(a, fg_node_sizes(graph, node).aux, 1);
    total->residual = larger(total->residual, sizes.residual);
    if (made) *made = skip;
    return made;
}

/* An input's memory, if a push may read the frame where the caller has it: nothing is held and nothing lies in it. */
static float *lendable(const fg_graph *graph, const fg_stream *layout, uint32_t input, uint32_t gating)
{
    uint32_t value = graph->inputs[input].value;
    if (gating || graph->inputs[input].prepare) return NULL;
    for (uint32_t i = 0; i < graph->output_count; i++) {
        if (graph->outputs[i].value == value) return NULL;
    }
    for (uint32_t i = 0; i < graph->value_count; i++) {
        if (layout->held[i].home == value) return NULL;
    }
    return layout->held[value].data;
}

static void lay_out_drift(arena *a, const fg_graph *graph, uint32_t node, fg_node_state *state)
{
    const fg_node_record *record = &graph->nodes[node];
    const fg_value_record *out = &graph->values[record->output];
    const uint64_t pixels = (uint64_t)out->rows * out->cols;
    if (fg_drifts_at(graph, node)) {
        const fg_conv_attributes *conv = &record->attributes.conv;
        state->drift.taps = take(a, (uint64_t)conv->kernel_h * (uint64_t)conv->kernel_w, sizeof *state->drift.taps);
        state->drift.sums = take(a, pixels, sizeof *state->drift.sums);
    }
    if (fg_drift_reads(graph, node)) state->moved = take(a, pixels, sizeof *state->moved);
}

static void lay_out_state(arena *a, const fg_graph *graph, const fg_config *config, fg_stream *layout)
{
    fg_skip_sizes skips = {.pixels = 0};
    layout->values = layout->held = take(a, graph->value_count, sizeof *layout->held);
    if (config->gating) layout->passing = take(a, graph->value_count, sizeof *layout->passing);
    layout->nodes = take(a, graph->node_count, sizeof *layout->nodes);
    layout->prepares = take(a, graph->input_count, sizeof *layout->prepares);
    layout->input_data = take(a, graph->input_count, sizeof *layout->input_data);
    layout->output_data = take(a, graph->output_count, sizeof *layout->output_data);
    lay_out_values(a, graph, config, layout);
    for (uint32_t i = 0; i < graph->input_count; i++) {
        const fg_input_record *input = &graph->inputs[i];
        const fg_value_record *value = &graph->values[input->value];
        fg_prepare *prepare = input->prepare ? take(a, fg_prepare_bytes(input, value), 1) : NULL;
        if (layout->prepares) layout->prepares[i] = prepare;
        if (layout->input_data) layout->input_data[i] = lendable(graph, layout, i, config->gating);
    }
    for (uint32_t i = 0; i < graph->output_count; i++) {
        const fg_output_record *output = &graph->outputs[i];
        const fg_value_record *value = &graph->values[output->value];
        uint64_t elements = (uint64_t)value->rows * value->cols * value->channels;
        uint8_t *data = output->dtype == FG_DTYPE_F32 ? NULL : take(a, elements, sizeof(int64_t));
        if (layout->output_data) layout->output_data[i] = data;
    }
    for (uint32_t i = 0; i < graph->node_count; i++) {
        const fg_node_record *node = &graph->nodes[i];
        fg_op_sizes sizes = fg_node_sizes(graph, node);
        fg_node_state state = {.residue = NULL};
        if (layout->nodes) state = layout->nodes[i]; /* with its sequence */
        state.aux = sizes.aux ? take(a, sizes.aux, 1) : NULL;
        if (fg_gate_skips(node->gate)) state.skip = lay_out_skip(a, graph, node, &skips);
        if (node->gate == FG_GATE_HOLD)
            state.residue = take(a, mask_words(&graph->values[node->output]), sizeof(uint64_t));
        if (config->gating) lay_out_drift(a, graph, i, &state);
        if (layout->nodes) layout->nodes[i] = state;
    }
    layout->residual = take(a, skips.residual, sizeof(float));
    layout->taps = take(a, skips.taps, sizeof(float));
}

static void lay_out_scratch(arena *a, const fg_graph *graph, fg_stream *layout, const fg_config *config)
{
    uint64_t words = 1, pixels = 1, footprint = 1, thread = 1, skip_words = 0;
    uint64_t tile = 1; /* behind the list of a strip's pixels */
    for (uint32_t i = 0; i < graph->node_count; i++) {
        const fg_node_record *node = &graph->nodes[i];
        const fg_value_record *out = &graph->values[node->output];
        const fg_op_entry *op = fg_op_entry_of(node);
        fg_op_sizes sizes = fg_node_sizes(graph, node);
        const uint64_t all = (uint64_t)out->rows * out->cols;
        uint64_t numbers = (uint64_t)fg_chunk_pixels(op, out->channels, all, node->gate_block) * out->channels;
        if (node->op == FG_OP_VIEW) numbers = 0;
        words = larger(words, mask_words(out));
        pixels = larger(pixels, all);
        footprint = larger(footprint, sizes.footprint);
        if (node->gate == FG_GATE_HOLD) numbers = larger(numbers, (uint64_t)out->cols * out->channels); /* to measure */
        tile = larger(tile, fg_strip_list_bytes(op, out->cols) + numbers * sizeof(float));
        thread = larger(thread, sizes.thread);
        if (!fg_gate_skips(node->gate)) continue;
        fg_skip_sizes skip = fg_skip_measure(graph, node);
        skip_words = larger(skip_words, skip.mask);
        pixels = larger(pixels, skip.pixels);
        thread = larger(thread, skip.thread);
    }
    layout->candidates = take(a, words, sizeof(uint64_t));
    layout->footprint = take(a, footprint, 1);
    layout->pixels = take(a, pixels + FG_LISTED_MORE, sizeof(uint32_t));
    layout->chunks = take(a, pixels + 1, sizeof(uint32_t));
    layout->flags = take(a, pixels + 7, 1); /* read eight at a time */
    layout->moved = take(a, skip_words, sizeof(uint64_t));
    for (uint32_t i = 0; i < graph->input_count; i++) { /* a row of a uint8 frame, converted */
        const fg_value_record *value = &graph->values[graph->inputs[i].value];
        tile = larger(tile, (uint64_t)value->cols * value->channels * sizeof(float));
    }
    tile = fg_round_up(tile, FG_MEMORY_ALIGN);
    thread = fg_round_up(thread, FG_MEMORY_ALIGN) + tile;
    layout->tile_bytes = (size_t)tile; /* where this truncates, take has found the overflow */
    layout->thread_bytes = (size_t)thread;
    layout->thread_scratch = take(a, config->threads * thread, 1);
    fg_value_state *rows = config->gating ? layout->passing : layout->held;
    layout->rows_kept = take(a, layout->rows_numbers, sizeof *layout->rows_kept);
    for (uint32_t i = 0; layout->rows_kept && i < graph->value_count; i++) {
        fg_value_state *value = &rows[i];
        if (!value->kept) continue;
        value->rows_kept = layout->rows_kept + value->offset;
        fg_value_place(value, 0);
    }
}

static fg_status check_config(const fg_config *config, fg_error *error)
{
    const char *message = NULL;
    if (config->struct_bytes != sizeof *config)
        message = "fg_config was not filled by this library's fg_config_init";
    else if (!(config->threshold_scale >= 0.0f && config->threshold_scale <= 1e30f))
        message = "threshold_scale must be finite and >= 0";
    else if (config->threads < 1 || config->threads > FG_MAX_THREADS)
        message = "threads must be 1 to 256";
    return message ? fg_error_set(error, FG_ERR_ARGUMENT, FG_NONE, 0, message) : FG_OK;
}

static fg_status too_large(fg_error *error)
{
    return fg_error_set(error, FG_ERR_MEMORY, FG_NONE, 0,
                        "the network needs more memory than this machine can address");
}

/* Lays out both memories; with base pointers NULL only layout's sizes mean anything. */
static fg_status lay_out(const fg_graph *graph, const fg_config *config, uint8_t *state, uint8_t *scratch,
                         fg_stream *layout, fg_plan *plan, fg_error *error)
{
    arena persistent = {.base = state}, shared = {.base = scratch};
    (void)take(&persistent, 1, sizeof *layout);
    lay_out_state(&persistent, graph, config, layout);
    lay_out_scratch(&shared, graph, layout, config);
    plan->state_bytes = persistent.used;
    plan->scratch_bytes = shared.used;
    return persistent.overflow || shared.overflow ? too_large(error) : FG_OK;
}

void fg_config_init(fg_config *config)
{
    if (!config) return;
    memset(config, 0, sizeof *config);
    config->struct_bytes = sizeof *config;
    config->isa_mask = 0xFFFFFFFFu;
    config->gating = 1;
    config->refresh_interval = 32;
    config->threshold_scale = 1.0f;
    config->threads = 1;
}

fg_status fg_plan_memory(const fg_model *model, const fg_config *config, fg_plan *plan, fg_error *error)
{
    fg_stream layout;
    if (!model || !config || !plan)
        return fg_error_set(error, FG_ERR_ARGUMENT, FG_NONE, 0, "model, config or plan is NULL");
    fg_status status = check_config(config, error);
    if (status != FG_OK) return status;
    const fg_graph *graph = fg_graph_of(model);
    memset(&layout, 0, sizeof layout);
    memset(plan, 0, sizeof *plan);
    for (uint32_t i = 0; i < graph->value_count; i++) plan->weight_bytes += (size_t)graph->values[i].data_bytes;
    return lay_out(graph, config, NULL, NULL, &layout, plan, error);
}

static fg_status check_memory(const fg_memory *memory, const fg_plan *plan, fg_error *error)
{
    const char *message = NULL;
    if (!memory || !memory->state || !memory->scratch)
        message = "state or scratch memory is NULL";
    else if ((uintptr_t)memory->state % FG_MEMORY_ALIGN || (uintptr_t)memory->scratch % FG_MEMORY_ALIGN)
        message = "state and scratch memory must be aligned to 64 bytes";
    else if (memory->state_bytes < plan->state_bytes)
        message = "state memory is smaller than fg_plan_memory says";
    else if (memory->scratch_bytes < plan->scratch_bytes)
        message = "scratch memory is smaller than fg_plan_memory says";
    return message ? fg_error_set(error, FG_ERR_MEMORY, FG_NONE, 0, message) : FG_OK;
}

static void init_nodes(fg_stream *stream)
{
    for (uint32_t i = 0; i < stream->graph.node_count; i++) {
        const fg_node_record *node = &stream->graph.nodes[i];
        fg_op_context context = fg_node_context(stream, i, 0);
        const fg_op_entry *op = fg_op_entry_of(node);
        if (op->init) op->init(&context);
        if (stream->nodes[i].skip) fg_skip_init(stream, i);
        if (stream->nodes[i].drift.taps) fg_drift_init(stream, i);
        stream->skips |= stream->nodes[i].skip != NULL;
        stream->nodes[i].pixel_macs = fg_graph_pixel_macs(&stream->graph, node, 0, 0);
        uint64_t macs = fg_graph_node_macs(&stream->graph, node), numbers = context.output->channels;
        numbers *= (uint64_t)context.output->rows * context.output->cols;
        stream->macs_dense += macs;
        if (macs) stream->cost_dense += fg_node_work_dense(stream, i) + FG_NUMBER_DENSE * numbers;
    }
}

fg_status fg_stream_init(fg_stream **stream, const fg_model *model, const fg_config *config, const fg_memory *memory,
                         fg_error *error)
{
    fg_plan plan;
    if (!stream) return fg_error_set(error, FG_ERR_ARGUMENT, FG_NONE, 0, "stream is NULL");
    *stream = NULL;
    fg_status status = fg_plan_memory(model, config, &plan, error);
    if (status == FG_OK) status = check_memory(memory, &plan, error);
    if (status != FG_OK) return status;
    memset(memory->state, 0, plan.state_bytes);
    fg_stream *made = memory->state;
    made->model = *model;
    made->graph = *fg_graph_of(model);
    made->config = *config;
    fg_kernels_select(&made->kernels, config->isa_mask);
    status = lay_out(&made->graph, config, memory->state, memory->scratch, made, &plan, error);
    if (status != FG_OK) return status;
    for (uint32_t i = 0; i < made->graph.input_count; i++) {
        const fg_input_record *input = &made->graph.inputs[i];
        if (made->prepares[i]) fg_prepare_init(made->prepares[i], input, &made->graph.values[input->value]);
    }
    init_nodes(made);
    *stream = made;
    return FG_OK;
}
