/* strips.c: see strips.h. A sequence's rows are computed in the same order of nodes as ever, only interleaved: no
 * number is computed twice, and none differently. */
#include "strips.h"

#include <string.h>

#include "place.h"

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

/* The node of a sequence that computes input k, or what that is made of; FG_NONE: none does. */
static uint32_t source(const fg_graph *graph, const fg_sequence *sequence, uint32_t node, uint32_t k)
{
    uint32_t value = running_input(graph, &graph->nodes[node], k);
    if (value == FG_NONE || graph->values[value].kind != FG_VALUE_NODE) return FG_NONE;
    uint32_t producer = graph->values[value].producer;
    if (producer < sequence->begin || producer >= sequence->end) return FG_NONE;
    return sequence->into_next[producer - sequence->begin] ? source(graph, sequence, producer, 0) : producer;
}

/* Rows of a node's input k that its output row reads; of the depthwise convolution's where that is joined, which is the
 * 1x1 convolution's first input pixel by pixel. */
static int read_rows(const fg_graph *graph, const fg_sequence *sequence, uint32_t node, uint32_t k, uint32_t row,
                     fg_rows *rows)
{
    const int joined = k == 0 && node > sequence->begin && sequence->into_next[node - 1 - sequence->begin];
    const fg_node_record *record = &graph->nodes[joined ? node - 1 : node];
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
            if (!fg_op_entry_of(record)->rows_read(graph, record, k, row, &rows)) return 0;
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
    if (fg_graph_is_output(graph, value)) return 1;
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
            if (read_rows(graph, sequence, node, k, rows - 1, &read) && read.end <= p->done[from - sequence->begin])
                break;
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
        if (done == rows_of(graph, node) || sequence->into_next[node - sequence->begin]) continue;
        for (uint32_t k = 0; k < record->input_count; k++) {
            uint32_t from = source(graph, sequence, node, k);
            fg_rows read;
            if (from == FG_NONE || !read_rows(graph, sequence, node, k, done, &read)) continue;
            if (read.first < p->low[from - sequence->begin]) p->low[from - sequence->begin] = read.first;
        }
    }
}

/* The rows that a root's memory holds: of all outputs in it, those that are still read. */
static fg_rows rows_held(const fg_sequence *sequence, const progress *p, uint32_t root)
{
    fg_rows held = {UINT32_MAX, 0};
    for (uint32_t i = 0; i < sequence->end - sequence->begin; i++) {
        if (sequence->root[i] != root) continue;
        if (p->low[i] < held.first) held.first = p->low[i];
        if (p->done[i] > held.end) held.end = p->done[i];
    }
    return held;
}

static uint32_t root_of(const fg_graph *graph, const fg_sequence *sequence, uint32_t node)
{
    for (;;) {
        uint32_t home = fg_place_of(graph, graph->nodes[node].output).home;
        if (home == FG_NONE) return node;
        if (graph->values[home].kind != FG_VALUE_NODE) return FG_NONE;
        node = graph->values[home].producer;
        if (node < sequence->begin || node >= sequence->end) return FG_NONE;
    }
}

/* Whether anything outside the sequence lies in a node's output, or reads it. */
static int used_outside(const fg_graph *graph, const fg_sequence *sequence, uint32_t node)
{
    const fg_node_record *record = &graph->nodes[node];
    for (uint32_t k = 0; record->op == FG_OP_CONCAT && k < record->input_count; k++) {
        uint32_t value = running_input(graph, record, k);
        if (value == FG_NONE || source(graph, sequence, node, k) != FG_NONE) continue;
        if (fg_place_of(graph, value).home == record->output) return 1;
    }
    return read_later(graph, sequence, node);
}

/* Plays the sweeps through to see how many rows must be kept. A strip's rows more, and rows that stay need not be moved
 * for every strip. Returns the bytes of the rows at work. */
static uint64_t find_kept(const fg_graph *graph, fg_sequence *sequence)
{
    progress p = {.done = {0}};
    uint32_t most[FG_SEQUENCE_NODES] = {0}; /* by root */
    uint64_t bytes = 0;
    for (uint32_t sweep = 1; sweep <= sequence->sweeps; sweep++) {
        find_low(graph, sequence, &p);
        for (uint32_t node = sequence->begin; node < sequence->end; node++) {
            uint32_t i = node - sequence->begin;
            if (!sequence->into_next[i]) p.done[i] = rows_after(graph, sequence, &p, node, sweep);
        }
        for (uint32_t node = sequence->begin; node < sequence->end; node++) {
            fg_rows held = rows_held(sequence, &p, node);
            uint32_t *rows = &most[node - sequence->begin];
            if (held.end > held.first && held.end - held.first > *rows) *rows = held.end - held.first;
        }
    }
    for (uint32_t node = sequence->begin; node < sequence->end; node++) {
        const fg_value_record *value = &graph->values[graph->nodes[node].output];
        if (sequence->into_next[node - sequence->begin]) continue;
        bytes += value_bytes(value) / value->rows * (most[node - sequence->begin] + value->rows / sequence->sweeps);
    }
    for (uint32_t node = sequence->begin; node < sequence->end; node++) {
        uint32_t i = node - sequence->begin, root = sequence->root[i];
        if (root != FG_NONE && used_outside(graph, sequence, node)) most[root - sequence->begin] = UINT32_MAX;
    }
    for (uint32_t node = sequence->begin; node < sequence->end; node++) {
        uint32_t i = node - sequence->begin, root = sequence->root[i], rows = rows_of(graph, node);
        uint64_t kept = root == FG_NONE ? UINT32_MAX : most[root - sequence->begin];
        kept += (rows + sequence->sweeps - 1) / sequence->sweeps;
        if (!sequence->into_next[i]) sequence->kept[i] = kept < rows ? (uint32_t)kept : 0;
    }
    return bytes;
}

