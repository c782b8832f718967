/* conv.h: what direct convolutions (conv.c, depthwise.c, conv_transpose.c, separable.c) and Winograd's (winograd.c)
 * share. */
#ifndef FG_CONV_H
#define FG_CONV_H

#include "op.h"

enum { CONV_X = 0, CONV_WEIGHTS = 1, CONV_BIAS = 2, CONV_RESIDUAL = 3 };
enum { FG_MANY_WEIGHTS = 65536 }; /* no call should read so many for a few windows, the first cache matters less */

/* What does not change from push to push: a node's aux. Behind it lie offsets, taps and bias. */
typedef struct conv_state {
    fg_conv_attributes a;
    uint32_t groups, group_in, group_out;
    uint32_t panels; /* per group */
    uint32_t taps;   /* kernel_h * kernel_w */
    uint32_t depthwise;
    uint32_t point;                                      /* an output pixel reads the input's in its place */
    uint32_t pixels, cols;                               /* of the output */
    uint32_t row_begin, row_count, col_begin, col_count; /* of the interior */
    uint32_t fused;                                      /* the kernels apply the activation */
    fg_finish finish;
    size_t long_taps, long_depth; /* interior: taps of a kernel row that lie side by side in memory are one tap */
    ptrdiff_t *offsets;           /* taps, of which interior ones use long_taps; then of a packed window with groups */
    fg_tap *depthwise_taps;
    float *bias; /* every group padded to whole panels; NULL: none, nor a finish */
} conv_state;

/* Scratch of one compute call. */
typedef struct conv_scratch {
    const float **x; /* per listed pixel */
    float **to;
    uint32_t *edge; /* slots of pixels that are not interior */
    float *packed;
    fg_tap *taps;
    fg_depthwise_run *runs;
} conv_scratch;

typedef struct conv_call {
    const fg_kernels *kernels;
    const conv_state *s;
    conv_scratch scratch;
    const fg_value_state *x;
    const float *weights, *bias; /* of the part of the output channels that is computed, and so is out */
    float *out;
    size_t out_stride, columns; /* of a group */
} conv_call;

/* Listed pixels that follow each other in a row: those left of the interior, inside it and right of it. */
typedef struct row_piece {
    uint32_t row, col, count, left, inside;
} row_piece;

conv_state fg_conv_state_of(const fg_graph *graph, const fg_node_record *node);
uint64_t fg_conv_lay_out_scratch(const conv_state *s, int transposed, uint8_t *base, conv_scratch *scratch);
void fg_conv_sizes(const fg_graph *graph, const fg_node_record *node, int transposed, fg_op_sizes *sizes);
void fg_conv_init(const fg_op_context *context);
conv_call fg_conv_begin(const fg_op_context *context, float *out, size_t out_stride, int transposed, void *memory);
/* How many of channels output channels are context's part, whole panels of weights; *first: the first one. */
size_t fg_conv_part(const fg_op_context *context, size_t channels, size_t *first);
/* Kernel elements begin .. end - 1 of an axis read inside the input. */
void fg_conv_inside_taps(int64_t first, int32_t kernel, int32_t dilation, uint32_t extent, int32_t *begin,
                         int32_t *end);
/* How many packed windows make a call. */
size_t fg_conv_packed_rows(const conv_state *s);
/* Packed windows of taps taps each, from scratch.x to scratch.to. */
void fg_conv_run_packed(const conv_call *call, size_t count, size_t taps, const float *weights);

/* So many taps of edge pixels go into one call of the depthwise kernel. */
static inline size_t fg_depthwise_edge_taps(const conv_state *s) { return s->taps > 256 ? s->taps : 256; }

/* depthwise.c: listed pixels of a depthwise convolution, and runs of them as they are. */
void fg_depthwise_pixels(const conv_call *call, const uint32_t *pixels, uint32_t count);
void fg_depthwise_runs(const conv_call *call, const fg_depthwise_run *runs, size_t count, size_t step,
                       const float *weights);

/* separable.c: the scratch that a node as in fg_separable_at needs besides its own, and its results from those of the
 * depthwise node before, which are made on the way. */
uint64_t fg_separable_thread(const fg_graph *graph, uint32_t node);
void fg_separable_compute(const fg_op_context *before, const conv_call *pointwise, const uint32_t *pixels,
                          uint32_t count, void *memory);

/* The node's activation as a finishing step of the kernels; whether it is one. */
uint32_t fg_conv_fuse(const fg_node_record *node, fg_finish *finish);
/* Copies a bias as the kernels want it: -0 becomes 0. */
static inline void fg_conv_bias(float *to, const float *bias, size_t count)
{
    for (size_t i = 0; i < count; i++) to[i] = bias[i] + 0.0f;
}
/* Residual and activation of computed pixels, where the kernels have not applied them. */
void fg_conv_finish(const fg_op_context *context, const uint32_t *pixels, uint32_t count, float *out,
                    size_t out_stride);
void fg_conv_footprint(const fg_op_context *context, uint64_t *candidates, uint64_t *scratch);
/* rows_read of convolutions that slide a window over x. */
int fg_conv_rows(const fg_graph *graph, const fg_node_record *node, uint32_t k, uint32_t row, fg_rows *rows);

static inline row_piece fg_conv_next_piece(const conv_state *s, const uint32_t *pixels, uint32_t i, uint32_t count)
{
    uint32_t cols = s->cols;
    row_piece piece = {pixels[i] / cols, pixels[i] % cols, 1, 0, 0};
    uint32_t most = count - i < cols - piece.col ? count - i : cols - piece.col;
    piece.count = fg_op_run(pixels + i, most);
    piece.left = piece.count;
    if (piece.row - s->row_begin >= s->row_count) return piece;
    uint32_t end = piece.col + piece.count, first = s->col_begin, last = s->col_begin + s->col_count;
    piece.left = first <= piece.col ? 0 : first - piece.col < piece.count ? first - piece.col : piece.count;
    if (last < end) end = last;
    if (end > piece.col + piece.left) piece.inside = end - piece.col - piece.left;
    return piece;
}

/* Lists count pixels that lie step numbers apart, and where their results go. */
static inline void fg_conv_list(const float *x, size_t step, float *to, size_t to_step, uint32_t count,
                                const float **xs, float **tos)
{
    _Pragma("GCC unroll 4") for (uint32_t i = 0; i < count; i++, x += step, to += to_step)
    {
        xs[i] = x;
        tos[i] = to;
    }
}

/* Packs count pixels of a row that lie step numbers apart. */
static inline void fg_conv_copy(const fg_kernels *kernels, const float *x, ptrdiff_t step, size_t channels,
                                size_t count, float *to)
{
    const fg_permute_f32_args args = {
        .x = x, .x_step = step, .channels = channels, .pixels = count, .out = to, .out_step = channels};
    if (step == (ptrdiff_t)channels) {
        memcpy(to, x, count * channels * sizeof *to);
    } else {
        kernels->permute_f32(&args);
    }
}

/* Where the first tap of an output pixel lies; outside the input for pixels that are not interior. */
static inline ptrdiff_t fg_conv_first_tap(const conv_call *call, uint32_t row, uint32_t col)
{
    const fg_conv_attributes *a = &call->s->a;
    int64_t y = (int64_t)row * a->stride_h - a->pad_top, x = (int64_t)col * a->stride_w - a->pad_left;
    return (ptrdiff_t)((y * call->x->cols + x) * (int64_t)call->x->stride);
}

#endif
