/* skip.h: skip gates: what a stream keeps for one, and how node.c and plan.c use them. */
#ifndef FG_SKIP_H
#define FG_SKIP_H

#include "graph.h"

/* A convolution behind a skip gate, of one stream. */
typedef struct fg_skip {
    float *reference; /* x0: the input that the held output stands for */
    /* Per input pixel what its residual adds to the value of gates: for norm gates the sum of |r| over channels, for
     * gumbel one product for each tap of the window, for shared gates nothing. 0 where the residual is 0. NULL: the
     * stream's own, see below. */
    float *taps;
    uint64_t *dirty;        /* closed loop: input pixels that differ from the reference in a bit; else NULL */
    uint64_t *fired, *half; /* outputs whose gate was not 0, and those where it was 0.5 (NULL: none can) */
    void *aux;              /* the convolution's own state with the residual bias; NULL in recompute */
    uint32_t dirty_any;
    uint32_t halves;                   /* some gates were 0.5 in the last push; else half means nothing */
    uint64_t macs_gate, macs_official; /* of the last push */
} fg_skip;

/* What a skip gate needs, in numbers unless said otherwise. */
typedef struct fg_skip_sizes {
    uint64_t reference, taps;
    uint64_t mask;     /* words of the input's mask */
    uint64_t residual; /* of the residual map */
    uint64_t thread;   /* bytes of scratch */
    uint64_t pixels;   /* of the input */
} fg_skip_sizes;

static inline int fg_gate_skips(uint32_t gate) { return gate >= FG_GATE_NORM_INPUT && gate < FG_GATE_COUNT; }

/* Whether a zero residual passes the gate, so that it must be evaluated everywhere. */
static inline int fg_skip_everywhere(const fg_node_record *node)
{
    if (node->gate == FG_GATE_SHARED || node->gate_flags & FG_GATE_FIRED) return 0;
    if (node->gate == FG_GATE_GUMBEL) return node->gate_bias >= 0.0f;
    return node->gate_flags & FG_GATE_HALF ? node->gate_eps <= 0.0f : node->gate_eps < 0.0f;
}

fg_skip_sizes fg_skip_measure(const fg_graph *graph, const fg_node_record *node);

struct fg_stream;
/* When a stream is made. */
void fg_skip_init(struct fg_stream *stream, uint32_t node);
/* One push of a skip-gated node that is not computed whole. */
void fg_skip_run(struct fg_stream *stream, uint32_t node);
/* After the node was computed whole: it compares with its present input from now on. */
void fg_skip_restart(struct fg_stream *stream, uint32_t node);

#endif
