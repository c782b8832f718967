/* state.h: a stream's memory. plan.c lays it out, stream.c and push.c use it. */
#ifndef FG_STATE_H
#define FG_STATE_H

#include "drift.h"
#include "graph.h"
#include "kernels/kernels.h"
#include "ops/op.h"
#include "prepare.h"
#include "skip.h"

typedef struct fg_node_state {
    uint64_t *residue; /* pixels recomputed but held back since the last refresh; NULL where nothing can be held back */
    void *aux;
    fg_skip *skip;         /* NULL without a skip gate */
    fg_drift drift;        /* of a gated stream's nodes as in fg_drifts_at; else NULLs */
    float *moved;          /* per pixel how far it moved in this push, 0 for others, where fg_drift_reads; else NULL */
    uint32_t moved_before; /* written there in a push of which there is no mask any more */
    uint32_t residue_any;
    uint32_t end, sweeps; /* of the sequence that starts here, in streams without gating (strips.h); else 0 */
    uint32_t into_next;   /* likewise */
    uint32_t stale;       /* changed since std was measured */
    float std;            /* measured; 0: not yet */
    uint64_t pixel_macs;  /* of one pixel, where all cost alike */
    uint64_t macs, computed, changed; /* of the last push */
    uint64_t squares;                 /* the same, where the operator computes squares */
    uint64_t macs_total;
    uint64_t nanoseconds; /* of the last push */
} fg_node_state;

struct fg_stream {
    fg_model model;
    fg_graph graph; /* of model, at hand */
    fg_config config;
    fg_kernels kernels;
    fg_value_state *values; /* held, or passing in a busy push */
    fg_value_state *held;
    fg_value_state *passing; /* of gated streams: where values lie that share memory, and rows not kept whole */
    fg_node_state *nodes;
    fg_prepare **prepares;  /* per input, NULL where the frame is the input itself */
    float **input_data;     /* per input, its own memory where a push may read the caller's instead; else NULL */
    uint8_t **output_data;  /* per output that is not f32: the converted numbers; else NULL */
    float *residual, *taps; /* of the skip-gated node at work: 0 everywhere between two nodes */
    uint64_t frames, refreshes, macs_dense;
    uint64_t cost_dense;    /* of a push without gating, as stream.c reckons it */
    uint64_t dear_changed;  /* input pixels that change at least while gates would cost more than they save */
    uint32_t dear;          /* how sure that is, to FG_SURELY_DEAR */
    uint64_t nanoseconds;   /* of the last push */
    uint32_t started;       /* a first push has filled every value */
    uint32_t since_refresh; /* pushes since the last push after which nothing was held back */
    uint32_t refreshing;    /* this push is a refresh */
    uint32_t busy;          /* so many pushes, up to the last one, were computed whole and did not keep every value */
    uint32_t still;         /* in the last push no node had anything to do */
    uint32_t skips;         /* a node has a skip gate */
    /* scratch */
    uint64_t *candidates; /* one mask, and behind it what footprints ask for */
    uint64_t *footprint;
    uint32_t *pixels; /* the work list */
    uint32_t *chunks; /* where each work item starts in pixels, and the end */
    uint8_t *flags;   /* per listed pixel: fg_pixel_flag */
    uint64_t *moved;  /* a mask for skip gates */
    float *rows_kept; /* of the sequence at work; so many numbers: */
    uint64_t rows_numbers;
    uint8_t *thread_scratch;         /* threads x thread_bytes */
    size_t thread_bytes, tile_bytes; /* the first tile_bytes of a thread's scratch hold computed pixels */
};

/* Row first is the first one in the memory a value lies in. */
static inline void fg_value_place(fg_value_state *value, uint32_t first)
{
    size_t row = (size_t)value->cols * value->stride * sizeof(float);
    value->first = first;
    value->data = (float *)((uintptr_t)value->rows_kept - first * row);
}

static inline uint32_t fg_thread_count(const fg_stream *stream)
{
    return stream->config.parallel_for ? stream->config.threads : 1;
}

