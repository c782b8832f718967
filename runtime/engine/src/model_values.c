/* model_values.c: the loader's rules for values, inputs and outputs (docs/file_format.md, sections 2, 6 and 7). */
#include "checked.h"
#include "model_check.h"

enum { PREPARED_CHANNELS = 4, PREPARE_BYTES = offsetof(fg_input_record, reserved) - offsetof(fg_input_record, resize) };

/* Constants stand in DATA in order; *end is where the one before ended. */
static bool check_constant(fg_check *check, const fg_value_record *value, size_t elements, size_t *end)
{
    size_t offset = 0;
    const uint8_t *data = check->graph->data;
    if (!fg_check_equal(check, &value->producer, "producer", value->producer, FG_NONE) ||
        !fg_check_equal(check, &value->data_bytes, "data_bytes", value->data_bytes, elements * sizeof(float)))
        return false;
    if (!fg_align_up(*end, FG_SECTION_ALIGN, &offset) || offset > check->data_bytes)
        return fg_check_fail(check, FG_ERR_FORMAT, &value->data_offset, "data_offset", " would be past the end of DATA",
                             0, 0, 0);
    if (!fg_check_equal(check, &value->data_offset, "data_offset", value->data_offset, offset)) return false;
    if (value->data_bytes > check->data_bytes - offset)
        return fg_check_fail(check, FG_ERR_FORMAT, &value->data_bytes, "data_bytes",
                             " is %u, but only %u are left in DATA", value->data_bytes, check->data_bytes - offset, 0);
    if (!fg_check_zero(check, data + *end, offset - *end, "the gap before its data")) return false;
    *end = offset + (size_t)value->data_bytes;
    return true;
}

/* The record that makes the value must name it: with the same check the other way round this is one to one. */
static bool check_producer(fg_check *check, const fg_value_record *value, uint32_t index)
{
    const fg_graph *graph = check->graph;
    const bool is_input = value->kind == FG_VALUE_INPUT;
    const uint32_t count = is_input ? graph->input_count : graph->node_count;
    if (value->producer >= count)
        return fg_check_fail(check, FG_ERR_FORMAT, &value->producer, "producer",
                             is_input ? " is input %u, the file has %u" : " is node %u, the file has %u",
                             value->producer, count, 0);
    const uint32_t made = is_input ? graph->inputs[value->producer].value : graph->nodes[value->producer].output;
    if (made != index)
        return fg_check_fail(check, FG_ERR_FORMAT, &value->producer, "producer",
                             is_input ? " is input %u, which gives value %u" : " is node %u, which gives value %u",
                             value->producer, made, 0);
    return fg_check_equal(check, &value->data_offset, "data_offset", value->data_offset, 0) &&
           fg_check_equal(check, &value->data_bytes, "data_bytes", value->data_bytes, 0);
}

static bool check_dtype(fg_check *check, const fg_value_record *value)
{
    if (value->dtype == FG_DTYPE_F32 || (value->dtype == FG_DTYPE_S32 && value->kind == FG_VALUE_CONSTANT)) return true;
    if (value->dtype == FG_DTYPE_S32)
        return fg_check_fail(check, FG_ERR_FORMAT, &value->dtype, "dtype", " is i32, only constants may be", 0, 0, 0);
    return fg_check_fail(check, FG_ERR_UNSUPPORTED, &value->dtype, "dtype", " %u is not supported for values",
                         value->dtype, 0, 0);
}

