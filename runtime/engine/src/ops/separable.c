/* separable.c: a depthwise convolution and the 1x1 convolution behind it in one (Howard et al., MobileNets, 2017),
 * where nothing is held from push to push: what lies between them is never written to memory. Some listed pixels at a
 * time: their depthwise results fill a tile, the tile is multiplied. With gates the two stay apart: the depthwise one's
 * gate keeps the 1x1 convolution from a quarter of its pixels, which is worth more (docs/performance.md). */
#include "conv.h"

#include <string.h>

enum {
    TILE_NUMBERS = 16384, /* about so many in a tile */
    TILE_MOST = 262144,   /* where the 1x1 weights are many, which every tile reads */
    MANY_WEIGHTS = 65536,
    MOST_INPUTS = 16384 /* of a graph's nodes together: more are not looked through */
};

/* Behind the depthwise convolution's own scratch. */
typedef struct separable_scratch {
    const float **x; /* per pixel of a tile */
    float **to;
    float *tile;
} separable_scratch;

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
    uint32_t in = graph->values[graph->index[node->first_input + CONV_X]].channels;
    uint32_t groups = (uint32_t)node->attributes.conv.groups;
    return plain_conv(node) && node->attributes.conv.residual == FG_RESIDUAL_NONE && groups > 1 && groups == in &&
           groups == graph->values[node->output].channels;
}

/* Whether one input of one node is all that ever reads a value. */
static int read_once(const fg_graph *graph, uint32_t value)
{
    uint32_t reads = 0;
    for (uint32_t i = 0; i < graph->output_count; i++) reads += 2u * (graph->outputs[i].value == value);
    for (uint32_t i = graph->values[value].producer + 1; i < graph->node_count && reads < 2; i++) {
        const fg_node_record *node = &graph->nodes[i];
        for (uint32_t k = 0; k < node->input_count; k++) reads += graph->index[node->first_input + k] == value;
    }
    return reads == 1;
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

static uint32_t tile_pixels(const conv_state *depthwise, uint32_t columns)
{
    uint32_t channels = depthwise->groups;
    uint32_t fit = ((uint64_t)channels * columns < MANY_WEIGHTS ? TILE_NUMBERS : TILE_MOST) / channels;
    uint32_t most = depthwise->pixels < FG_CHUNK_PIXELS ? depthwise->pixels : FG_CHUNK_PIXELS;
    uint32_t pixels = fit < 1 ? 1 : fit < most ? fit : most;
    return pixels > depthwise->cols ? pixels - pixels % depthwise->cols : pixels; /* whole rows */
}

static uint64_t lay_out_scratch(const conv_state *depthwise, uint32_t columns, uint8_t *base, conv_scratch *inner,
                                separable_scratch *scratch)
{
    uint32_t tile = tile_pixels(depthwise, columns);
    uint64_t used = fg_conv_lay_out_scratch(depthwise, 0, base, inner);
    uint64_t list = fg_round_up(tile * sizeof(float *), FG_CACHE_LINE);
    if (base) {
        scratch->x = (const float **)(void *)(base + used);
        scratch->to = (float **)(void *)(base + used + list);
        scratch->tile = (float *)(void *)(base + used + 2 * list);
    }
    return used + 2 * list + (uint64_t)tile * depthwise->groups * sizeof(float);
}

uint64_t fg_separable_thread(const fg_graph *graph, uint32_t node)
{
    conv_state depthwise = fg_conv_state_of(graph, &graph->nodes[node - 1]);
    return lay_out_scratch(&depthwise, graph->values[graph->nodes[node].output].channels, NULL, NULL, NULL);
}

void fg_separable_compute(const fg_op_context *context, const uint32_t *pixels, uint32_t count, float *out,
                          size_t out_stride, void *memory)
{
    static const ptrdiff_t no_offset = 0;
    const fg_op_context *before = context->before;
    const conv_state *s = context->aux, *depthwise = before->aux;
    const uint32_t channels = depthwise->groups, columns = context->output->channels;
    const uint32_t most = tile_pixels(depthwise, columns);
    separable_scratch scratch = {NULL, NULL, NULL};
    conv_call call = {.kernels = context->kernels, .s = depthwise, .out_stride = channels};
    lay_out_scratch(depthwise, columns, memory, &call.scratch, &scratch);
    call.x = fg_op_input(before, CONV_X);
    call.weights = fg_op_input(before, CONV_WEIGHTS)->data;
    call.out = scratch.tile;
    fg_gemm_f32_args args = {.x = scratch.x,
                             .offsets = &no_offset,
                             .taps = 1,
                             .depth = channels,
                             .panels = fg_op_input(context, CONV_WEIGHTS)->data,
                             .columns = columns,
                             .bias = s->bias,
                             .finish = s->finish,
                             .out = scratch.to};
    for (uint32_t done = 0, n; done < count; done += n) {
        n = count - done < most ? count - done : most;
        fg_depthwise_pixels(&call, pixels + done, n);
        if (!depthwise->fused)
            context->kernels->activation_f32(before->node->activation, before->node->activation_parameters,
                                             scratch.tile, (size_t)n * channels);
        for (uint32_t i = 0; i < n; i++) {
            scratch.x[i] = scratch.tile + (size_t)i * channels;
            scratch.to[i] = out + (done + i) * out_stride;
        }
        args.rows = n;
        context->kernels->gemm_f32(&args);
    }
}
