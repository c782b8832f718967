/* kernels.h: the contract of every kernel. Pointers, counts and steps only; no model, no stream, no opcode.
 *
 * All kernels give the same bits on every instruction set: sums run in a stated order, fused multiply-adds stand where
 * this page says fmaf and nowhere else, exp and the like are our own polynomials. count may be 0. Nothing needs
 * alignment. */
#ifndef FG_KERNELS_H
#define FG_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "../format.h"

/* Bytes of memory's lines, and what is asked for ahead of a pixel at most: the machine follows a longer one by itself.
 */
enum { FG_CACHE_LINE = 64, FG_PREFETCH_BYTES = 4096 };

/* What happens to a finished sum x before it is stored: slope, alone: x = x < 0 ? slope * x : x (slope above 0, at most
 * 1); or low: x = x < low ? low : x; then high: x = x > high ? high : x (high is not -0). So ReLU, clip and leaky ReLU
 * cost no pass of their own; the bits are those of activation_f32. Where there are steps there is a bias, and a bias is
 * never -0: then no x is -0, and machines' maxima agree, which differ in the order of zeros. */
enum { FG_FINISH_LOW = 1, FG_FINISH_HIGH = 2, FG_FINISH_SLOPE = 4 };

typedef struct fg_finish {
    uint32_t steps; /* bits of the enum above; 0: none */
    float low, high, slope;
} fg_finish;

/* out[r][j] = finish(bias[j] + sum over t, k of x[r][offsets[t] + k] * panels[j / 16][t * depth + k][j % 16]), for
 * j < columns and r < rows. The products, numbered t * depth + k, are summed in blocks of
 * FG_GEMM_BLOCK, each by fmaf in ascending order from 0; the blocks' sums are added in order, and the bias (unless
 * NULL) last: so long sums and large biases lose less to rounding than in one chain. */
enum { FG_GEMM_BLOCK = 128 };

typedef struct fg_gemm_f32_args {
    const float *const *x; /* rows pointers */
    size_t rows;
    const ptrdiff_t *offsets; /* taps: from a row's pointer to depth numbers */
    size_t taps, depth;
    const float *panels; /* (columns + 15) / 16 x (taps * depth) x 16, 64-byte aligned */
    size_t columns;
    const float *bias; /* whole panels of numbers, none -0, or NULL: then no finish */
    fg_finish finish;
    float *const *out; /* rows pointers, each to columns numbers */
} fg_gemm_f32_args;

/* A tap of a depthwise window: numbers from a run's pointer to its input, and from the weights to its weights. */
typedef struct fg_tap {
    ptrdiff_t x;
    size_t weights;
} fg_tap;

/* Pixels of one row that use the same taps. */
typedef struct fg_depthwise_run {
    const float *x; /* of the first pixel; the next one's lies step numbers on */
    const fg_tap *taps;
    size_t tap_count, pixels;
    float *out; /* of the first pixel */
} fg_depthwise_run;

/* Per run: out[i][c] = finish((sum over taps t of x[i * step + t.x + c] * weights[t.weights + c], by fmaf in order from
 * 0) + bias[c]). Runs are handed over together so that a channel's weights are read once for all of them. */
typedef struct fg_depthwise_f32_args {
    const fg_depthwise_run *runs;
    size_t run_count;
    size_t step, channels;
    const float *weights;
    const float *bias; /* channels numbers, none -0, or NULL: then no finish */
    fg_finish finish;
    size_t out_stride; /* numbers between two pixels */
} fg_depthwise_f32_args;

/* Output pixels of one row, of the whole map: out[0] is of pixel (row, col). */
typedef struct fg_depthwise_piece {
    uint32_t row, col;
    size_t pixels; /* at least 1 */
    float *out;
} fg_depthwise_piece;

/* depthwise_f32 for square windows, edges and all: out[i] = finish((sum over those taps (ky, kx) that lie inside the
 * map of x[row * stride - pad_top + ky][(col + i) * stride - pad_left + kx][c] * weights[ky * size + kx][c], by fmaf in
 * order from 0) + bias[c]). NULL where there is none: then runs serve. */
