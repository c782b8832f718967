/* depthwise.c: depthwise convolution over listed output pixels: pieces of rows where there is a kernel for them, else
 * runs that use the same taps. Pixels at the edges leave out the taps that are not there. */
#include "conv.h"

enum { WIDE = 4 }; /* from so many pixels side by side on depthwise_rows_f32 is worth its while */

void fg_depthwise_runs(const conv_call *call, const fg_depthwise_run *runs, size_t count, size_t step,
                       const float *weights)
{
    const conv_state *s = call->s;
    fg_depthwise_f32_args args = {runs, count, step, s->groups, weights, s->bias, s->finish, call->out_stride};
    if (count) call->kernels->depthwise_f32(&args);
}

/* The taps of a pixel that lie inside the input; how many. */
static size_t pick_taps(const conv_call *call, uint32_t row, uint32_t col, fg_tap *taps)
{
    const fg_conv_attributes *a = &call->s->a;
    int32_t first_row, end_row, first_col, end_col;
    size_t count = 0;
    fg_conv_inside_taps((int64_t)row * a->stride_h - a->pad_top, a->kernel_h, a->dilation_h, call->x->rows, &first_row,
                        &end_row);
    fg_conv_inside_taps((int64_t)col * a->stride_w - a->pad_left, a->kernel_w, a->dilation_w, call->x->cols, &first_col,
                        &end_col);
    for (int32_t ky = first_row; ky < end_row; ky++) {
        for (int32_t kx = first_col; kx < end_col; kx++) {
            taps[count++] = call->s->depthwise_taps[ky * a->kernel_w + kx];
        }
    }
    return count;
}

/* How many pixels from col on use the taps that lie inside for the first one. */
static uint32_t same_taps(const conv_state *s, uint32_t col, uint32_t count)
{
    uint32_t last = s->col_begin + s->col_count;
    if (col < s->col_begin || col >= last) return 1;
    return count < last - col ? count : last - col;
}

/* Whether depthwise_rows_f32 is for this node. */
static int in_rows(const conv_call *call)
{
    const conv_state *s = call->s;
    const fg_conv_attributes *a = &s->a;
    const fg_kernels *kernels = call->kernels;
    return kernels->depthwise_rows_f32 && (a->kernel_h == 3 || a->kernel_h == 5) && a->kernel_w == a->kernel_h &&
           a->kernel_h >= (int32_t)kernels->rows_least && (a->stride_h == 1 || a->stride_h == 2) &&
           a->stride_w == a->stride_h && a->dilation_h == 1 && a->dilation_w == 1 && a->pad_top < a->kernel_h &&
           a->pad_left < a->kernel_w && s->groups >= FG_DEPTHWISE_LEAST;
}

static void run_rows(const conv_call *call, const fg_depthwise_piece *pieces, size_t count)
{
    const conv_state *s = call->s;
    const fg_value_state *x = call->x;
    const fg_depthwise_rows_f32_args args = {.x = x->data,
                                             .rows = x->rows,
                                             .cols = x->cols,
                                             .x_stride = x->stride,
                                             .channels = s->groups,
                                             .size = (size_t)s->a.kernel_h,
                                             .stride = (size_t)s->a.stride_h,
                                             .pad_top = (size_t)s->a.pad_top,
                                             .pad_left = (size_t)s->a.pad_left,
                                             .weights = call->weights,
                                             .bias = s->bias,
                                             .finish = s->finish,
                                             .pieces = pieces,
                                             .piece_count = count,
                                             .out_stride = call->out_stride};
    call->kernels->depthwise_rows_f32(&args);
}

/* Runs: interior ones are listed from the front, so that those of neighbouring rows follow each other, the others from
 * the back. */
void fg_depthwise_pixels(const conv_call *call, const uint32_t *pixels, uint32_t count)
{
    const conv_state *s = call->s;
    const conv_scratch *scratch = &call->scratch;
    fg_depthwise_run *const end = scratch->runs + FG_CHUNK_PIXELS;
    size_t step = (size_t)s->a.stride_w * call->x->stride, capacity = fg_depthwise_edge_taps(s);
    size_t inside = 0, edges = 0, used = 0, wide = 0, least = in_rows(call) ? WIDE : SIZE_MAX;
    fg_depthwise_piece pieces[FG_CHUNK_PIXELS / WIDE];
    for (uint32_t i = 0; i < count;) {
        row_piece piece = fg_conv_next_piece(s, pixels, i, count);
        if (piece.count >= least) {
            pieces[wide++] = (fg_depthwise_piece){piece.row, piece.col, piece.count, call->out + i * call->out_stride};
            i += piece.count;
            continue;
        }
        int row_inside = piece.row - s->row_begin < s->row_count;
        for (uint32_t k = 0, n; k < piece.count; k += n) {
            uint32_t col = piece.col + k;
            n = same_taps(s, col, piece.count - k);
            fg_depthwise_run run = {.taps = s->depthwise_taps, .tap_count = s->taps, .pixels = n};
            run.x = call->x->data + fg_conv_first_tap(call, piece.row, col);
            run.out = call->out + (i + k) * call->out_stride;
            if (row_inside && col - s->col_begin < s->col_count) {
                scratch->runs[inside++] = run;
                continue;
            }
            if (capacity - used < s->taps) {
                fg_depthwise_runs(call, end - edges, edges, step, call->weights);
                edges = used = 0;
            }
            run.taps = scratch->taps + used;
            run.tap_count = pick_taps(call, piece.row, col, scratch->taps + used);
            used += run.tap_count;
            end[-(ptrdiff_t)++edges] = run;
        }
        i += piece.count;
    }
    if (wide) run_rows(call, pieces, wide);
    fg_depthwise_runs(call, scratch->runs, inside, step, call->weights);
    fg_depthwise_runs(call, end - edges, edges, step, call->weights);
}
