/* prepare.c: see prepare.h. Works row by row, so that a still frame costs one resize and one compare, and no resize
 * where the frame's rows are the network's. */
#include "prepare.h"

#include <string.h>

#include "graph.h"
#include "kernels/loops.h"

enum { ROWS_AHEAD = 3 };

struct fg_prepare {
    uint32_t frame_height, frame_width; /* the size the tables are for; 0: none yet */
    uint32_t top, left, height, width;  /* where the frame lies in the network's image */
    fg_columns columns;
    uint32_t *starts;  /* per column, as resize_row_u8 wants them */
    uint16_t *weights; /* per column */
    uint8_t *held;     /* rows x cols x channels: what the network has seen */
    uint8_t *row;      /* one resized row */
};

static size_t align_up(size_t bytes) { return (bytes + FG_MEMORY_ALIGN - 1) / FG_MEMORY_ALIGN * FG_MEMORY_ALIGN; }

static int same_size(const fg_value_record *value, const fg_frame *frame)
{
    return frame->height == value->rows && frame->width == value->cols;
}

/* The one description of the memory: sets the pointers if prepare is not NULL, returns the size in any case. */
static size_t lay_out(fg_prepare *prepare, const fg_input_record *input, const fg_value_record *value)
{
    const size_t cols = value->cols, row_bytes = cols * value->channels;
    const int resized = input->resize != FG_RESIZE_NONE;
    const size_t starts_at = align_up(sizeof(fg_prepare));
    const size_t weights_at = starts_at + align_up(resized ? cols * sizeof(uint32_t) : 0);
    const size_t row_at = weights_at + align_up(resized ? cols * sizeof(uint16_t) : 0);
    const size_t held_at = row_at + align_up(resized ? row_bytes : 0);
    if (prepare) {
        uint8_t *base = (uint8_t *)prepare;
        prepare->starts = (uint32_t *)(void *)(base + starts_at);
        prepare->weights = (uint16_t *)(void *)(base + weights_at);
        prepare->row = base + row_at;
        prepare->held = base + held_at;
    }
    return held_at + align_up(value->rows * row_bytes);
}

size_t fg_prepare_bytes(const fg_input_record *input, const fg_value_record *value)
{
    return lay_out(NULL, input, value);
}

void fg_prepare_init(fg_prepare *prepare, const fg_input_record *input, const fg_value_record *value)
{
    memset(prepare, 0, lay_out(NULL, input, value));
    (void)lay_out(prepare, input, value);
}

fg_status fg_prepare_check(const fg_input_record *input, const fg_value_record *value, const fg_frame *frame,
                           fg_error *error)
{
    const char *wrong = NULL;
    if (!frame || !frame->data) {
        wrong = "frame: no data";
    } else if (frame->dtype != FG_DTYPE_U8) {
        wrong = "frame: this network prepares its frames itself and takes uint8 only";
    } else if (frame->channels != value->channels) {
        wrong = "frame: the number of channels differs from the network input's";
    } else if (frame->height < 1 || frame->width < 1 || frame->height > FG_LIMIT_SIDE || frame->width > FG_LIMIT_SIDE) {
        wrong = "frame: height and width must be 1 to 65536";
    } else if (frame->row_stride_bytes < (size_t)frame->width * frame->channels) {
        wrong = "frame: the row stride is shorter than a row";
    } else if (input->resize == FG_RESIZE_NONE && !same_size(value, frame)) {
        wrong = "frame: this network does not resize, height and width must equal the network input's";
    }
    return wrong ? fg_error_set(error, FG_ERR_ARGUMENT, FG_NONE, 0, wrong) : FG_OK;
}

/* Half-pixel centres: where pixel i of out_size reads in_size pixels. The weight (of right) is in 1/2048. */
static uint16_t source_of(uint32_t i, uint32_t in_size, uint32_t out_size, uint32_t *left, uint32_t *right)
{
    const double source = ((double)i + 0.5) * (double)in_size / (double)out_size - 0.5;
    *left = source > 0.0 ? (uint32_t)source : 0;
    if (source <= 0.0 || *left >= in_size - 1) {
        *left = source <= 0.0 ? 0 : in_size - 1;
        *right = *left;
        return 0;
    }
    *right = *left + 1;
    return (uint16_t)((source - (double)*left) * 2048.0 + 0.5);
}

/* size x ratio, rounded, 1 to limit. volatile forbids a fused multiply-add: the NumPy twin rounds the product, too. */
static uint32_t scaled(uint32_t size, double ratio, uint32_t limit)
{
    volatile double product = (double)size * ratio;
    const uint32_t rounded = (uint32_t)(product + 0.5);
    return rounded < 1 ? 1 : rounded > limit ? limit : rounded;
}