typedef struct fg_depthwise_rows_f32_args {
    const float *x;                        /* rows x cols pixels, x_stride numbers apart */
    size_t rows, cols, x_stride, channels; /* FG_DEPTHWISE_LEAST channels at least */
    size_t size, stride;                   /* 3 or 5, but at least fg_kernels.rows_least; 1 or 2 */
    size_t pad_top, pad_left;              /* below size */
    const float *weights;
    const float *bias; /* channels numbers, none -0, or NULL: then no finish */
    fg_finish finish;
    const fg_depthwise_piece *pieces;
    size_t piece_count, out_stride; /* numbers between two pixels */
} fg_depthwise_rows_f32_args;

enum { FG_DEPTHWISE_LEAST = 16 };

/* Winograd's F(4x4, 3x3): a tile of 4 x 4 output pixels from its patch of 6 x 6 input pixels by one product of channels
 * per position, 36 instead of 144. docs/file_format.md states the order of every sum.
 *
 * winograd_input_f32: out[(i * 6 + j) * out_step + c], the transformed patch of pixels x[i * row_step + j * col_step +
 * c], for c < channels: along i, then along j, the six numbers d become
 *     fmaf(p2q2, d0, fmaf(-(p2 + q2), d2, d4)), e + p o, e - p o, f + q n, f - q n, fmaf(p2q2, d1, fmaf(-(p2 + q2), d3,
 * d5)) with e = fmaf(-q2, d2, d4), o = fmaf(-q2, d1, d3), f = fmaf(-p2, d2, d4), n = fmaf(-p2, d1, d3), their sums by
 * fmaf; p = 5/8, q = 3/2, p2 and q2 their squares. */

typedef struct fg_winograd_input_f32_args {
    const float *x;
    ptrdiff_t row_step, col_step;
    size_t channels;
    float *out;
    size_t out_step;
} fg_winograd_input_f32_args;

/* winograd_weights_f32: transformed weights, without what sums are multiplied by in the end (docs/file_format.md), of
 * two rows of positions: 0 and 5 (pair 0), 1 and 2 (pair 1) or 3 and 4 (pair 2). From weights[t * tap_step + k],
 * taps t = row * 3 + col of the kernel, to out[position * out_step + k], positions 0 to 5 of the first row and 6 to 11
 * of the second, for k < count. Along a column x of the kernel the rows are x0 and x2, fmaf(p, x1, e) and fmaf(-p, x1,
 * e) with e = fmaf(p2, x2, x0), the same with q; then along each row six numbers are those of all pairs. */
typedef struct fg_winograd_weights_f32_args {
    const float *weights;
    size_t tap_step;
    size_t count; /* a multiple of 16 */
    uint32_t pair;
    float *out;
    size_t out_step;
} fg_winograd_weights_f32_args;

enum { FG_WINOGRAD_PAIRS = 3, FG_WINOGRAD_PAIR = 12 }; /* pairs of rows; positions of one */

/* Row i, 0 or 1, of a pair. */
static inline uint32_t fg_winograd_row(uint32_t pair, uint32_t i) { return pair ? 2 * pair - 1 + i : 5 * i; }

/* winograd_output_f32: from x[(i * 6 + j) * x_step + c] pixel (i, j) of the tile to out[i * 4 + j][c], where that is
 * not NULL: along i, then along j, the six numbers m become (m0 + s) + t, fmaf(q, v, p u), fmaf(q2, t, p2 s), fmaf(q3,
 * v, fmaf(p3, u, m5)) with s = m1 + m2, t = m3 + m4, u = m1 - m2, v = m3 - m4; then the bias is added, unless it is
 * NULL, and finish applied. */
typedef struct fg_winograd_output_f32_args {
    const float *x;
    size_t x_step, channels;
    const float *bias; /* channels numbers, none -0, or NULL: then no finish */
    fg_finish finish;
    float *const *out; /* FG_WINOGRAD_PIXELS pointers */
} fg_winograd_output_f32_args;

