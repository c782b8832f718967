/* input.c: taking over a frame: checks first, then the input gate, rows shared by the threads. */
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

/* Rows of a frame, and the threads that take them. */
typedef struct input_work {
    const fg_stream *stream;
    fg_value_state *value;
    const fg_frame *frame;
    fg_prepare_args prepare; /* where the engine prepares frames */
    float threshold;         /* where it does not */
    uint32_t full, rows;     /* rows of an item */
    uint32_t changed[FG_INPUT_ITEMS];
} input_work;

/* Rows begin .. end - 1 of a frame that is the input itself; fresh_row: room for one. Whether a pixel changed. */
static int plain_rows(const input_work *work, uint32_t begin, uint32_t end, float *fresh_row)
{
    const fg_value_state *value = work->value;
    const fg_frame *frame = work->frame;
    size_t numbers = (size_t)value->cols * value->channels, fired = 0;
    for (uint32_t row = begin; row < end; row++) {
        const uint8_t *from = (const uint8_t *)frame->data + row * frame->row_stride_bytes;
        const float *fresh = (const float *)(const void *)from;
        float *held = value->data + row * numbers;
        uint64_t *mask = value->mask + (size_t)row * value->words;
        if (frame->dtype == FG_DTYPE_U8) {
            for (size_t i = 0; i < numbers; i++) fresh_row[i] = from[i];
            fresh = fresh_row;
        }
        if (work->full) {
            memcpy(held, fresh, numbers * sizeof *held);
            fg_mask_fill_row(mask, value->cols);
        } else {
            const fg_gate_f32_args gate = {fresh, held, value->cols, value->channels, work->threshold, mask};
            fired += work->stream->kernels.gate_f32(&gate);
        }
    }
    return work->full || fired > 0;
}

static void run_rows(void *shared, uint32_t item, uint32_t thread)
{
    input_work *work = shared;
    const uint32_t begin = item * work->rows, rest = work->value->rows - begin;
    const uint32_t end = begin + (rest < work->rows ? rest : work->rows);
    uint8_t *memory = work->stream->thread_scratch + thread * work->stream->thread_bytes; /* plan.c: a row of floats */
    const int changed = work->prepare.prepare ? fg_prepare_rows(&work->prepare, begin, end, memory)
                                              : plain_rows(work, begin, end, (float *)(void *)memory);
    work->changed[item] = changed != 0;
}

/* Rows of an item: all of a frame like the one before, which most likely is again, so that idle threads may sleep. */
static uint32_t rows_of_item(const fg_stream *stream, const fg_value_state *value)
{
    const uint32_t threads = fg_thread_count(stream);
    const size_t numbers = (size_t)value->cols * value->channels;
    if (threads == 1 || stream->still) return value->rows;
    const uint32_t wanted = FG_THREAD_ITEMS * threads, items = wanted < FG_INPUT_ITEMS ? wanted : FG_INPUT_ITEMS;
    const uint32_t share = (value->rows + items - 1) / items;
    const uint32_t least = (uint32_t)((FG_INPUT_NUMBERS + numbers - 1) / numbers);
    return share > least ? share : least;
}

static void run_items(input_work *work)
{
    fg_value_state *value = work->value;
    work->rows = rows_of_item(work->stream, value);
    const uint32_t items = (value->rows + work->rows - 1) / work->rows;
    fg_run_chunks(work->stream, run_rows, work, items);
    value->changed = 0;
    for (uint32_t i = 0; i < items; i++) value->changed |= work->changed[i];
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
    const float levels = record->threshold * scale;
    input_work work = {.stream = stream, .value = value, .frame = frame, .full = full};
    if (stream->input_data[input] && lies_packed(value, frame)) {
        memcpy(&value->data, &(const void *){frame->data}, sizeof value->data); /* it is only read */
        fg_mask_fill(value->mask, value->rows, value->cols);
        value->changed = 1;
        return;
    }
    if (record->prepare) {
        work.prepare = (fg_prepare_args){.prepare = stream->prepares[input],
                                         .input = record,
                                         .value = &stream->graph.values[record->value],
                                         .kernels = &stream->kernels,
                                         .frame = frame,
                                         .threshold = levels < 255.0f ? (uint32_t)levels : 255u,
                                         .first = full != 0,
                                         .out = value->data,
                                         .mask = value->mask};
        fg_prepare_begin(&work.prepare);
    } else {
        work.threshold = levels * (frame->dtype == FG_DTYPE_U8 ? 1.0f : record->grey_level);
    }
    run_items(&work);
}