static void set_geometry(fg_prepare *prepare, const fg_input_record *input, const fg_value_record *value,
                         const fg_frame *frame)
{
    prepare->frame_height = frame->height;
    prepare->frame_width = frame->width;
    prepare->height = value->rows;
    prepare->width = value->cols;
    if (input->resize == FG_RESIZE_LETTERBOX) {
        const double row_ratio = (double)value->rows / (double)frame->height;
        const double col_ratio = (double)value->cols / (double)frame->width;
        const double ratio = row_ratio < col_ratio ? row_ratio : col_ratio;
        prepare->height = scaled(frame->height, ratio, value->rows);
        prepare->width = scaled(frame->width, ratio, value->cols);
    }
    const int centred = input->align == FG_ALIGN_CENTER;
    prepare->top = centred ? (value->rows - prepare->height) / 2 : 0;
    prepare->left = centred ? (value->cols - prepare->width) / 2 : 0;
    prepare->columns = prepare->width == frame->width       ? FG_COLUMNS_SAME
                       : prepare->width * 2 == frame->width ? FG_COLUMNS_HALVED
                                                            : FG_COLUMNS_LISTED;
    for (uint32_t i = 0; i < prepare->width; i++) {
        uint32_t left, right;
        prepare->weights[i] = source_of(i, frame->width, prepare->width, &left, &right);
        prepare->starts[i] = left * value->channels;
    }
}

/* Row i of the network's image: in the frame where it is a whole row of it, else made in prepare->row. */
static const uint8_t *resized_row(const fg_prepare *prepare, const fg_input_record *input, const fg_value_record *value,
                                  const fg_kernels *kernels, const fg_frame *frame, uint32_t i)
{
    const size_t channels = value->channels, place = (size_t)prepare->left * channels;
    const size_t bytes = value->cols * channels, used = prepare->width * channels;
    uint8_t *row = prepare->row;
    if (i < prepare->top || i - prepare->top >= prepare->height) {
        memset(row, (int)input->fill, bytes);
        return row;
    }
    uint32_t top, bottom;
    const uint16_t row_weight = source_of(i - prepare->top, frame->height, prepare->height, &top, &bottom);
    const uint8_t *pixels = frame->data;
    const fg_resize_row_u8_args args = {.top = pixels + top * frame->row_stride_bytes,
                                        .bottom = pixels + bottom * frame->row_stride_bytes,
                                        .row_bytes = frame->width * channels,
                                        .row_weight = row_weight,
                                        .columns = prepare->columns,
                                        .starts = prepare->starts,
                                        .weights = prepare->weights,
                                        .pixels = prepare->width,
                                        .channels = channels,
                                        .out = row + place};
    if (prepare->columns == FG_COLUMNS_SAME && row_weight == 0 && used == bytes) return args.top;
    if (used < bytes) memset(row, (int)input->fill, bytes);
    kernels->resize_row_u8(&args);
    return row;
}

/* Asks for the rows of a frame that a later row is made of: a new frame is in no cache. */
FG_INLINE void fetch_rows(const fg_prepare *prepare, const fg_value_record *value, const fg_frame *frame, uint32_t i,
                          int direct)
{
    uint32_t top = i, bottom = i;
    if (i >= value->rows) return;
    if (!direct) {
        if (i < prepare->top || i - prepare->top >= prepare->height) return;
        source_of(i - prepare->top, frame->height, prepare->height, &top, &bottom);
    }
    for (uint32_t row = top; row <= bottom; row++) {
        const uint8_t *from = (const uint8_t *)frame->data + row * frame->row_stride_bytes;
        for (size_t at = 0; at < (size_t)frame->width * value->channels; at += FG_CACHE_LINE)
            __builtin_prefetch(from + at);
    }
}

static void set_all(uint64_t *mask, size_t pixels)
{
    for (; pixels >= 64; pixels -= 64) {
        *mask++ = ~(uint64_t)0;
    }
    if (pixels) {
        *mask = ((uint64_t)1 << pixels) - 1;
    }
}

size_t fg_prepare_run(fg_prepare *prepare, const fg_input_record *input, const fg_value_record *value,
                      const fg_kernels *kernels, const fg_frame *frame, uint32_t threshold, int first, float *out,
                      uint64_t *mask)
{
    const size_t cols = value->cols, channels = value->channels;
    const size_t row_numbers = cols * channels, words = (cols + 63) / 64;
    const int direct = same_size(value, frame); /* all modes leave such a frame as it is */
    size_t changed = 0;
    if (!direct && (frame->height != prepare->frame_height || frame->width != prepare->frame_width)) {
        set_geometry(prepare, input, value, frame);
    }
    for (uint32_t i = 0; i < value->rows; i++) {
        uint8_t *held = prepare->held + i * row_numbers;
        uint64_t *row_mask = mask + i * words;
        fetch_rows(prepare, value, frame, i + ROWS_AHEAD, direct);
        const uint8_t *row = direct ? (const uint8_t *)frame->data + i * frame->row_stride_bytes
                                    : resized_row(prepare, input, value, kernels, frame, i);
        const fg_gate_u8_args gate = {
            .frame = row, .held = held, .pixels = cols, .channels = channels, .threshold = threshold, .mask = row_mask};
        const fg_normalize_u8_args normalize = {.x = held,
                                                .out = out + i * row_numbers,
                                                .pixels = cols,
                                                .channels = channels,
                                                .mask = row_mask,
                                                .order = input->channel_order,
                                                .mean = input->mean,
                                                .scale = input->scale};
        size_t fired = cols;
        if (first) {
            memcpy(held, row, row_numbers);
            set_all(row_mask, cols);
        } else {
            fired = kernels->gate_u8(&gate);
        }
        if (fired) kernels->normalize_u8(&normalize);
        changed += fired;
    }
    return changed;
}
