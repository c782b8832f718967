/* strips.h: without gating, sequences of nodes run a few rows at a time: what a node writes the next one reads while it
 * is in the cache, and of values nobody else reads only the rows still needed are kept. */
#ifndef FG_STRIPS_H
#define FG_STRIPS_H

#include "state.h"

enum {
    FG_SEQUENCE_NODES = 64,
    FG_SEQUENCE_ROWS = 4,            /* at least, of the largest map in a sweep */
    FG_SEQUENCE_BYTES = 512 * 1024,  /* of the rows at work, about: they fill a second cache */
    FG_SEQUENCE_WEIGHTS = 192 * 1024 /* at most, read again for every strip */
};

/* Nodes begin .. end - 1 run strip by strip, in so many sweeps; 1: each as a whole. */
typedef struct fg_sequence {
    uint32_t begin, end, sweeps;
    uint32_t kept[FG_SEQUENCE_NODES]; /* rows of a node's output in memory at once; 0: all */
    /* The node in whose output a node's output lies, maybe itself; FG_NONE: none of these. */
    uint32_t root[FG_SEQUENCE_NODES];
    uint32_t into_next[FG_SEQUENCE_NODES]; /* the next node does this one's work, too, and nothing of it is kept */
} fg_sequence;

/* The sequence that starts with node begin: from the graph and the number of threads alone, so that memory and pushes
 * agree. Several threads would meet at every strip of every node, which costs more than the cache saves: with them
 * there is one sweep. */
void fg_sequence_at(const fg_graph *graph, uint32_t begin, uint32_t threads, fg_sequence *sequence);
/* A push's work on the sequence that starts with node begin: every pixel of every node. */
void fg_sequence_run(fg_stream *stream, uint32_t begin);

#endif