/* The nodes from begin on that can run in strips and whose weights fit together. */
static uint32_t longest(const fg_graph *graph, uint32_t begin)
{
    uint64_t weights = 0;
    uint32_t end = begin;
    for (; end < graph->node_count && end - begin < FG_SEQUENCE_NODES && runs_in_strips(graph, end); end++) {
        weights += constant_bytes(graph, &graph->nodes[end]);
        if (weights > FG_SEQUENCE_WEIGHTS) break;
    }
    return end;
}

/* As few sweeps as keep the rows at work in the cache, at least FG_SEQUENCE_ROWS of the largest map in each. By how
 * much the sequence is too long for that: the bytes then, or 0 where all is well. */
static uint64_t choose_sweeps(const fg_graph *graph, uint32_t threads, fg_sequence *sequence)
{
    uint64_t all = 0, bytes = 0;
    uint32_t tallest = 0;
    for (uint32_t node = sequence->begin; node < sequence->end; node++) {
        sequence->root[node - sequence->begin] = root_of(graph, sequence, node);
        if (rows_of(graph, node) > tallest) tallest = rows_of(graph, node);
        if (sequence->into_next[node - sequence->begin]) continue;
        if (fg_place_of(graph, graph->nodes[node].output).home != FG_NONE) continue;
        all += value_bytes(&graph->values[graph->nodes[node].output]);
    }
    if (threads > 1 || sequence->end < sequence->begin + 2 || all <= FG_SEQUENCE_BYTES) return 0;
    for (uint32_t sweeps = 2;; sweeps += (sweeps + 1) / 2) {
        int last = sweeps >= tallest / FG_SEQUENCE_ROWS;
        sequence->sweeps = last ? tallest / FG_SEQUENCE_ROWS : sweeps;
        if (all / sweeps > FG_SEQUENCE_BYTES && !last) continue;
        if (sequence->sweeps > 1) bytes = find_kept(graph, sequence);
        if (sequence->sweeps > 1 && bytes <= FG_SEQUENCE_BYTES) return 0;
        if (last) return sequence->sweeps > 1 ? bytes : all;
    }
}

/* Nodes whose work the next one does. A row of memory is as little as a value can have. */
static void join(const fg_graph *graph, fg_sequence *sequence)
{
    for (uint32_t node = sequence->begin; node + 1 < sequence->end; node++) {
        uint32_t i = node - sequence->begin;
        sequence->into_next[i] = sequence->kept[i] = (uint32_t)fg_separable_at(graph, node + 1);
    }
}

/* An end that cuts no depthwise convolution off from the 1x1 convolution that can do its work. */
static uint32_t whole_pairs(const fg_graph *graph, uint32_t begin, uint32_t end)
{
    if (end > begin && !fg_separable_at(graph, end)) return end;
    return end > begin + 1 ? end - 1 : begin + 1 + (uint32_t)fg_separable_at(graph, begin + 1);
}

void fg_sequence_at(const fg_graph *graph, uint32_t begin, uint32_t threads, fg_sequence *sequence)
{
    for (uint32_t end = longest(graph, begin);;) {
        end = whole_pairs(graph, begin, end);
        *sequence = (fg_sequence){.begin = begin, .end = end, .sweeps = 1};
        join(graph, sequence);
        if (end == begin + 2 && sequence->into_next[0]) return; /* nothing is left between the two */
        uint64_t bytes = choose_sweeps(graph, threads, sequence);
        if (!bytes) return;
        uint32_t nodes = end - begin, fit = (uint32_t)(nodes * (uint64_t)FG_SEQUENCE_BYTES / bytes);
        end = begin + (fit < nodes ? fit : nodes - 1);
    }
}

/* ---- a push ---- */

/* What the threads share: rows of one node, cut into items of nearly equal length. */
typedef struct strip_work {
    fg_stream *stream;
    const fg_op_entry *op;
    fg_op_context context;
    uint32_t first, count, items; /* pixels */
    uint32_t unit;                /* that is not divided: rows of squares, which must not, or of narrow maps */
    uint32_t parts;               /* of the output channels, of every item */
} strip_work;

