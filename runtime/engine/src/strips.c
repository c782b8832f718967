/* strips.c: see strips.h. A sequence's rows are computed in the same order of nodes as ever, only interleaved: no
 * number is computed twice, and none differently. */
#include "strips.h"

#include <string.h>

/* Of each node of a sequence: rows computed, and the first of them that a later row of the sequence reads. */
typedef struct progress {
    uint32_t done[FG_SEQUENCE_NODES], low[FG_SEQUENCE_NODES];
} progress;

static uint32_t rows_of(const fg_graph *graph, uint32_t node) { return graph->values[graph->nodes[node].output].rows; }

/* Input k of a node as a value that is computed or given, FG_NONE for constants and what is left out. */
static uint32_t running_input(const fg_graph *graph, const fg_node_record *node, uint32_t k)
{
    uint32_t value = graph->index[node->first_input + k];
    return value != FG_NONE && graph->values[value].kind != FG_VALUE_CONSTANT ? value : FG_NONE;
}

/* The node of a sequence that computes input k, or FG_NONE. */
static uint32_t source(const fg_graph *graph, const fg_sequence *sequence, uint32_t node, uint32_t k)
{
    uint32_t value = running_input(graph, &graph->nodes[node], k);
    if (value == FG_NONE || graph->values[value].kind != FG_VALUE_NODE) return FG_NONE;
    uint32_t producer = graph->values[value].producer;
    return producer >= sequence->begin && producer < sequence->end ? producer : FG_NONE;
}

/* Rows of a node's input k that its output row reads. */
static int read_rows(const fg_graph *graph, uint32_t node, uint32_t k, uint32_t row, fg_rows *rows)
{
    const fg_node_record *record = &graph->nodes[node];
    return fg_op_entry_of(record)->rows_read(graph, record, k, row, rows);
}

/* Whether a node's rows can be computed one after the other while its inputs' rows arrive in order. */
static int runs_in_strips(const fg_graph *graph, uint32_t node)
{
    const fg_node_record *record = &graph->nodes[node];
    if (!fg_op_entry_of(record)->rows_read || fg_gate_skips(record->gate)) return 0;
    for (uint32_t k = 0; k < record->input_count; k++) {
        fg_rows before = {0, 0}, rows;
        if (running_input(graph, record, k) == FG_NONE) continue;
        for (uint32_t row = 0; row < rows_of(graph, node); row++, before = rows) {
            if (!read_rows(graph, node, k, row, &rows)) return 0;
            if (rows.first < before.first || rows.end < before.end) return 0;
        }
    }
    return 1;
}

static uint64_t constant_bytes(const fg_graph *graph, const fg_node_record *node)
{
    uint64_t bytes = 0;
    for (uint32_t k = 0; k < node->input_count; k++) {
        uint32_t value = graph->index[node->first_input + k];
        if (value != FG_NONE) bytes += graph->values[value].data_bytes;
    }
    return bytes;
}

static uint64_t value_bytes(const fg_value_record *value)
{
    return (uint64_t)value->rows * value->cols * value->channels * sizeof(float);
}

/* Whether anything behind the sequence reads a node's output. */
static int read_later(const fg_graph *graph, const fg_sequence *sequence, uint32_t node)
{
    uint32_t value = graph->nodes[node].output;
    for (uint32_t i = 0; i < graph->output_count; i++) {
        if (graph->outputs[i].value == value) return 1;
    }
    for (uint32_t i = sequence->end; i < graph->node_count; i++) {
        const fg_node_record *record = &graph->nodes[i];
        for (uint32_t k = 0; k < record->input_count; k++) {
            if (graph->index[record->first_input + k] == value) return 1;
        }
    }
    return 0;
}

