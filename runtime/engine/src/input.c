/* input.c: taking over a frame: checks first, then the input gate. */
#include <string.h>

#include "state.h"

static int is_finite(const float *x, size_t count)
{
    uint32_t sums = 0;
    for (size_t i = 0; i < count; i++) { /* no branch, so that the compiler vectorises */
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        sums |= (bits & 0x7FFFFFFFu) + 0x00800000u; /* an exponent of all ones carries into the sign */
    }
    return sums < 0x80000000u;
}

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

fg_status fg_input_check(const fg_stream *stream, uint32_t input, const fg_frame *frame, fg_error *error)
{
    const fg_input_record *record = &stream->graph.inputs[input];
    const fg_value_record *value = &stream->graph.values[record->value];
    if (record->prepare) return fg_prepare_check(record, value, frame, error);
    const char *fault = plain_frame_fault(value, frame);
    const uint8_t *row = frame->data;
    for (uint32_t i = 0; !fault && frame->dtype == FG_DTYPE_F32 && i < value->rows;
         i++, row += frame->row_stride_bytes) {
        if (!is_finite((const float *)(const void *)row, (size_t)value->cols * value->channels)) {
            fault = "frame holds a NaN or an infinity";
        }
    }
    return fault ? fg_error_set(error, FG_ERR_ARGUMENT, FG_NONE, 0, fault) : FG_OK;
}

/* Whether a pixel is further than threshold from what is held, in any channel; threshold 0: whether a bit differs. */
static uint32_t pixel_fires(const float *fresh, const float *held, size_t channels, float threshold)
{
    uint32_t fires = 0;
    for (size_t c = 0; c < channels; c++) {
        uint32_t x, y;
        memcpy(&x, &fresh[c], sizeof x);
        memcpy(&y, &held[c], sizeof y);
        fires |= threshold > 0.0f ? __builtin_fabsf(fresh[c] - held[c]) > threshold : x != y; /* both are finite */
    }
    return fires;
}

enum { PIXELS_AT_ONCE = 32 }; /* compared in one call first: most have not changed */

/* Takes over a row's pixels that fire, and sets their bits. */
static void gate_row(const float *fresh, float *held, size_t cols, size_t channels, float threshold, uint64_t *mask)
{
    for (size_t begin = 0, count; begin < cols; begin += count) {
        count = cols - begin < PIXELS_AT_ONCE ? cols - begin : PIXELS_AT_ONCE;
        if (memcmp(fresh + begin * channels, held + begin * channels, count * channels * sizeof *held) == 0) continue;
        for (size_t col = begin; col < begin + count; col++) {
            const float *from = fresh + col * channels;
            float *to = held + col * channels;
            if (!pixel_fires(from, to, channels, threshold)) continue;
            for (size_t c = 0; c < channels; c++) to[c] = from[c];
            fg_mask_set(mask, (uint32_t)col);
        }
    }
}

static void run_plain(fg_value_state *value, const fg_frame *frame, float threshold, uint32_t full, float *row_scratch)
{
    size_t channels = value->channels, numbers = value->cols * channels;
    const uint8_t *from = frame->data;
    value->changed = 0;
    for (uint32_t row = 0; row < value->rows; row++, from += frame->row_stride_bytes) {
        const float *fresh = (const float *)(const void *)from;
        float *held = value->data + row * numbers;
        uint64_t *mask = value->mask + (size_t)row * value->words;
        if (frame->dtype == FG_DTYPE_U8) {
            for (size_t i = 0; i < numbers; i++) row_scratch[i] = from[i];
            fresh = row_scratch;
        }
        fg_mask_clear(mask, value->words);
        if (full) {
            memcpy(held, fresh, numbers * sizeof *held);
            fg_mask_fill_row(mask, value->cols);
        } else if (memcmp(fresh, held, numbers * sizeof *held) != 0) {
            gate_row(fresh, held, value->cols, channels, threshold, mask);
        }
        value->changed |= fg_mask_any(mask, value->words);
    }
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
    run_plain(value, frame, levels * level, full, (float *)(void *)stream->thread_scratch);
}
