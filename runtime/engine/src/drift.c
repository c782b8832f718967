/* drift.c: see drift.h. */
#include "drift.h"

#include <string.h>

#include "state.h"

int fg_drift_reads(const fg_graph *graph, uint32_t node)
{
    for (uint32_t i = node + 1; i < graph->node_count; i++) {
        const fg_node_record *reader = &graph->nodes[i];
        if (reader->input_count && graph->index[reader->first_input] == graph->nodes[node].output &&
            fg_drifts_at(graph, i))
            return 1;
    }
    return 0;
}

/* How large the weights of a tap are, in all. Double, in order: the same everywhere. */
static double tap_size(const float *weights, uint32_t channels)
{
    double sum = 0.0;
    for (uint32_t c = 0; c < channels; c++) sum += weights[c] < 0.0f ? -(double)weights[c] : (double)weights[c];
    return sum;
}

void fg_drift_init(fg_stream *stream, uint32_t node)
{
    const fg_node_record *record = &stream->graph.nodes[node];
    const fg_conv_attributes *a = &record->attributes.conv;
    const float *weights = fg_graph_constant(&stream->graph, stream->graph.index[record->first_input + 1]);
    const uint32_t taps = (uint32_t)(a->kernel_h * a->kernel_w), channels = (uint32_t)a->groups;
    float *shares = stream->nodes[node].drift.taps;
    double all = 0.0;
    for (uint32_t t = 0; t < taps; t++) all += tap_size(weights + (size_t)t * channels, channels);
    for (uint32_t t = 0; t < taps; t++)
        shares[t] = all > 0.0 ? (float)(tap_size(weights + (size_t)t * channels, channels) / all) : 0.0f;
}

/* What one tap adds to a row of sums: of the changed pixels in row moved the share. Pixel i of the row belongs to sum
 * (i - offset) / stride. */
static void add_tap(float *sums, uint32_t cols, const float *moved, const uint64_t *mask, uint32_t words, float share,
                    int64_t offset, uint32_t stride)
{
    for (uint32_t w = 0; w < words; w++) {
        for (uint64_t rest = mask[w]; rest; rest = fg_mask_behind_run(rest)) {
            const uint32_t bit = fg_mask_lowest(rest), run = fg_mask_run(rest, bit);
            const int64_t from = (int64_t)w * 64 + bit - offset, to = from + run;
            uint32_t begin = from > 0 ? (uint32_t)from : 0, end = to > 0 ? (uint32_t)to : 0;
            if (stride > 1) begin = (begin + stride - 1) / stride, end = (end + stride - 1) / stride;
            if (end > cols) end = cols;
            for (uint32_t i = begin; i < end; i++) sums[i] += share * moved[(int64_t)i * stride + offset];
        }
    }
}

static void add_row(const fg_stream *stream, uint32_t node, uint32_t row, float *sums)
{
    const fg_node_record *record = &stream->graph.nodes[node];
    const fg_conv_attributes *a = &record->attributes.conv;
    const uint32_t input = stream->graph.index[record->first_input];
    const fg_value_state *x = &stream->values[input], *out = &stream->values[record->output];
    const float *moved = stream->nodes[stream->graph.values[input].producer].moved;
    const float *share = stream->nodes[node].drift.taps;
    memset(sums, 0, out->cols * sizeof *sums);
    for (int32_t ky = 0; ky < a->kernel_h; ky++, share += a->kernel_w) {
        const int64_t from = (int64_t)row * a->stride_h - a->pad_top + (int64_t)ky * a->dilation_h;
        if (from < 0 || from >= x->rows) continue;
        const uint64_t *mask = x->mask + (size_t)from * x->words;
        if (!fg_mask_any(mask, x->words)) continue;
        for (int32_t kx = 0; kx < a->kernel_w; kx++) {
            add_tap(sums, out->cols, moved + (size_t)from * x->cols, mask, x->words, share[kx],
                    (int64_t)kx * a->dilation_w - a->pad_left, (uint32_t)a->stride_w);
        }
    }
}

/* Adds up; of the candidates only those remain that are passed on. */
static void pass_far_ones(fg_stream *stream, uint32_t node, float limit)
{
    const fg_value_state *out = &stream->values[stream->graph.nodes[node].output];
    fg_node_state *state = &stream->nodes[node];
    float *sums = (float *)(void *)stream->thread_scratch; /* plan.c has made room for a row */
    for (uint32_t row = 0; row < out->rows; row++) {
        uint64_t *candidates = stream->candidates + (size_t)row * out->words;
        uint64_t *residue = state->residue + (size_t)row * out->words;
        if (!fg_mask_any(candidates, out->words)) continue;
        add_row(stream, node, row, sums);
        for (uint32_t w = 0; w < out->words; w++) {
            uint64_t fired = 0;
            for (uint64_t rest = candidates[w]; rest; rest &= rest - 1) {
                const uint32_t bit = fg_mask_lowest(rest), col = w * 64u + bit;
                float *drift = state->drift.sums + (size_t)row * out->cols + col;
                *drift += sums[col];
                if (*drift <= limit) continue; /* so that NaN fires */
                *drift = 0.0f;
                fired |= UINT64_C(1) << bit;
            }
            residue[w] = (residue[w] | candidates[w]) & ~fired;
            candidates[w] = fired;
        }
    }
}

static void pass_all(fg_stream *stream, uint32_t node)
{
    const fg_value_state *out = &stream->values[stream->graph.nodes[node].output];
    fg_node_state *state = &stream->nodes[node];
    for (uint32_t row = 0; row < out->rows; row++) {
        const uint64_t *candidates = stream->candidates + (size_t)row * out->words;
        uint64_t *residue = state->residue + (size_t)row * out->words;
        for (uint32_t w = 0; w < out->words; w++) {
            float *drift = state->drift.sums + (size_t)row * out->cols + (size_t)w * 64;
            for (uint64_t rest = candidates[w] & residue[w]; rest; rest &= rest - 1) drift[fg_mask_lowest(rest)] = 0.0f;
            residue[w] &= ~candidates[w];
        }
    }
}

void fg_drift_run(fg_stream *stream, uint32_t node, const float *limit)
{
    fg_value_state *out = &stream->values[stream->graph.nodes[node].output];
    fg_node_state *state = &stream->nodes[node];
    const size_t words = (size_t)out->rows * out->words;
    if (limit) {
        pass_far_ones(stream, node, *limit);
    } else {
        pass_all(stream, node);
    }
    memcpy(out->mask, stream->candidates, words * sizeof *out->mask);
    state->residue_any = fg_mask_any(state->residue, words);
    state->computed = state->changed = fg_mask_count(out->mask, words);
    state->macs = state->pixel_macs * state->computed;
    state->macs_total += state->macs;
    out->changed = state->changed > 0;
}
