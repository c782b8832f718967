/* model_info.c: what callers ask about an opened model, and the arithmetic of its nodes. */
#include "model_check.h"

const char *fg_op_name(uint32_t op)
{
    const fg_op_rule *rule = fg_op_rule_of(op);
    return rule != NULL ? rule->name : "unknown";
}

static const fg_value_record *input_of(const fg_graph *graph, const fg_node_record *node, uint32_t slot)
{
    return &graph->values[graph->index[node->first_input + slot]];
}

/* Kernel elements that reach output pixel i of an axis of a transposed convolution, borders ignored. */
static uint64_t phase_taps(int32_t kernel, int32_t stride, int32_t dilation, int32_t pad, uint32_t i)
{
    uint64_t taps = 0;
    for (int32_t k = 0; k < kernel; k++)
        taps += ((int64_t)(i % (uint32_t)stride) + pad - (int64_t)k * dilation) % stride == 0;
    return taps;
}

/* The sum of phase_taps over an axis of `out` pixels: each kernel element serves one phase. */
static uint64_t axis_taps(int32_t kernel, int32_t stride, int32_t dilation, int32_t pad, uint32_t out)
{
    uint64_t taps = 0;
    for (int32_t k = 0; k < kernel; k++) {
        const int64_t remainder = ((int64_t)k * dilation - pad) % stride;
        const int64_t phase = remainder < 0 ? remainder + stride : remainder;
        if (phase < (int64_t)out) taps += (uint64_t)((out - 1 - phase) / stride + 1);
    }
    return taps;
}

/* Multiply-accumulates of one kernel element for all output channels. */
static uint64_t tap_macs(const fg_graph *graph, const fg_node_record *node)
{
    const uint64_t in = input_of(graph, node, 0)->channels, out = graph->values[node->output].channels;
    return in / (uint64_t)node->attributes.conv.groups * out;
}

uint64_t fg_graph_pixel_macs(const fg_graph *graph, const fg_node_record *node, uint32_t row, uint32_t col)
{
    const fg_conv_attributes *conv = &node->attributes.conv;
    switch (node->op) {
    case FG_OP_CONV2D: return (uint64_t)conv->kernel_h * (uint64_t)conv->kernel_w * tap_macs(graph, node);
    case FG_OP_CONV_TRANSPOSE2D:
        return phase_taps(conv->kernel_h, conv->stride_h, conv->dilation_h, conv->pad_top, row) *
               phase_taps(conv->kernel_w, conv->stride_w, conv->dilation_w, conv->pad_left, col) *
               tap_macs(graph, node);
    case FG_OP_MATMUL: return (uint64_t)input_of(graph, node, 0)->channels * graph->values[node->output].channels;
    default: return 0;
    }
}

uint64_t fg_graph_node_macs(const fg_graph *graph, const fg_node_record *node)
{
    const fg_value_record *out = &graph->values[node->output];
    const fg_conv_attributes *conv = &node->attributes.conv;
    if (node->op == FG_OP_CONV_TRANSPOSE2D)
        return axis_taps(conv->kernel_h, conv->stride_h, conv->dilation_h, conv->pad_top, out->rows) *
               axis_taps(conv->kernel_w, conv->stride_w, conv->dilation_w, conv->pad_left, out->cols) *
               tap_macs(graph, node);
    return (uint64_t)out->rows * out->cols * fg_graph_pixel_macs(graph, node, 0, 0);
}

uint32_t fg_model_input_count(const fg_model *model) { return model != NULL ? fg_graph_of(model)->input_count : 0; }

uint32_t fg_model_output_count(const fg_model *model) { return model != NULL ? fg_graph_of(model)->output_count : 0; }

uint32_t fg_model_node_count(const fg_model *model) { return model != NULL ? fg_graph_of(model)->node_count : 0; }

fg_status fg_model_input_info(const fg_model *model, uint32_t index, fg_input_info *info)
{
    if (info == NULL || index >= fg_model_input_count(model)) return FG_ERR_ARGUMENT;
    const fg_graph *graph = fg_graph_of(model);
    const fg_input_record *input = &graph->inputs[index];
    const fg_value_record *value = &graph->values[input->value];
    info->name = graph->strings + input->name;
    info->height = value->rows;
    info->width = value->cols;
    info->channels = value->channels;
    info->prepared = input->prepare;
    info->resized = input->prepare != 0 && input->resize != FG_RESIZE_NONE;
    return FG_OK;
}

static uint64_t element_bytes(uint32_t dtype) { return dtype == FG_DTYPE_S64 ? 8 : dtype == FG_DTYPE_BOOL ? 1 : 4; }

/* Strides of the source's axes in the stored order: pixel axes first, the rest behind them in order. */
static void fill_strides(const fg_output_record *output, uint64_t *stride_bytes)
{
    uint64_t stride = element_bytes(output->dtype);
    for (uint32_t i = output->rank; i > 0; i--) {
        const uint32_t axis = i - 1;
        const bool is_pixel_axis = (output->pixel_axes > 0 && output->pixel_axis[0] == axis) ||
                                   (output->pixel_axes > 1 && output->pixel_axis[1] == axis);
        if (!is_pixel_axis) {
            stride_bytes[axis] = stride;
            stride *= output->shape[axis];
        }
    }
    for (uint32_t i = output->pixel_axes; i > 0; i--) {
        const uint32_t axis = output->pixel_axis[i - 1];
        stride_bytes[axis] = stride;
        stride *= output->shape[axis];
    }
}

fg_status fg_model_output_info(const fg_model *model, uint32_t index, fg_output_info *info)
{
    if (info == NULL || index >= fg_model_output_count(model)) return FG_ERR_ARGUMENT;
    const fg_graph *graph = fg_graph_of(model);
    const fg_output_record *output = &graph->outputs[index];
    const fg_value_record *value = &graph->values[output->value];
    info->name = graph->strings + output->name;
    info->dtype = (fg_dtype)output->dtype;
    info->rank = output->rank;
    for (uint32_t i = 0; i < FG_MAX_RANK; i++) {
        info->shape[i] = output->shape[i];
        info->stride_bytes[i] = 0;
    }
    fill_strides(output, info->stride_bytes);
    info->rows = value->rows;
    info->cols = value->cols;
    return FG_OK;
}

fg_status fg_model_node_info(const fg_model *model, uint32_t index, fg_node_info *info)
{
    if (info == NULL || index >= fg_model_node_count(model)) return FG_ERR_ARGUMENT;
    const fg_graph *graph = fg_graph_of(model);
    const fg_node_record *node = &graph->nodes[index];
    const fg_value_record *value = &graph->values[node->output];
    info->name = graph->strings + node->name;
    info->op = fg_op_name(node->op);
    info->rows = value->rows;
    info->cols = value->cols;
    info->channels = value->channels;
    info->gated = node->gate != FG_GATE_NONE;
    info->macs = fg_graph_node_macs(graph, node);
    return FG_OK;
}