/* How many rows of a node there are after a sweep: its share, as far as its inputs' rows reach; whole squares. */
static uint32_t rows_after(const fg_graph *graph, const fg_sequence *sequence, const progress *p, uint32_t node,
                           uint32_t sweep)
{
    const fg_node_record *record = &graph->nodes[node];
    uint32_t done = p->done[node - sequence->begin], all = rows_of(graph, node);
    uint32_t rows = (uint32_t)(((uint64_t)all * sweep + sequence->sweeps - 1) / sequence->sweeps);
    uint32_t square = fg_op_entry_of(record)->square;
    if (square) rows = rows + square < all ? (rows + square - 1) / square * square : all;
    for (uint32_t k = 0; k < record->input_count; k++) {
        uint32_t from = source(graph, sequence, node, k);
        fg_rows read;
        for (; from != FG_NONE && rows > done; rows--) {
            if (read_rows(graph, node, k, rows - 1, &read) && read.end <= p->done[from - sequence->begin]) break;
        }
    }
    if (square && rows < all) rows -= rows % square;
    return rows > done ? rows : done;
}

static void find_low(const fg_graph *graph, const fg_sequence *sequence, progress *p)
{
    memcpy(p->low, p->done, sizeof p->low);
    for (uint32_t node = sequence->begin; node < sequence->end; node++) {
        const fg_node_record *record = &graph->nodes[node];
        uint32_t done = p->done[node - sequence->begin];
        if (done == rows_of(graph, node)) continue;
        for (uint32_t k = 0; k < record->input_count; k++) {
            uint32_t from = source(graph, sequence, node, k);
            fg_rows read;
            if (from == FG_NONE || !read_rows(graph, node, k, done, &read)) continue;
            if (read.first < p->low[from - sequence->begin]) p->low[from - sequence->begin] = read.first;
        }
    }
}

/* Plays the sweeps through to see how many rows must be kept. A strip's rows more, and rows that stay need not be moved
 * for every strip. */
static void find_kept(const fg_graph *graph, fg_sequence *sequence)
{
    progress p = {.done = {0}};
    for (uint32_t sweep = 1; sweep <= sequence->sweeps; sweep++) {
        find_low(graph, sequence, &p);
        for (uint32_t node = sequence->begin; node < sequence->end; node++) {
            uint32_t i = node - sequence->begin, rows = rows_after(graph, sequence, &p, node, sweep);
            if (rows - p.low[i] > sequence->kept[i]) sequence->kept[i] = rows - p.low[i];
            p.done[i] = rows;
        }
    }
    for (uint32_t node = sequence->begin; node < sequence->end; node++) {
        uint32_t *kept = &sequence->kept[node - sequence->begin], rows = rows_of(graph, node);
        *kept += (rows + sequence->sweeps - 1) / sequence->sweeps;
        if (*kept >= rows || read_later(graph, sequence, node)) *kept = 0;
    }
}

void fg_sequence_at(const fg_graph *graph, uint32_t begin, fg_sequence *sequence)
{
    uint64_t bytes = 0, weights = 0;
    uint32_t end = begin;
    for (; end < graph->node_count && end - begin < FG_SEQUENCE_NODES && runs_in_strips(graph, end); end++) {
        weights += constant_bytes(graph, &graph->nodes[end]);
        if (weights > FG_SEQUENCE_WEIGHTS) break;
        bytes += value_bytes(&graph->values[graph->nodes[end].output]);
    }
    *sequence = (fg_sequence){.begin = begin, .end = end > begin ? end : begin + 1, .sweeps = 1};
    if (end < begin + 2 || bytes <= FG_SEQUENCE_BYTES) return;
    uint64_t sweeps = (bytes + FG_SEQUENCE_BYTES - 1) / FG_SEQUENCE_BYTES;
    sequence->sweeps = sweeps < UINT32_MAX ? (uint32_t)sweeps : UINT32_MAX;
    find_kept(graph, sequence);
}

/* ---- a push ---- */