/* Steps are 0 (one number serves all) or 1; out may be any operand. */
typedef struct fg_where_f32_args {
    const float *condition, *a, *b;
    size_t condition_step, a_step, b_step;
    float *out;
    size_t count;
} fg_where_f32_args;

/* out[i * out_step + c] = x[i * x_step + map[c]], for i < pixels and c < channels; without a map x[i * x_step + c]. out
 * does not overlap x. */
typedef struct fg_permute_f32_args {
    const float *x;
    ptrdiff_t x_step;
    const int32_t *map; /* channels indices, none negative, or NULL */
    size_t channels, pixels;
    float *out;
    size_t out_step;
} fg_permute_f32_args;

/* out[i * out_step + c] = x[i * x_step + taps[t] + c] joined over the taps t in order, as accumulate_f32 does; mean:
 * the sum, divided by divisor. tap_count is at least 1; out does not overlap x. */
typedef struct fg_pool_f32_args {
    uint32_t kind;     /* FG_REDUCE_MAX or FG_REDUCE_MEAN */
    uint32_t no_minus; /* for a maximum: x holds no -0 */
    const float *x;
    size_t x_step;
    const ptrdiff_t *taps;
    size_t tap_count, channels, pixels;
    float divisor;
    float *out;
    size_t out_step;
} fg_pool_f32_args;

/* distance_f32: l1: sum |a - b|; rms: sum (a - b)^2 (product, then sum, no fmaf); max: max |a - b|, NaN if any
 * difference is NaN. Sums run in 8 lanes (lane i takes elements i, i + 8, ...) added as ((0+4)+(2+6))+((1+5)+(3+7)).
 *
 * accumulate_f32: accumulator[i] = accumulator[i] + x[i] (mean, sum), max, min (a NaN in x is kept) or product; for
 * rows of x in order, step numbers apart.
 *
 * blend_f32: out[i] = sum over t of weights[t] * rows[t][i] in ascending t: first a product, then product and sum (no
 * fmaf).
 *
 * softmax_f32: over the middle of outer x count x inner; x and out may be the same.
 *
 * reduce_channels_f32 and softmax_f32 sum in the 8 lanes of distance_f32 where inner is 1 (log softmax: per 64 numbers,
 * then in order), else in ascending order. A NaN is the arg max or arg min only where it stands first.
 *
 * binary_f32: kinds fg_binary; a_step, b_step are 0 or 1; out may be a or b. Comparisons give 1 or 0. min and max
 * return NaN if either operand is NaN. */
/* moments_f64: sums[0] = sum of x, sums[1] = sum of x squared, in double, in the 8 lanes of distance_f32. */

/* Pixels computed in this push against the held ones: flags[i] = FG_PIXEL_SAME where all bits of fresh + i * channels
 * and held + pixels[i] * stride are equal, else, without gated, FG_PIXEL_CHANGED; gated: FG_PIXEL_HELD where
 * distance_f32 is at most limit, FG_PIXEL_CHANGED where it is not (so a NaN fires). With commit, changed pixels are
 * copied to held. Gated, moved (or NULL) gets at pixels[i] how far that one is, by distance_f32; 0 unless it changed.
 * Behind the count pixels, ahead more are listed that are judged next: an instruction set may ask for their held
 * numbers (judge_asks). */
typedef enum fg_pixel_flag { FG_PIXEL_SAME = 0, FG_PIXEL_CHANGED = 1, FG_PIXEL_HELD = 2 } fg_pixel_flag;

typedef struct fg_judge_f32_args {
    const float *fresh;
    float *held;
    size_t stride; /* numbers between held pixels */
    const uint32_t *pixels;
    size_t count, ahead, channels;
    uint32_t gated, norm;
    float limit;
    uint32_t commit;
    uint8_t *flags;
    float *moved;
} fg_judge_f32_args;

typedef struct fg_reduce_channels_f32_args {
    uint32_t kind; /* fg_reduce */
    const float *x;
    float *out; /* outer x inner */
    size_t outer, count, inner;
    uint32_t select_last;
} fg_reduce_channels_f32_args;

