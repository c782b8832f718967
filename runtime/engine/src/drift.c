/* drift.c: see drift.h. */
#include "drift.h"

#include <string.h>

#include "ops/conv.h"
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

void fg_drift_forget(fg_stream *stream, uint32_t node)
{
    const fg_value_state *out = &stream->values[stream->graph.nodes[node].output];
    fg_node_state *state = &stream->nodes[node];
    if (!state->moved) return;
    if (state->moved_before) {
        memset(state->moved, 0, (size_t)out->rows * out->cols * sizeof *state->moved);
        state->moved_before = 0;
        return;
    }
    for (uint32_t row = 0; row < out->rows; row++) {
        for (uint32_t w = 0; w < out->words; w++) {
            if (!out->mask[(size_t)row * out->words + w]) continue;
            const uint32_t left = out->cols - w * 64, count = left < 64 ? left : 64;
            memset(state->moved + (size_t)row * out->cols + (size_t)w * 64, 0, count * sizeof *state->moved);
        }
    }
}

/* A depthwise window over the map of how far its inputs moved. */
typedef struct window {
    const float *moved; /* 0 where nothing changed */
    const float *shares;
    uint32_t cols; /* of the map */
    const fg_conv_attributes *conv;
} window;

/* Of count neighbours all of whose taps lie in the map; the first one's first at moved. Tap after tap, in order. */
static inline void sum_inside(const float *restrict moved, size_t row_step, const float *restrict shares,
                              const uint32_t side, uint32_t count, uint32_t stride, float *restrict sums)
{
    for (uint32_t i = 0; i < count; i++) {
        float sum = 0.0f;
        for (uint32_t tap = 0; tap < side * side; tap++)
            sum += shares[tap] * moved[(size_t)i * stride + tap / side * row_step + tap % side];
        sums[i] = sum;
    }
}

/* How far the inputs of an output pixel moved in this push. row, col: its first tap; of the kernel's rows those from
 * begin to end lie inside. */
static float sum_clipped(const window *w, int64_t row, int64_t col, int32_t begin, int32_t end)
{
    const fg_conv_attributes *a = w->conv;
    int32_t left, right;
    float sum = 0.0f;
    fg_conv_inside_taps(col, a->kernel_w, a->dilation_w, w->cols, &left, &right);
    for (int32_t ky = begin; ky < end; ky++) {
        const int64_t first = (row + (int64_t)ky * a->dilation_h) * w->cols + col;
        const float *shares = w->shares + (ptrdiff_t)ky * a->kernel_w;
        for (int32_t kx = left; kx < right; kx++) sum += shares[kx] * w->moved[first + (int64_t)kx * a->dilation_w];
    }
    return sum;
}

/* The same of count neighbours; row, col: the first one's first tap. */
static void sum_run(const window *w, int64_t row, int64_t col, int32_t begin, int32_t end, uint32_t count, float *sums)
{
    const fg_conv_attributes *a = w->conv;
    const int32_t side = a->kernel_w, stride = a->stride_w;
    const int square = (side == 3 || side == 5) && a->kernel_h == side && a->dilation_w == 1;
    const int plain = square && end - begin == side; /* all of its rows lie inside */
    for (uint32_t i = 0, step; i < count; i += step, col += (int64_t)step * stride) {
        const int64_t room = (int64_t)w->cols - side - col;
        step = 1;
        if (!plain || col < 0 || room < 0) {
            sums[i] = sum_clipped(w, row, col, begin, end);
            continue;
        }
        const int64_t neighbours = stride > 1 ? room / stride : room;
        step = neighbours < count - i ? (uint32_t)neighbours + 1 : count - i;
        const float *moved = w->moved + row * w->cols + col;
        const size_t row_step = (size_t)w->cols * (size_t)a->dilation_h;
        if (side == 3 && stride == 1) {
            sum_inside(moved, row_step, w->shares, 3, step, 1, sums + i);
        } else if (side == 3) {
            sum_inside(moved, row_step, w->shares, 3, step, (uint32_t)stride, sums + i);
        } else {
            sum_inside(moved, row_step, w->shares, 5, step, (uint32_t)stride, sums + i);
        }
    }
}

/* Adds up; of the candidates only those remain that are passed on. */
static void pass_far_ones(fg_stream *stream, uint32_t node, float limit)
{
    const fg_node_record *record = &stream->graph.nodes[node];
    const uint32_t input = stream->graph.index[record->first_input];
    const fg_value_state *x = &stream->values[input], *out = &stream->values[record->output];
    const fg_conv_attributes *a = &record->attributes.conv;
    fg_node_state *state = &stream->nodes[node];
    float sums[64];
    const window taps = {stream->nodes[stream->graph.values[input].producer].moved, state->drift.taps, x->cols, a};
    for (uint32_t row = 0; row < out->rows; row++) {
        const int64_t first = (int64_t)row * a->stride_h - a->pad_top;
        int32_t begin, end;
        fg_conv_inside_taps(first, a->kernel_h, a->dilation_h, x->rows, &begin, &end);
        for (uint32_t w = 0; w < out->words; w++) {
            const size_t at = (size_t)row * out->words + w;
            float *drift = state->drift.sums + (size_t)row * out->cols + (size_t)w * 64;
            uint64_t fired = 0, candidates = stream->candidates[at];
            for (uint64_t rest = candidates; rest; rest = fg_mask_behind_run(rest)) {
                const uint32_t bit = fg_mask_lowest(rest), run = fg_mask_run(rest, bit);
                const int64_t col = (int64_t)(w * 64u + bit) * a->stride_w - a->pad_left;
                sum_run(&taps, first, col, begin, end, run, sums);
                for (uint32_t i = 0; i < run; i++) {
                    const float sum = drift[bit + i] + sums[i];
                    const uint32_t held = sum <= limit; /* so that NaN fires */
                    drift[bit + i] = held ? sum : 0.0f;
                    fired |= (uint64_t)!held << (bit + i);
                }
            }
            state->residue[at] = (state->residue[at] | candidates) & ~fired;
            stream->candidates[at] = fired;
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
