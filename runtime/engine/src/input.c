/* input.c: taking over a frame: checks first, then the input gate. */
#include <string.h>

#include "state.h"

static size_t number_bytes(const fg_frame *frame) { return frame->dtype == FG_DTYPE_U8 ? 1 : sizeof(float); }

static const char *plain_frame_fault(const fg_value_record *value, const fg_frame *frame)
{
    if (!frame->data) return "frame data is NULL";
    if (frame->dtype != FG_DTYPE_U8 && frame->dtype != FG_DTYPE_F32) return "frame must be uint8 or float32";
    if (frame->height != value->rows || frame->width != value->cols || frame->channels != value->channels) {
        return "frame's height, width or channels are not the network's; give convert a preprocess with resize, or "
               "resize it";
    }
    if (frame->row_stride_bytes < (size_t)value->cols * value->channels * number_bytes(frame)) {
        return "frame's row stride is smaller than a row";
    }
    if (frame->dtype == FG_DTYPE_F32 &&
        ((uintptr_t)frame->data % sizeof(float) || frame->row_stride_bytes % sizeof(float))) {
        return "float32 frame or its row stride is not aligned to 4 bytes";
    }
    return NULL;
}

/* Rows that follow each other at a time. */
static int is_finite(const fg_kernels *kernels, const fg_value_record *value, const fg_frame *frame)
{
    const uint8_t *row = frame->data;
    const size_t numbers = (size_t)value->cols * value->channels;
    if (frame->row_stride_bytes == numbers * sizeof(float))
        return kernels->finite_f32(frame->data, numbers * value->rows) != 0;
    for (uint32_t i = 0; i < value->rows; i++, row += frame->row_stride_bytes) {
        if (!kernels->finite_f32((const float *)(const void *)row, numbers)) return 0;
    }
    return 1;
}

fg_status fg_input_check(const fg_stream *stream, uint32_t input, const fg_frame *frame, fg_error *error)
{
    const fg_input_record *record = &stream->graph.inputs[input];
    const fg_value_record *value = &stream->graph.values[record->value];
    if (record->prepare) return fg_prepare_check(record, value, frame, error);
    const char *fault = plain_frame_fault(value, frame);
    if (!fault && frame->dtype == FG_DTYPE_F32 && !is_finite(&stream->kernels, value, frame))
        fault = "frame holds a NaN or an infinity";
    return fault ? fg_error_set(error, FG_ERR_ARGUMENT, FG_NONE, 0, fault) : FG_OK;
}

static void run_plain(const fg_kernels *kernels, fg_value_state *value, const fg_frame *frame, float threshold,
                      uint32_t full, float *row_scratch)
{
    size_t numbers = (size_t)value->cols * value->channels, fired = 0;
    const uint8_t *from = frame->data;
    for (uint32_t row = 0; row < value->rows; row++, from += frame->row_stride_bytes) {
        const float *fresh = (const float *)(const void *)from;
        float *held = value->data + row * numbers;
        uint64_t *mask = value->mask + (size_t)row * value->words;
        if (frame->dtype == FG_DTYPE_U8) {
            for (size_t i = 0; i < numbers; i++) row_scratch[i] = from[i];
            fresh = row_scratch;
        }
        if (full) {
            memcpy(held, fresh, numbers * sizeof *held);
            fg_mask_fill_row(mask, value->cols);
        } else {
            const fg_gate_f32_args gate = {fresh, held, value->cols, value->channels, threshold, mask};
            fired += kernels->gate_f32(&gate);
        }
    }
    value->changed = full || fired > 0;
}

/* Whether a frame has its numbers as a value has them. */
static int lies_packed(const fg_value_state *value, const fg_frame *frame)
{
    size_t row_bytes = value->cols * value->channels * sizeof *value->data;
    return frame->dtype == FG_DTYPE_F32 && frame->row_stride_bytes == row_bytes;
}

void fg_input_release(fg_stream *stream)
{
    for (uint32_t i = 0; i < stream->graph.input_count; i++) {
        fg_value_state *value = &stream->values[stream->graph.inputs[i].value];
        if (stream->input_data[i]) value->data = stream->input_data[i];
    }
}

void fg_input_run(fg_stream *stream, uint32_t input, const fg_frame *frame, float scale, uint32_t full)
{
    const fg_input_record *record = &stream->graph.inputs[input];
    fg_value_state *value = &stream->values[record->value];
    float levels = record->threshold * scale;
    if (record->prepare) {
        uint32_t threshold = levels < 255.0f ? (uint32_t)levels : 255u;
        value->changed = fg_prepare_run(stream->prepares[input], record, &stream->graph.values[record->value],
                                        &stream->kernels, frame, threshold, full != 0, value->data, value->mask) > 0;
        return;
    }
    if (stream->input_data[input] && lies_packed(value, frame)) {
        memcpy(&value->data, &(const void *){frame->data}, sizeof value->data); /* it is only read */
        fg_mask_fill(value->mask, value->rows, value->cols);
        value->changed = 1;
        return;
    }
    float level = frame->dtype == FG_DTYPE_U8 ? 1.0f : record->grey_level;
    run_plain(&stream->kernels, value, frame, levels * level, full, (float *)(void *)stream->thread_scratch);
}