/* For each of pixels pixels: if any |frame - held| over its channels exceeds threshold, or at 0 any bit differs, copies
 * the pixel to held and sets its bit; bits are written for whole 64-bit words (the rest 0). All numbers are finite.
 * Returns how many fired. */
typedef struct fg_gate_f32_args {
    const float *frame;
    float *held;
    size_t pixels, channels;
    float threshold;
    uint64_t *mask;
} fg_gate_f32_args;

/* For each of pixels pixels: if any |frame - held| over its channels exceeds threshold (an integer compare: 0 fires
 * where they differ), copies the pixel to held and sets its bit; bits are written for whole 64-bit words (the rest 0).
 * Returns how many fired. */
typedef struct fg_gate_u8_args {
    const uint8_t *frame;
    uint8_t *held;
    size_t pixels, channels; /* channels 1 to 4 */
    uint32_t threshold;
    uint64_t *mask;
} fg_gate_u8_args;

/* out[i * channels + c] = ((float)x[i * channels + order[c]] - mean[c]) * scale[c] for i < pixels, in every eight
 * pixels (from a multiple of eight on) of which one has its bit set in mask. */
typedef struct fg_normalize_u8_args {
    const uint8_t *x;
    float *out;
    size_t pixels, channels; /* channels 1 to 4 */
    const uint64_t *mask;    /* no bit is set from pixels on */
    const uint32_t *order;
    const float *mean, *scale;
} fg_normalize_u8_args;

/* The columns of a row that pixel i of a resized row is made of, and the weight of the right one in 1/2048. Same:
 * column i alone, weight 0; halved: columns 2 i and 2 i + 1, weight 1024; listed: the column that begins starts[i]
 * bytes from the row's and the one after it, if there is one, weights[i]. */
typedef enum fg_columns { FG_COLUMNS_SAME, FG_COLUMNS_HALVED, FG_COLUMNS_LISTED } fg_columns;

/* Bilinear: out[j] of pixel i, channel c from rows top and bottom: h(row) = row[left] * (2048 - weight) + row[right] *
 * weight; out = (h(top) * (2048 - row_weight) + h(bottom) * row_weight + 2^21) >> 22. out overlaps neither row. */
typedef struct fg_resize_row_u8_args {
    const uint8_t *top, *bottom;
    size_t row_bytes;    /* of each of them */
    uint32_t row_weight; /* 0 to 2048 */
    fg_columns columns;
    const uint32_t *starts;  /* listed only; never falls */
    const uint16_t *weights; /* listed only; 0 to 2048 */
    size_t pixels, channels; /* channels 1 to 4 */
    uint8_t *out;
} fg_resize_row_u8_args;

typedef struct fg_kernels {
    uint32_t isa;        /* the flags that were used */
    uint32_t judge_asks; /* judge_f32 asks for the pixels behind its own */
    uint32_t rows_least; /* depthwise_rows_f32 is for windows of so many taps a row or more */
#define X(name, result, arguments) result(*name) arguments;
#include "kernels.def"
#undef X
} fg_kernels;

/* Fills every slot but depthwise_rows_f32, which may stay NULL: scalar twins first, then each instruction set of
 * isa_mask that the build and this machine have. */
void fg_kernels_select(fg_kernels *kernels, uint32_t isa_mask);

void fg_kernels_init_ref(fg_kernels *kernels);
/* Twins, for kernels that leave some cases to them. */
void fg_activation_f32_ref(uint32_t kind, const float *parameters, float *data, size_t count);
void fg_winograd_weights_f32_ref(const fg_winograd_weights_f32_args *args);
void fg_winograd_input_f32_ref(const fg_winograd_input_f32_args *args);
void fg_winograd_output_f32_ref(const fg_winograd_output_f32_args *args);
void fg_kernels_init_avx2(fg_kernels *kernels);
void fg_kernels_init_avx512(fg_kernels *kernels);
void fg_kernels_init_neon(fg_kernels *kernels);

#endif