static bool check_value(fg_check *check, uint32_t index, size_t *data_end)
{
    const fg_value_record *value = &check->graph->values[index];
    fg_check_enter(check, "value", index);
    if (!fg_check_name(check, &value->name) ||
        !fg_check_range(check, &value->kind, "kind", value->kind, FG_VALUE_CONSTANT, FG_VALUE_NODE) ||
        !check_dtype(check, value) || !fg_check_range(check, &value->rows, "rows", value->rows, 1, FG_LIMIT_SIDE) ||
        !fg_check_range(check, &value->cols, "cols", value->cols, 1, FG_LIMIT_SIDE) ||
        !fg_check_range(check, &value->channels, "channels", value->channels, 1, FG_LIMIT_ELEMENTS) ||
        !fg_check_equal(check, &value->reserved0, "reserved", value->reserved0, 0) ||
        !fg_check_zero(check, value->reserved, sizeof value->reserved, "reserved words"))
        return false;
    const size_t extents[3] = {value->rows, value->cols, value->channels};
    size_t elements = 0;
    if (!fg_product_size(extents, 3, &elements) || elements > FG_LIMIT_ELEMENTS)
        return fg_check_fail(check, FG_ERR_FORMAT, &value->rows, "extents", " %u x %u x %u are too large", value->rows,
                             value->cols, value->channels);
    if (value->kind == FG_VALUE_CONSTANT) return check_constant(check, value, elements, data_end);
    return check_producer(check, value, index);
}

bool fg_check_values(fg_check *check)
{
    size_t data_end = 0;
    for (uint32_t i = 0; i < check->graph->value_count; i++) {
        if (!check_value(check, i, &data_end)) return false;
    }
    check->record = NULL;
    return fg_check_equal(check, check->graph->data + data_end, "bytes of DATA", check->data_bytes, data_end);
}

/* What INPUTS and OUTPUTS say alike about a value's source shape. */
typedef struct source_shape {
    const uint32_t *rank, *shape, *pixel_axes, *pixel_axis;
} source_shape;

static bool check_pixel_axes(fg_check *check, const source_shape *source, const fg_value_record *value)
{
    const uint32_t count = *source->pixel_axes;
    const uint32_t extents[2] = {value->rows, value->cols};
    if (!fg_check_range(check, source->pixel_axes, "pixel_axes", count, 0, 2) ||
        !fg_check_zero(check, source->pixel_axis + count, (2 - count) * sizeof(uint32_t), "unused pixel_axis"))
        return false;
    for (uint32_t i = 0; i < 2 - count; i++) {
        if (extents[i] != 1)
            return fg_check_fail(check, FG_ERR_FORMAT, source->pixel_axes, "pixel_axes",
                                 " is %u, but the value has %u rows and %u cols", count, value->rows, value->cols);
    }
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t axis = source->pixel_axis[i], extent = extents[2 - count + i];
        if (axis >= *source->rank || (i > 0 && axis == source->pixel_axis[0]))
            return fg_check_fail(check, FG_ERR_FORMAT, source->pixel_axis + i, "pixel_axis",
                                 " is %u, must be another axis of the %u", axis, *source->rank, 0);
        if (source->shape[axis] != extent)
            return fg_check_fail(check, FG_ERR_FORMAT, source->shape + axis, "shape",
                                 "[%u] is %u, but the value has %u pixels there", axis, source->shape[axis], extent);
    }
    return true;
}

static bool check_source_shape(fg_check *check, const source_shape *source, const fg_value_record *value)
{
    const uint32_t rank = *source->rank;
    const size_t elements = (size_t)value->rows * value->cols * value->channels; /* bounded by check_value */
    size_t product = 1;
    if (!fg_check_range(check, source->rank, "rank", rank, 0, FG_MAX_RANK) ||
        !fg_check_zero(check, source->shape + rank, (FG_MAX_RANK - rank) * sizeof(uint32_t), "shape beyond the rank"))
        return false;
    for (uint32_t i = 0; i < rank; i++) {
        if (!fg_mul_size(product, source->shape[i], &product))
            return fg_check_fail(check, FG_ERR_FORMAT, source->shape + i, "shape", " has too many elements", 0, 0, 0);
    }
    if (product != elements)
        return fg_check_fail(check, FG_ERR_FORMAT, source->shape, "shape", " has %u elements, the value has %u",
                             product, elements, 0);
    return check_pixel_axes(check, source, value);
}

