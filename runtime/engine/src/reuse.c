/* reuse.c: see reuse.h. */
#include "reuse.h"

#include "ops/op.h"
#include "place.h"

/* ---- how long ---- */

enum { MOST_MEMBERS = 128 };

/* The values in one memory, as they are found. */
typedef struct members {
    uint32_t values[MOST_MEMBERS], count, overflow;
} members;

static void add_member(members *m, uint32_t value)
{
    for (uint32_t i = 0; i < m->count; i++) {
        if (m->values[i] == value) return;
    }
    m->overflow |= m->count == MOST_MEMBERS;
    if (!m->overflow) m->values[m->count++] = value;
}

/* alone: all that node does to the memory is to read the very value that has it. */
static void touch(fg_life *life, uint32_t node, int alone)
{
    if (!alone) {
        if (node > life->before) life->before = node;
        if (node > life->last) life->last = node;
    } else if (node > life->last) {
        life->before = life->last;
        life->last = node;
    } else if (node < life->last && node > life->before) {
        life->before = node;
    }
}

static void touch_by_readers(const fg_graph *graph, uint32_t value, int alone, members *m, fg_life *life)
{
    const fg_value_record *record = &graph->values[value];
    for (uint32_t i = record->kind == FG_VALUE_NODE ? record->producer + 1 : 0; i < graph->node_count; i++) {
        const fg_node_record *node = &graph->nodes[i];
        for (uint32_t k = 0; k < node->input_count; k++) {
            if (graph->index[node->first_input + k] != value) continue;
            touch(life, fg_separable_at(graph, i + 1) ? i + 1 : i, alone);
            if (node->op != FG_OP_VIEW && node->op != FG_OP_GATHER) continue;
            if (fg_place_of(graph, node->output).home == value) add_member(m, node->output);
        }
    }
}

static void touch_by_producer(const fg_graph *graph, uint32_t value, members *m, fg_life *life)
{
    const fg_value_record *record = &graph->values[value];
    if (record->kind != FG_VALUE_NODE) return;
    const fg_node_record *node = &graph->nodes[record->producer];
    if (record->producer < life->first) life->first = record->producer;
    touch(life, record->producer, 0);
    for (uint32_t k = 0; node->op == FG_OP_CONCAT && k < node->input_count && !m->overflow; k++) {
        uint32_t part = graph->index[node->first_input + k];
        if (fg_place_of(graph, part).home == value) add_member(m, part);
    }
}

fg_life fg_life_of(const fg_graph *graph, uint32_t value)
{
    const fg_value_record *record = &graph->values[value];
    const fg_life stays = {record->kind == FG_VALUE_NODE ? record->producer : FG_NONE, FG_NONE, FG_NONE};
    fg_life life = {FG_NONE, 0, 0};
    members m = {.values = {value}, .count = 1};
    if (!fg_place_is_small(graph)) return stays;
    for (uint32_t i = 0; i < m.count; i++) {
        if (fg_graph_is_output(graph, m.values[i])) return stays;
        touch_by_producer(graph, m.values[i], &m, &life);
        touch_by_readers(graph, m.values[i], i == 0, &m, &life);
        if (m.overflow) return stays;
    }
    return life;
}

/* Whether a concatenation's part is not the first one to be computed: spares most of them a look at all the others. */
static int is_later_part(const fg_graph *graph, uint32_t home, uint32_t node)
{
    const fg_node_record *concat = &graph->nodes[graph->values[home].producer];
    for (uint32_t k = 0; k < concat->input_count; k++) {
        uint32_t part = graph->index[concat->first_input + k];
        if (graph->values[part].kind != FG_VALUE_NODE || graph->values[part].producer >= node) continue;
        if (fg_place_of(graph, part).home == home) return 1;
    }
    return 0;
}

