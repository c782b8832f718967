/* drift.h: the hold gate of a depthwise convolution that the 1x1 convolution behind it computes on the way
 * (ops/separable.c), so that nothing of it is held to compare with. How far a pixel has drifted is reckoned from its
 * inputs: with each push in which they change, by the mean distance each of its taps moved, weighted by the mean size
 * of that tap's weights, which add up to 1. A pixel is passed on, and its drift 0 again, where that is more than
 * gate_alpha of its input's standard deviations. */
#ifndef FG_DRIFT_H
#define FG_DRIFT_H

#include "graph.h"

struct fg_stream;

/* Of a node as in fg_drifts_at: per tap its share, and per pixel the drift, times channels as distances are. */
typedef struct fg_drift {
    float *taps, *sums;
} fg_drift;

/* Whether such a node reads what this one makes, and so wants to know how far its pixels moved. */
int fg_drift_reads(const fg_graph *graph, uint32_t node);
/* Before pixels are judged: how far they moved in pushes before. */
void fg_drift_forget(struct fg_stream *stream, uint32_t node);
void fg_drift_init(struct fg_stream *stream, uint32_t node);
/* A node of a push: of the stream's candidates those are passed on that drifted further than limit, or all if that is
 * NULL; the others are its residue. */
void fg_drift_run(struct fg_stream *stream, uint32_t node, const float *limit);

#endif