static bool check_prepare(fg_check *check, const fg_input_record *input, const fg_value_record *value)
{
    const uint32_t channels = value->channels;
    uint32_t seen = 0;
    if (!fg_check_range(check, &value->channels, "channels of a prepared input", channels, 1, PREPARED_CHANNELS) ||
        !fg_check_range(check, &input->resize, "resize", input->resize, 0, FG_RESIZE_COUNT - 1) ||
        !fg_check_range(check, &input->align, "align", input->align, 0, FG_ALIGN_COUNT - 1) ||
        !fg_check_range(check, &input->fill, "fill", input->fill, 0, 255) ||
        !fg_check_zero(check, input->channel_order + channels, (PREPARED_CHANNELS - channels) * sizeof(uint32_t),
                       "unused channel_order"))
        return false;
    for (uint32_t i = 0; i < channels; i++) {
        const uint32_t from = input->channel_order[i];
        if (from >= channels || (seen >> from & 1) != 0)
            return fg_check_fail(check, FG_ERR_FORMAT, &input->channel_order[i], "channel_order",
                                 "[%u] is %u, must be a permutation of %u channels", i, from, channels);
        seen |= 1u << from;
    }
    for (uint32_t i = 0; i < PREPARED_CHANNELS; i++) {
        if (!fg_check_finite(check, &input->mean[i], "mean") || !fg_check_finite(check, &input->scale[i], "scale"))
            return false;
    }
    return true;
}

static bool check_input(fg_check *check, uint32_t index)
{
    const fg_input_record *input = &check->graph->inputs[index];
    fg_check_enter(check, "input", index);
    if (!fg_check_name(check, &input->name) ||
        !fg_check_range(check, &input->value, "value", input->value, 0, (int64_t)check->graph->value_count - 1))
        return false;
    const fg_value_record *value = &check->graph->values[input->value];
    if (value->kind != FG_VALUE_INPUT || value->producer != index)
        return fg_check_fail(check, FG_ERR_FORMAT, &input->value, "value", " is %u, which is not made by this input",
                             input->value, 0, 0);
    const source_shape source = {&input->rank, input->shape, &input->pixel_axes, input->pixel_axis};
    return check_source_shape(check, &source, value) && fg_check_not_negative(check, &input->threshold, "threshold") &&
           fg_check_not_negative(check, &input->grey_level, "grey_level") &&
           fg_check_range(check, &input->prepare, "prepare", input->prepare, 0, 1) &&
           fg_check_zero(check, input->reserved, sizeof input->reserved, "reserved words") &&
           (input->prepare != 0
                ? check_prepare(check, input, value)
                : fg_check_zero(check, &input->resize, PREPARE_BYTES, "preparation of an unprepared input"));
}

bool fg_check_inputs(fg_check *check)
{
    for (uint32_t i = 0; i < check->graph->input_count; i++) {
        if (!check_input(check, i)) return false;
    }
    return true;
}

static bool check_output(fg_check *check, uint32_t index)
{
    const fg_output_record *output = &check->graph->outputs[index];
    fg_check_enter(check, "output", index);
    if (!fg_check_name(check, &output->name) ||
        !fg_check_range(check, &output->value, "value", output->value, 0, (int64_t)check->graph->value_count - 1))
        return false;
    const fg_value_record *value = &check->graph->values[output->value];
    if (value->dtype != FG_DTYPE_F32)
        return fg_check_fail(check, FG_ERR_FORMAT, &output->value, "value", " is %u, which is an index table",
                             output->value, 0, 0);
    if (output->dtype < FG_DTYPE_S32 || output->dtype > FG_DTYPE_BOOL)
        return fg_check_fail(check, FG_ERR_UNSUPPORTED, &output->dtype, "dtype", " %u is not supported for outputs",
                             output->dtype, 0, 0);
    const source_shape source = {&output->rank, output->shape, &output->pixel_axes, output->pixel_axis};
    return check_source_shape(check, &source, value) &&
           fg_check_zero(check, output->reserved, sizeof output->reserved, "reserved words");
}

bool fg_check_outputs(fg_check *check)
{
    for (uint32_t i = 0; i < check->graph->output_count; i++) {
        if (!check_output(check, i)) return false;
    }
    return true;
}
