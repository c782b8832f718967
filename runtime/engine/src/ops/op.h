/* op.h: what an operator is to the stream: where it must recompute, and how it computes listed pixels. */
#ifndef FG_OP_H
#define FG_OP_H

#include "../graph.h"
#include "../kernels/kernels.h"
#include "../mask.h"

#include <string.h>

enum {
    FG_CHUNK_PIXELS = 240 /* most pixels compute is called with, unless it computes squares */
};

/* A value of one stream. */
typedef struct fg_value_state {
    float *data;    /* held numbers; constants: in the file */
    uint64_t *mask; /* pixels that changed in this push; NULL for constants */
    uint32_t rows, cols, channels;
    uint32_t words;   /* of a mask row */
    size_t stride;    /* numbers between two pixels: more than channels where the value lies inside another one */
    uint32_t home;    /* the value it lies in (place.h), or FG_NONE */
    size_t offset;    /* of its first number in memory that values share, or in that of the value it lies in */
    uint32_t changed; /* whether any bit of mask is set */
    /* Where only some rows are in memory at once (strips.h), so many, from row first on; data then points to where row
     * 0 would be. Else kept is 0. */
    uint32_t kept, first;
    float *rows_kept;
} fg_value_state;

/* Rows first .. end - 1. */
typedef struct fg_rows {
    uint32_t first, end;
} fg_rows;

typedef struct fg_op_context {
    const fg_graph *graph;
    const fg_node_record *node;
    const uint32_t *inputs; /* value indices */
    fg_value_state *values;
    fg_value_state *output;
    const fg_kernels *kernels;
    void *aux;            /* the node's own state */
    uint32_t full;        /* every pixel is computed in this push, whatever the inputs' masks say */
    uint32_t part, parts; /* compute does this one of so many parts of the output channels; 0 parts: all of them */
    /* The node before, where compute does its work, too: a depthwise convolution (fg_separable_at). Else NULL. */
    const struct fg_op_context *before;
} fg_op_context;

/* Memory an operator needs; everything in bytes unless said otherwise. 64 bits hold whatever model.c lets through, also
 * on 32-bit machines, where plan.c then refuses it. */
typedef struct fg_op_sizes {
    uint64_t aux;       /* per stream */
    uint64_t thread;    /* scratch of one compute call */
    uint64_t footprint; /* scratch of footprint */
} fg_op_sizes;

/* Whether an output pixel is taken to have changed wherever an input pixel did. Comparing it would cost more than it
 * saves: the operator does a few operations per number at most, and hardly ever returns what it did before. */
typedef enum fg_follows {
    FG_FOLLOWS_NOT, /* it is compared with what is held */
    FG_FOLLOWS_INPUTS,
    FG_FOLLOWS_IN_PLACE /* all its numbers lie where its inputs have them */
} fg_follows;

/* Values whose pixels do not follow each other in memory, since they lie inside another value. */
enum {
    FG_APART_INPUTS = 1, /* may be this operator's inputs */
    FG_APART_OUTPUT = 2  /* may be written by compute as fast as packed ones */
};

typedef struct fg_op_entry {
    /* sizes: fills what differs from 0. May be NULL. */
    void (*sizes)(const fg_graph *graph, const fg_node_record *node, fg_op_sizes *sizes);
    /* init: fills aux when a stream is made. May be NULL. */
    void (*init)(const fg_op_context *context);
    /* footprint: sets the bits of output pixels that depend on a changed input pixel. */
    void (*footprint)(const fg_op_context *context, uint64_t *candidates, uint64_t *scratch);
    /* before: once per push that computes anything, ahead of compute. May be NULL. */
    void (*before)(const fg_op_context *context);
    /* compute: writes pixel pixels[i] (row * cols + col) to out + i * out_stride. Called by several threads at once. */
    void (*compute)(const fg_op_context *context, const uint32_t *pixels, uint32_t count, float *out, size_t out_stride,
                    void *scratch);
    /* May be NULL: FG_FOLLOWS_NOT. Asked of nodes without a gate. */
    fg_follows (*follows)(const fg_op_context *context);
    uint32_t apart;      /* FG_APART_INPUTS, FG_APART_OUTPUT */
    uint32_t over_input; /* results may be written over an input of the same extents */
    /* rows_read: the rows of input k that an output row reads, cut at the input's edges; whether that can be said. May
     * be NULL: any row may be read. */
    int (*rows_read)(const fg_graph *graph, const fg_node_record *node, uint32_t k, uint32_t row, fg_rows *rows);
    /* parts: how many parts of about equal work the output channels can be computed in, 0 or 1: all at once. May be
     * NULL. For pixels that are too few to be shared out, and weights that are many. */
    uint32_t (*parts)(const fg_op_context *context);
    uint32_t square; /* 0, or: it computes whole squares of pixels of this side, whatever is listed of them; bits of a
                        pixel depend on all inputs of its square. Pixels of a square are listed together. */
    uint32_t square_work; /* what a square costs, in pixels' multiply-accumulates */
} fg_op_entry;

/* The squares of a map, where an operator computes squares. */
static inline uint64_t fg_square_count(const fg_op_entry *op, const fg_value_state *value)
{
    if (!op->square) return 0;
    return (uint64_t)((value->rows + op->square - 1) / op->square) * ((value->cols + op->square - 1) / op->square);
}

