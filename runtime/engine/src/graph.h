/* graph.h: the opened model. Pointers into the file's bytes, all of them checked by model.c. */
#ifndef FG_GRAPH_H
#define FG_GRAPH_H

#include "../include/framegate.h"
#include "format.h"

typedef struct fg_graph {
    const uint8_t *file;
    const char *strings;
    const fg_value_record *values;
    const fg_node_record *nodes;
    const uint32_t *index;
    const fg_input_record *inputs;
    const fg_output_record *outputs;
    const uint8_t *data;
    uint32_t value_count, node_count, input_count, output_count;
} fg_graph;

_Static_assert(sizeof(fg_graph) <= sizeof(fg_model), "fg_graph must fit into fg_model");

static inline const fg_graph *fg_graph_of(const fg_model *model) { return (const fg_graph *)(const void *)model; }

static inline const void *fg_graph_constant(const fg_graph *graph, uint32_t value)
{
    return graph->data + graph->values[value].data_offset;
}

/* Whether a value is what the caller gets. */
static inline int fg_graph_is_output(const fg_graph *graph, uint32_t value)
{
    for (uint32_t i = 0; i < graph->output_count; i++) {
        if (graph->outputs[i].value == value) return 1;
    }
    return 0;
}

/* Multiply-accumulates of one output pixel, 0 where the operator has none; a transposed convolution's pixel (row, col)
 * counts the taps of its phase. */
uint64_t fg_graph_pixel_macs(const fg_graph *graph, const fg_node_record *node, uint32_t row, uint32_t col);
uint64_t fg_graph_node_macs(const fg_graph *graph, const fg_node_record *node);
const char *fg_op_name(uint32_t op);

/* Fills error (if not NULL) and returns status; a long message is cut off, nothing is formatted. */
fg_status fg_error_set(fg_error *error, fg_status status, uint32_t node, uint64_t offset, const char *message);

#endif