uint32_t fg_life_begins(const fg_graph *graph, uint32_t node, fg_life *life)
{
    uint32_t value = graph->nodes[node].output, home = fg_place_of(graph, value).home;
    if (home != FG_NONE) {
        const fg_value_record *record = &graph->values[home];
        if (record->kind != FG_VALUE_NODE || record->producer < node) return FG_NONE;
        if (is_later_part(graph, home, node)) return FG_NONE;
        value = fg_place_root(graph, home);
    }
    *life = fg_life_of(graph, value);
    return life->first == node ? value : FG_NONE;
}

/* ---- where ---- */

void fg_reuse_drop(fg_reuse *reuse, uint32_t node)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < reuse->count; i++) {
        if (reuse->blocks[i].life.last >= node) reuse->blocks[count++] = reuse->blocks[i];
    }
    reuse->count = count;
}

static uint64_t end_of(const fg_block *block) { return block->at + block->numbers; }

/* The two neighbours with the least between them are one from now on, as long as either is needed. */
static void join(fg_reuse *reuse)
{
    uint32_t best = 0;
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i + 1 < reuse->count; i++) {
        uint64_t between = reuse->blocks[i + 1].at - end_of(&reuse->blocks[i]);
        if (between < least) least = between, best = i;
    }
    fg_block *block = &reuse->blocks[best];
    block->numbers = end_of(block + 1) - block->at;
    if (block[1].life.last > block->life.last) block->life.last = block[1].life.last;
    block->value = FG_NONE;
    reuse->count--;
    for (uint32_t i = best + 1; i < reuse->count; i++) reuse->blocks[i] = reuse->blocks[i + 1];
}

/* An input of the node at work that only this node still touches, where its output may be written over it. */
static fg_block *dying_input(fg_reuse *reuse, const fg_graph *graph, uint32_t value, uint32_t begin)
{
    const fg_value_record *out = &graph->values[value];
    const fg_node_record *node = &graph->nodes[out->producer];
    for (uint32_t k = 0; fg_op_entry_of(node)->over_input && k < node->input_count; k++) {
        uint32_t input = graph->index[node->first_input + k];
        for (uint32_t i = 0; input != FG_NONE && i < reuse->count; i++) {
            const fg_value_record *in = &graph->values[input];
            fg_block *block = &reuse->blocks[i];
            if (block->value != input || block->life.before >= begin) continue;
            if (in->rows == out->rows && in->cols == out->cols && in->channels == out->channels) return block;
        }
    }
    return NULL;
}

/* Best fit: the smallest gap between two blocks that suffices, else behind the last one. */
static uint64_t take_gap(fg_reuse *reuse, fg_block block)
{
    uint32_t best = reuse->count;
    uint64_t least = UINT64_MAX, from = 0;
    block.at = reuse->count ? end_of(&reuse->blocks[reuse->count - 1]) : 0;
    for (uint32_t i = 0; i <= reuse->count; i++) {
        uint64_t gap = (i < reuse->count ? reuse->blocks[i].at : reuse->numbers) - from;
        if (gap >= block.numbers && gap < least) least = gap, best = i, block.at = from;
        if (i < reuse->count) from = end_of(&reuse->blocks[i]);
    }
    for (uint32_t i = reuse->count++; i > best; i--) reuse->blocks[i] = reuse->blocks[i - 1];
    reuse->blocks[best] = block;
    if (end_of(&block) > reuse->numbers) reuse->numbers = end_of(&block);
    return block.at;
}

uint64_t fg_reuse_take(fg_reuse *reuse, const fg_graph *graph, uint32_t value, fg_life life, uint32_t begin)
{
    const fg_value_record *record = &graph->values[value];
    fg_block *over = record->kind == FG_VALUE_NODE ? dying_input(reuse, graph, value, begin) : NULL;
    if (over) {
        over->value = value;
        over->life = life;
        return over->at;
    }
    fg_block block = {.value = value, .life = life};
    block.numbers = (uint64_t)record->rows * record->cols * record->channels;
    block.numbers = fg_round_up(block.numbers, FG_MEMORY_ALIGN / sizeof(float));
    if (reuse->count == FG_REUSE_BLOCKS) join(reuse);
    return take_gap(reuse, block);
}
