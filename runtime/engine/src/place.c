/* place.c: which values lie inside others. Nothing is remembered: what a value's readers are is found by looking at
 * all nodes, which is quick enough for networks of any sensible size; huge ones are left as they are. */
#include "place.h"

#include "ops/op.h"
#include "skip.h"

enum { MOST_INPUTS = 16384 }; /* of all nodes together, in a network that is looked at */

static const fg_place own_memory = {FG_NONE, 0, 0};

/* Who reads a value. */
typedef struct value_readers {
    uint32_t apart;  /* all of them can skip what is between two pixels */
    uint32_t concat; /* the output of the first one that joins it with others over channels; FG_NONE */
    uint64_t offset; /* where it begins there */
} value_readers;

int fg_place_is_small(const fg_graph *graph)
{
    uint64_t inputs = 0;
    for (uint32_t i = 0; i < graph->node_count && inputs <= MOST_INPUTS; i++) inputs += graph->nodes[i].input_count;
    return inputs <= MOST_INPUTS;
}

static int joins_channels(const fg_node_record *node)
{
    return node->op == FG_OP_CONCAT && node->attributes.concat.axis == 2 && node->gate == FG_GATE_NONE;
}

static void add_reader(const fg_graph *graph, const fg_node_record *node, uint32_t value, value_readers *readers)
{
    const uint32_t *inputs = graph->index + node->first_input;
    uint64_t offset = 0;
    for (uint32_t i = 0; i < node->input_count; i++) {
        if (inputs[i] == value) {
            /* A skip gate's own copies of its input are packed. */
            if (!(fg_op_entry_of(node)->apart & FG_APART_INPUTS) || fg_gate_skips(node->gate)) readers->apart = 0;
            if (joins_channels(node) && readers->concat == FG_NONE) {
                readers->concat = node->output;
                readers->offset = offset;
            }
        }
        if (inputs[i] != FG_NONE) offset += graph->values[inputs[i]].channels;
    }
}

static value_readers readers_of(const fg_graph *graph, uint32_t value)
{
    value_readers readers = {!fg_graph_is_output(graph, value), FG_NONE, 0}; /* handed out as it lies in memory */
    for (uint32_t i = graph->values[value].producer + 1; readers.apart && i < graph->node_count; i++) {
        add_reader(graph, &graph->nodes[i], value, &readers);
    }
    return readers;
}

fg_place fg_place_of(const fg_graph *graph, uint32_t value)
{
    const fg_value_record *record = &graph->values[value];
    if (record->kind != FG_VALUE_NODE) return own_memory;
    const fg_node_record *node = &graph->nodes[record->producer];
    uint32_t from = graph->index[node->first_input];
    if (node->op == FG_OP_VIEW) return (fg_place){from, 0, 0};
    if (!fg_place_is_small(graph)) return own_memory;
    value_readers readers = readers_of(graph, value);
    uint32_t first = 0;
    if (!readers.apart) return own_memory;
    if (node->gate == FG_GATE_NONE && fg_gather_is_range(graph, node, &first)) return (fg_place){from, 1, first};
    if (readers.concat == FG_NONE) return own_memory;
    return (fg_place){readers.concat, 1, readers.offset};
}

uint32_t fg_place_root(const fg_graph *graph, uint32_t value)
{
    for (uint32_t home; (home = fg_place_of(graph, value).home) != FG_NONE;) value = home;
    return value;
}