/* The entry of a node that model.c has accepted. */
const fg_op_entry *fg_op_entry_of(const fg_node_record *node);

extern const fg_op_entry fg_op_conv2d, fg_op_winograd, fg_op_conv_transpose2d, fg_op_matmul, fg_op_pool,
    fg_op_reduce_pixels, fg_op_reduce_channels, fg_op_softmax, fg_op_unary, fg_op_binary, fg_op_where, fg_op_gather,
    fg_op_concat, fg_op_resize, fg_op_view, fg_op_transpose;

/* An optional input is FG_NONE or beyond the list. */
static inline int fg_op_has_input(const fg_op_context *context, uint32_t i)
{
    return i < context->node->input_count && context->inputs[i] != FG_NONE;
}

static inline const fg_value_state *fg_op_input(const fg_op_context *context, uint32_t i)
{
    return &context->values[context->inputs[i]];
}

static inline const float *fg_op_optional(const fg_op_context *context, uint32_t i)
{
    return fg_op_has_input(context, i) ? fg_op_input(context, i)->data : NULL;
}

static inline const int32_t *fg_op_table(const fg_op_context *context, uint32_t i)
{
    return (const int32_t *)(const void *)fg_op_optional(context, i);
}

/* The numbers of a pixel, row * cols + col. */
static inline float *fg_value_pixel(const fg_value_state *value, size_t pixel)
{
    return value->data + pixel * value->stride;
}

/* Whether pixels lie one behind the other. */
static inline int fg_value_is_packed(const fg_value_state *value) { return value->stride == value->channels; }

static inline const uint64_t *fg_value_mask_row(const fg_value_state *value, uint32_t row)
{
    return value->mask + (size_t)row * value->words;
}

static inline uint64_t fg_round_up(uint64_t n, uint64_t unit) { return (n + unit - 1) / unit * unit; }

/* How many of count listed pixels lie one behind the other in memory, from the first one on. Four are compared in two
 * words; a sum of two numbers in one word stays in its halves, as pixels never reach 2^32. */
static inline uint32_t fg_op_run(const uint32_t *pixels, uint32_t count)
{
    const uint32_t first[4] = {pixels[0], pixels[0] + 1, pixels[0] + 2, pixels[0] + 3};
    const uint64_t four = UINT64_C(4) << 32 | 4;
    uint64_t expected[2], found[2];
    uint32_t n = 0;
    memcpy(expected, first, sizeof expected);
    for (; n + 4 <= count; n += 4, expected[0] += four, expected[1] += four) {
        memcpy(found, pixels + n, sizeof found);
        if ((found[0] ^ expected[0]) | (found[1] ^ expected[1])) break;
    }
    while (n < count && pixels[n] == pixels[0] + n) n++;
    return n;
}

/* The same from pixel i of count on. */
static inline uint32_t fg_op_run_length(const uint32_t *pixels, uint32_t i, uint32_t count)
{
    return fg_op_run(pixels + i, count - i);
}

/* What a convolution slides over its input. */
static inline fg_window fg_conv_window(const fg_conv_attributes *a)
{
    fg_window window = {(uint32_t)a->kernel_h,   (uint32_t)a->kernel_w,   (uint32_t)a->stride_h, (uint32_t)a->stride_w,
                        (uint32_t)a->dilation_h, (uint32_t)a->dilation_w, (uint32_t)a->pad_top,  (uint32_t)a->pad_left};
    return window;
}

/* Whether a 1x1 convolution can do the work of the depthwise one that is the node before it, since nothing else reads
 * that one's output. */
int fg_separable_at(const fg_graph *graph, uint32_t node);
/* Whether that node's own hold gate, by mean distance, is decided by how far its input moved (drift.h): the input has
 * such a gate, too. */
int fg_drifts_at(const fg_graph *graph, uint32_t node);
/* Whether a node is a gather that takes a range of channels, all pixels in their places; its first channel. */
int fg_gather_is_range(const fg_graph *graph, const fg_node_record *node, uint32_t *first);
/* Rows and columns of listed pixels. */
void fg_op_positions(const uint32_t *pixels, uint32_t count, uint32_t cols, uint32_t *row, uint32_t *col);
/* rows_read of operators that read exactly their own pixel of every input, or its only row. */
int fg_op_rows_pointwise(const fg_graph *graph, const fg_node_record *node, uint32_t k, uint32_t row, fg_rows *rows);
/* The same for a window over the first input. */
int fg_op_rows_window(const fg_window *window, const fg_graph *graph, const fg_node_record *node, uint32_t row,
                      fg_rows *rows);
/* Applies the node's activation to count rows of channels numbers. */
void fg_op_activate(const fg_op_context *context, float *out, uint32_t count, size_t out_stride);
/* Bits of a value of equal or broadcast extents (1 serves all) in the output's grid. */
void fg_op_footprint_broadcast(const fg_op_context *context, const fg_value_state *value, uint64_t *candidates);
/* footprint of operators that read exactly their own pixel of every input. */
void fg_op_footprint_pointwise(const fg_op_context *context, uint64_t *candidates, uint64_t *scratch);

#endif
