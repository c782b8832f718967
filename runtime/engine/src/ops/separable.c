/* separable.c: a depthwise convolution and the 1x1 convolution behind it in one (Howard et al., MobileNets, 2017),
 * where nothing is held from push to push: what lies between them is never written to memory. Some listed pixels at a
 * time: their depthwise results stand where packed windows would, and are multiplied as those are. With gates likewise
 * where the depthwise one's is decided by drift (drift.h), at the pixels that it lets through. */
#include "conv.h"

#include <string.h>

enum { MOST_INPUTS = 16384 }; /* of a graph's nodes together: more are not looked through */

static int plain_conv(const fg_node_record *node)
{
    return node->op == FG_OP_CONV2D && node->flags == 0 && (node->gate == FG_GATE_NONE || node->gate == FG_GATE_HOLD);
}

static int is_pointwise(const fg_node_record *node)
{
    static const fg_conv_attributes pointwise = {1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 0};
    fg_conv_attributes a = node->attributes.conv;
    a.dilation_h = a.dilation_w = 1;
    a.residual = 0;
    return plain_conv(node) && memcmp(&a, &pointwise, sizeof a) == 0;
}

static int is_depthwise(const fg_graph *graph, const fg_node_record *node)
{
    return plain_conv(node) && node->attributes.conv.residual == FG_RESIDUAL_NONE &&
           fg_conv_state_of(graph, node).depthwise;
}

/* Whether one input of one node is all that ever reads a value. */
static int read_once(const fg_graph *graph, uint32_t value)
{
    uint32_t reads = 0;
    for (uint32_t i = graph->values[value].producer + 1; i < graph->node_count && reads < 2; i++) {
        const fg_node_record *node = &graph->nodes[i];
        for (uint32_t k = 0; k < node->input_count; k++) reads += graph->index[node->first_input + k] == value;
    }
    return reads == 1 && !fg_graph_is_output(graph, value);
}

int fg_separable_at(const fg_graph *graph, uint32_t node)
{
    if (node == 0 || node >= graph->node_count) return 0;
    const fg_node_record *pointwise = &graph->nodes[node], *depthwise = pointwise - 1;
    const fg_node_record *end = &graph->nodes[graph->node_count - 1];
    if (end->first_input + end->input_count > MOST_INPUTS) return 0;
    return is_pointwise(pointwise) && graph->index[pointwise->first_input + CONV_X] == depthwise->output &&
           is_depthwise(graph, depthwise) && read_once(graph, depthwise->output);
}

static int holds_by_mean(const fg_node_record *node)
{
    return node->gate == FG_GATE_HOLD && node->gate_norm == FG_NORM_L1 && node->gate_block == 1;
}

int fg_drifts_at(const fg_graph *graph, uint32_t node)
{
    const fg_node_record *depthwise = &graph->nodes[node];
    if (depthwise->op != FG_OP_CONV2D || !holds_by_mean(depthwise)) return 0;
    const fg_value_record *x = &graph->values[graph->index[depthwise->first_input + CONV_X]];
    if (x->kind != FG_VALUE_NODE || !holds_by_mean(&graph->nodes[x->producer])) return 0;
    /* no block would have pixels computed that the depthwise one holds back */
    return fg_separable_at(graph, node + 1) && depthwise[1].gate_block == 1;
}

uint64_t fg_separable_thread(const fg_graph *graph, uint32_t node)
{
    conv_state depthwise = fg_conv_state_of(graph, &graph->nodes[node - 1]);
    return fg_conv_lay_out_scratch(&depthwise, 0, NULL, NULL);
}

void fg_separable_compute(const fg_op_context *before, const conv_call *pointwise, const uint32_t *pixels,
                          uint32_t count, void *memory)
{
    const conv_scratch *scratch = &pointwise->scratch;
    const size_t channels = pointwise->s->group_in;
    const uint32_t fit = (uint32_t)fg_conv_packed_rows(pointwise->s), cols = pointwise->s->cols;
    const uint32_t most = fit > cols ? fit - fit % cols : fit; /* whole rows */
    conv_call depthwise = fg_conv_begin(before, scratch->packed, channels, 0, memory);
    for (uint32_t done = 0, n; done < count; done += n) {
        n = count - done < most ? count - done : most;
        fg_depthwise_pixels(&depthwise, pixels + done, n);
        if (!depthwise.s->fused)
            before->kernels->activation_f32(before->node->activation, before->node->activation_parameters,
                                            scratch->packed, n * channels);
        fg_conv_list(scratch->packed, channels, pointwise->out + done * pointwise->out_stride, pointwise->out_stride, n,
                     scratch->x, scratch->to);
        fg_conv_run_packed(pointwise, n, 1, pointwise->weights);
    }
}
