/* matmul.c: matrix product of two running values. The right one is packed into panels when it changed. */
#include "op.h"

#include <string.h>

static size_t panels_of(uint32_t columns) { return (columns + FG_PANEL - 1) / FG_PANEL; }

static void matmul_sizes(const fg_graph *graph, const fg_node_record *node, fg_op_sizes *sizes)
{
    const fg_value_record *b = &graph->values[graph->index[node->first_input + 1]];
    sizes->aux = (uint64_t)b->rows * b->cols * panels_of(b->channels) * FG_PANEL * sizeof(float);
}

static void matmul_footprint(const fg_op_context *context, uint64_t *candidates, uint64_t *scratch)
{
    const fg_value_state *a = fg_op_input(context, 0), *b = fg_op_input(context, 1), *out = context->output;
    (void)scratch;
    if (a->mask && a->changed) fg_mask_or(candidates, a->mask, (size_t)out->rows * out->words);
    if (!b->mask || !b->changed) return;
    for (uint32_t row = 0; row < out->rows; row++) {
        if (fg_mask_any(fg_value_mask_row(b, b->rows == 1 ? 0 : row), b->words)) {
            fg_mask_fill_row(candidates + (size_t)row * out->words, out->cols);
        }
    }
}

static void matmul_before(const fg_op_context *context)
{
    const fg_value_state *b = fg_op_input(context, 1);
    size_t panels = panels_of(b->channels), depth = b->cols;
    if (!context->full && !b->changed) return;
    for (uint32_t row = 0; row < b->rows; row++) {
        float *matrix = (float *)context->aux + row * panels * depth * FG_PANEL;
        for (size_t p = 0; p < panels; p++) {
            size_t width = b->channels - p * FG_PANEL < FG_PANEL ? b->channels - p * FG_PANEL : FG_PANEL;
            for (size_t k = 0; k < depth; k++) {
                float *to = matrix + (p * depth + k) * FG_PANEL;
                memcpy(to, fg_value_pixel(b, row * depth + k) + p * FG_PANEL, width * sizeof *to);
                memset(to + width, 0, (FG_PANEL - width) * sizeof *to);
            }
        }
    }
}

static void matmul_compute(const fg_op_context *context, const uint32_t *pixels, uint32_t count, float *out,
                           size_t out_stride, void *scratch)
{
    const fg_value_state *a = fg_op_input(context, 0), *b = fg_op_input(context, 1);
    uint32_t cols = context->output->cols;
    size_t depth = b->cols, panels = panels_of(b->channels);
    (void)scratch;
    for (uint32_t i = 0; i < count;) {
        const float *rows[FG_CHUNK_PIXELS];
        float *to[FG_CHUNK_PIXELS];
        uint32_t matrix_row = pixels[i] / cols, n = 0;
        while (i + n < count && pixels[i + n] / cols == matrix_row) {
            rows[n] = fg_value_pixel(a, pixels[i + n]);
            to[n] = out + (i + n) * out_stride;
            n++;
        }
        const ptrdiff_t offset = 0;
        fg_gemm_f32_args args = {
            .x = rows, .rows = n, .offsets = &offset, .taps = 1, .depth = depth, .columns = b->channels, .out = to};
        args.panels = (const float *)context->aux + (b->rows == 1 ? 0 : matrix_row) * panels * depth * FG_PANEL;
        context->kernels->gemm_f32(&args);
        i += n;
    }
    fg_op_activate(context, out, count, out_stride);
}

const fg_op_entry fg_op_matmul = {.sizes = matmul_sizes,
                                  .footprint = matmul_footprint,
                                  .before = matmul_before,
                                  .compute = matmul_compute,
                                  .apart = FG_APART_INPUTS | FG_APART_OUTPUT};
