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
    const size_t held_at = weights_at + align_up(resized ? cols * sizeof(uint16_t) : 0);
    if (prepare) {
        uint8_t *base = (uint8_t *)prepare;
        prepare->starts = (uint32_t *)(void *)(base + starts_at);
        prepare->weights = (uint16_t *)(void *)(base + weights_at);
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

/* Row i of the network's image: in the frame where it is a whole row of it, else made in row. */
static const uint8_t *resized_row(const fg_prepare_args *args, uint32_t i, uint8_t *row)
{
    const fg_prepare *prepare = args->prepare;
    const fg_frame *frame = args->frame;
    const size_t channels = args->value->channels, place = (size_t)prepare->left * channels;
    const size_t bytes = args->value->cols * channels, used = prepare->width * channels;
    const int fill = (int)args->input->fill;
    if (i < prepare->top || i - prepare->top >= prepare->height) {
        memset(row, fill, bytes);
        return row;
    }
    uint32_t top, bottom;
    const uint16_t row_weight = source_of(i - prepare->top, frame->height, prepare->height, &top, &bottom);
    const uint8_t *pixels = frame->data;
    const fg_resize_row_u8_args resize = {.top = pixels + top * frame->row_stride_bytes,
                                          .bottom = pixels + bottom * frame->row_stride_bytes,
                                          .row_bytes = frame->width * channels,
                                          .row_weight = row_weight,
                                          .columns = prepare->columns,
                                          .starts = prepare->starts,
                                          .weights = prepare->weights,
                                          .pixels = prepare->width,
                                          .channels = channels,
                                          .out = row + place};
    if (prepare->columns == FG_COLUMNS_SAME && row_weight == 0 && used == bytes) return resize.top;
    if (used < bytes) memset(row, fill, bytes);
    args->kernels->resize_row_u8(&resize);
    return row;
}

/* Asks for the rows of a frame that row i, a later one, is made of: a new frame is in no cache. */
FG_INLINE void fetch_rows(const fg_prepare_args *args, uint32_t i, int direct)
{
    const fg_prepare *prepare = args->prepare;
    const fg_frame *frame = args->frame;
    uint32_t top = i, bottom = i;
    if (!direct) {
        if (i < prepare->top || i - prepare->top >= prepare->height) return;
        source_of(i - prepare->top, frame->height, prepare->height, &top, &bottom);
    }
    for (uint32_t row = top; row <= bottom; row++) {
        const uint8_t *from = (const uint8_t *)frame->data + row * frame->row_stride_bytes;
        for (size_t at = 0; at < (size_t)frame->width * frame->channels; at += FG_CACHE_LINE)
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

void fg_prepare_begin(const fg_prepare_args *args)
{
    fg_prepare *prepare = args->prepare;
    const fg_frame *frame = args->frame;
    if (same_size(args->value, frame)) return; /* all modes leave such a frame as it is */
    if (frame->height != prepare->frame_height || frame->width != prepare->frame_width)
        set_geometry(prepare, args->input, args->value, frame);
}

int fg_prepare_rows(const fg_prepare_args *args, uint32_t begin, uint32_t end, uint8_t *row)
{
    const fg_input_record *input = args->input;
    const fg_frame *frame = args->frame;
    const size_t cols = args->value->cols, channels = args->value->channels;
    const size_t row_numbers = cols * channels, words = (cols + 63) / 64;
    const int direct = same_size(args->value, frame);
    int changed = 0;
    for (uint32_t i = begin; i < end; i++) {
        uint8_t *held = args->prepare->held + i * row_numbers;
        uint64_t *row_mask = args->mask + i * words;
        if (i + ROWS_AHEAD < end) fetch_rows(args, i + ROWS_AHEAD, direct);
        const uint8_t *fresh =
            direct ? (const uint8_t *)frame->data + i * frame->row_stride_bytes : resized_row(args, i, row);
        const fg_gate_u8_args gate = {.frame = fresh,
                                      .held = held,
                                      .pixels = cols,
                                      .channels = channels,
                                      .threshold = args->threshold,
                                      .mask = row_mask};
        const fg_normalize_u8_args normalize = {.x = held,
                                                .out = args->out + i * row_numbers,
                                                .pixels = cols,
                                                .channels = channels,
                                                .mask = row_mask,
                                                .order = input->channel_order,
                                                .mean = input->mean,
                                                .scale = input->scale};
        size_t fired = cols;
        if (args->first) {
            memcpy(held, fresh, row_numbers);
            set_all(row_mask, cols);
        } else {
            fired = args->kernels->gate_u8(&gate);
        }
        if (fired) args->kernels->normalize_u8(&normalize);
        changed |= fired > 0;
    }
    return changed;
}