static void run_item(void *shared, uint32_t item, uint32_t thread)
{
    const strip_work *work = shared;
    const fg_stream *stream = work->stream;
    uint8_t *memory = stream->thread_scratch + thread * stream->thread_bytes;
    uint32_t *pixels = (uint32_t *)(void *)memory;
    fg_op_context context = work->context;
    uint32_t units = (work->count + work->unit - 1) / work->unit;
    context.part = item % work->parts;
    item /= work->parts;
    uint32_t begin = (uint32_t)((uint64_t)units * item / work->items) * work->unit;
    uint32_t end = (uint32_t)((uint64_t)units * (item + 1) / work->items) * work->unit;
    uint32_t count = (end < work->count ? end : work->count) - begin;
    for (uint32_t i = 0; i < count; i++) pixels[i] = work->first + begin + i;
    float *tile = (float *)(void *)(memory + fg_strip_list_bytes(work->op, work->context.output->cols));
    fg_compute_in_place(work->op, &context, pixels, count, tile, memory + stream->tile_bytes);
}

/* Rows up to end of a node's output have a place in memory. */
static void make_room(fg_stream *stream, const fg_sequence *sequence, const progress *p, uint32_t node, uint32_t end)
{
    const fg_node_record *nodes = stream->graph.nodes;
    const fg_value_state *value = &stream->values[nodes[node].output];
    if (!value->kept || end - value->first <= value->kept) return;
    uint32_t root = sequence->root[node - sequence->begin];
    fg_rows held = rows_held(sequence, p, root);
    value = &stream->values[nodes[root].output];
    size_t row = (size_t)value->cols * value->stride;
    memmove(value->rows_kept, value->rows_kept + (held.first - value->first) * row,
            (held.end - held.first) * row * sizeof(float));
    for (uint32_t i = sequence->begin; i < sequence->end; i++) {
        if (sequence->root[i - sequence->begin] == root) fg_value_place(&stream->values[nodes[i].output], held.first);
    }
}

static void run_rows(fg_stream *stream, uint32_t node, uint32_t begin, uint32_t end)
{
    strip_work work = {.stream = stream, .op = fg_op_entry_of(&stream->graph.nodes[node])};
    const uint32_t threads = fg_thread_count(stream);
    work.context = fg_node_context(stream, node, 1);
    fg_op_context before;
    if (node > 0 && stream->nodes[node - 1].into_next) {
        before = fg_node_context(stream, node - 1, 1);
        work.context.before = &before;
    }
    if (work.op->follows && work.op->follows(&work.context) == FG_FOLLOWS_IN_PLACE) return;
    work.first = begin * work.context.output->cols;
    work.count = (end - begin) * work.context.output->cols;
    const uint32_t cols = work.context.output->cols, most = fg_strip_pixels(work.op, cols);
    work.unit = work.op->square ? work.op->square * cols : 2 * cols <= most ? cols : 1;
    uint32_t units = (work.count + work.unit - 1) / work.unit;
    work.items = (units + most / work.unit - 1) / (most / work.unit);
    work.parts = work.context.parts = fg_node_parts(stream, work.op, &work.context, work.count);
    if (threads > 1 && work.parts == 1) work.items = (work.items + threads - 1) / threads * threads;
    if (work.items > units) work.items = units;
    fg_run_chunks(stream, run_item, &work, work.items * work.parts);
}

/* All rows' places as they are before the first one is computed. */
static void start(fg_stream *stream, fg_sequence *sequence)
{
    const fg_graph *graph = &stream->graph;
    for (uint32_t node = sequence->begin; node < sequence->end; node++) {
        fg_value_state *value = &stream->values[graph->nodes[node].output];
        uint32_t root = graph->nodes[node].output;
        while (value->kept && stream->values[root].home != FG_NONE) root = stream->values[root].home;
        sequence->root[node - sequence->begin] = graph->values[root].producer;
        sequence->into_next[node - sequence->begin] = stream->nodes[node].into_next;
        if (value->kept) fg_value_place(value, 0);
        stream->nodes[node].nanoseconds = 0;
    }
}

void fg_sequence_run(fg_stream *stream, uint32_t begin)
{
    const fg_graph *graph = &stream->graph;
    fg_sequence made = {.begin = begin, .end = stream->nodes[begin].end, .sweeps = stream->nodes[begin].sweeps};
    fg_sequence *sequence = &made;
    progress p = {.done = {0}};
    start(stream, sequence);
    for (uint32_t sweep = 1; sweep <= sequence->sweeps; sweep++) {
        find_low(graph, sequence, &p);
        for (uint32_t node = sequence->begin; node < sequence->end; node++) {
            uint32_t i = node - sequence->begin;
            uint32_t rows = sequence->into_next[i] ? 0 : rows_after(graph, sequence, &p, node, sweep);
            if (rows == p.done[i]) continue;
            uint64_t before = stream->config.clock ? stream->config.clock() : 0;
            make_room(stream, sequence, &p, node, rows);
            run_rows(stream, node, p.done[i], rows);
            p.done[i] = rows;
            if (stream->config.clock) stream->nodes[node].nanoseconds += stream->config.clock() - before;
        }
    }
    for (uint32_t node = sequence->begin; node < sequence->end; node++) fg_node_all_changed(stream, node);
}