enum {
    FG_FEW_PIXELS = 64,      /* for one thread: the weights are read once more by each */
    FG_LEAST_PIXELS = 72,    /* that a work item may have in any case: whole register tiles, a block of 8 x 8 */
    FG_TILE_PIXELS = 216,    /* at most, of one whose results are compared, */
    FG_TILE_NUMBERS = 18432, /* and fewer where they have many channels */
    FG_TILE_SHARE = 8,       /* or a map is small: a part of it */
    FG_SQUARES_PIXELS = 576, /* the same where an operator computes squares: enough of them for a product of matrices */
    FG_SQUARES_NUMBERS = 65536,
    FG_CROWDED = 2, /* of FG_CROWDED_OF pixels are candidates: where bits decide all are computed */
    FG_CROWDED_OF = 3,
    FG_MEASURED_ROWS = 32,    /* of a map, about, for its standard deviation */
    FG_NUMBER_GATED = 28,     /* multiply-accumulates that a computed number costs besides its own, */
    FG_NUMBER_DENSE = 8,      /* and one of a push without gating */
    FG_SMALL_COST = 1 << 20,  /* of a push without gating: not worth a thought */
    FG_SURELY_DEAR = 2,       /* one push in which gates cost much more than they saved, or two in a row */
    FG_BUSY_PUSHES = 64,      /* at most, until gates are tried again */
    FG_THREAD_ITEMS = 2,      /* work items of a node for each thread: one that comes late takes fewer, */
    FG_ITEM_COST = 100000,    /* of so many multiply-accumulates at least, */
    FG_ITEM_PIXEL = 3500,     /* so many of them for a pixel besides its own, */
    FG_ITEM_PIXELS = 12,      /* of a multiple of so many pixels: whole register tiles */
    FG_INPUT_ITEMS = 64,      /* work items of a frame's rows at most, */
    FG_INPUT_NUMBERS = 16384, /* of so many numbers at least */
    FG_LISTED_MORE = 3,       /* pixels that listing writes behind the last one, at most */
    FG_MAX_THREADS = 256
};

/* Most pixels of a work item for results of channels numbers and a gate block, of a map of so many pixels: small maps,
 * which most likely lie on small machines, ask for little memory. */
static inline uint32_t fg_chunk_pixels(const fg_op_entry *op, uint32_t channels, uint64_t pixels, uint32_t block)
{
    const uint32_t side = block > op->square ? block : op->square, least = side * side;
    uint32_t most = op->square ? FG_SQUARES_PIXELS : FG_TILE_PIXELS;
    uint32_t fit = (op->square ? FG_SQUARES_NUMBERS : FG_TILE_NUMBERS) / channels;
    if (!op->square && pixels / FG_TILE_SHARE < most) most = (uint32_t)(pixels / FG_TILE_SHARE);
    if (most < FG_LEAST_PIXELS) most = FG_LEAST_PIXELS;
    if (fit > most) fit = most;
    return fit < least ? least : fit ? fit : 1u;
}

/* Most pixels of a work item for rows computed in place; at least one row of an operator's squares. */
static inline uint32_t fg_strip_pixels(const fg_op_entry *op, uint32_t cols)
{
    uint32_t row = op->square * cols;
    if (!row) return FG_CHUNK_PIXELS;
    return row > FG_SQUARES_PIXELS ? row : FG_SQUARES_PIXELS;
}

/* Bytes of a list of so many. */
static inline uint64_t fg_strip_list_bytes(const fg_op_entry *op, uint32_t cols)
{
    return fg_round_up(fg_strip_pixels(op, cols) * sizeof(uint32_t), FG_CACHE_LINE);
}

/* The operator's memory for one node. */
fg_op_sizes fg_node_sizes(const fg_graph *graph, const fg_node_record *node);
fg_op_context fg_node_context(fg_stream *stream, uint32_t node, uint32_t full);

/* node.c: writes the set pixels to stream->pixels in row order, cut into chunks; returns how many. */
uint32_t fg_list_pixels(fg_stream *stream, const uint64_t *mask, uint32_t rows, uint32_t cols, uint32_t chunk,
                        uint32_t *chunk_count);
/* node.c: pixels of a work item of the listed candidates, whose results are compared. */
uint32_t fg_judged_pixels(const fg_stream *stream, const fg_op_entry *op, const fg_node_state *state,
                          const fg_value_state *out, uint32_t block);
/* Runs the task on every chunk, by the stream's threads. */
void fg_run_chunks(const fg_stream *stream, fg_task task, void *work, uint32_t chunks);
/* node.c: computes a run of pixels to where they are held; tile: room for fg_chunk_pixels of them. */
void fg_compute_in_place(const fg_op_entry *op, const fg_op_context *context, const uint32_t *pixels, uint32_t count,
                         float *tile, void *scratch);
/* node.c: in how many parts of the output channels the pixels of a node, all in place, had better be computed. */
uint32_t fg_node_parts(const fg_stream *stream, const fg_op_entry *op, const fg_op_context *context, uint32_t pixels);
/* node.c: what is left of a push after every pixel of a node was computed in place. */
void fg_node_all_changed(fg_stream *stream, uint32_t node);
/* node.c: multiply-accumulates that kernels executed for a node in the last push, and for all of its pixels. */
uint64_t fg_node_work(const fg_stream *stream, uint32_t node);
uint64_t fg_node_work_dense(const fg_stream *stream, uint32_t node);
/* node.c: one node of a push; full: every pixel, without comparing with what is held. */
void fg_node_run(fg_stream *stream, uint32_t node, uint32_t full);
/* input.c: checks a frame without touching state; takes it over. */
fg_status fg_input_check(const fg_stream *stream, uint32_t input, const fg_frame *frame, fg_error *error);
void fg_input_run(fg_stream *stream, uint32_t input, const fg_frame *frame, float scale, uint32_t full);
/* input.c: at the end of a push: inputs lie in the stream's memory again. */
void fg_input_release(fg_stream *stream);

#endif