/* What the threads share: rows of one node, cut into items of nearly equal length. */
typedef struct strip_work {
    fg_stream *stream;
    const fg_op_entry *op;
    fg_op_context context;
    uint32_t first, count, items; /* pixels */
    uint32_t unit;                /* that must not be divided: rows of squares */
} strip_work;

static void run_item(void *shared, uint32_t item, uint32_t thread)
{
    const strip_work *work = shared;
    const fg_stream *stream = work->stream;
    uint8_t *memory = stream->thread_scratch + thread * stream->thread_bytes;
    uint32_t *pixels = (uint32_t *)(void *)memory; /* results go in place: the tile is free */
    uint32_t units = (work->count + work->unit - 1) / work->unit;
    uint32_t begin = (uint32_t)((uint64_t)units * item / work->items) * work->unit;
    uint32_t end = (uint32_t)((uint64_t)units * (item + 1) / work->items) * work->unit;
    uint32_t count = (end < work->count ? end : work->count) - begin;
    const fg_value_state *out = work->context.output;
    for (uint32_t i = 0; i < count; i++) pixels[i] = work->first + begin + i;
    work->op->compute(&work->context, pixels, count, out->data + (size_t)pixels[0] * out->stride, out->stride,
                      memory + stream->tile_bytes);
}

/* Rows begin .. end - 1 of a value have a place in memory; rows below low are not needed any more. */
static void make_room(fg_value_state *value, uint32_t low, uint32_t begin, uint32_t end)
{
    if (!value->kept || end - value->first <= value->kept) return;
    size_t row = (size_t)value->cols * value->stride;
    memmove(value->rows_kept, value->rows_kept + (low - value->first) * row, (begin - low) * row * sizeof(float));
    fg_value_place(value, low);
}

static void run_rows(fg_stream *stream, uint32_t node, uint32_t begin, uint32_t end)
{
    strip_work work = {.stream = stream, .op = fg_op_entry_of(&stream->graph.nodes[node])};
    uint32_t threads = stream->config.parallel_for ? stream->config.threads : 1;
    work.context = fg_node_context(stream, node, 1);
    work.first = begin * work.context.output->cols;
    work.count = (end - begin) * work.context.output->cols;
    work.unit = work.op->square ? work.op->square * work.context.output->cols : 1;
    uint32_t most = fg_strip_pixels(work.op, work.context.output->cols),
             units = (work.count + work.unit - 1) / work.unit;
    work.items = (units + most / work.unit - 1) / (most / work.unit);
    if (threads > 1) work.items = (work.items + threads - 1) / threads * threads;
    if (work.items > units) work.items = units;
    fg_run_chunks(stream, run_item, &work, work.items);
}

void fg_sequence_run(fg_stream *stream, const fg_sequence *sequence)
{
    const fg_graph *graph = &stream->graph;
    progress p = {.done = {0}};
    for (uint32_t node = sequence->begin; node < sequence->end; node++) {
        fg_value_state *value = &stream->values[graph->nodes[node].output];
        if (value->kept) fg_value_place(value, 0);
        stream->nodes[node].nanoseconds = 0;
    }
    for (uint32_t sweep = 1; sweep <= sequence->sweeps; sweep++) {
        find_low(graph, sequence, &p);
        for (uint32_t node = sequence->begin; node < sequence->end; node++) {
            uint32_t i = node - sequence->begin, rows = rows_after(graph, sequence, &p, node, sweep);
            if (rows == p.done[i]) continue;
            uint64_t start = stream->config.clock ? stream->config.clock() : 0;
            make_room(&stream->values[graph->nodes[node].output], p.low[i], p.done[i], rows);
            run_rows(stream, node, p.done[i], rows);
            p.done[i] = rows;
            if (stream->config.clock) stream->nodes[node].nanoseconds += stream->config.clock() - start;
        }
    }
    for (uint32_t node = sequence->begin; node < sequence->end; node++) fg_node_all_changed(stream, node);
}
