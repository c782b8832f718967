/* reuse.h: memory that several values use one after the other, where nothing is held from push to push: in streams
 * without gating, and in busy pushes. Decided while nodes are gone through in the order they run in, from the graph
 * alone and without memory for lists, so that measuring and laying out are the same walk. */
#ifndef FG_REUSE_H
#define FG_REUSE_H

#include "graph.h"

/* When a value's memory is in use, in nodes: counted are all values that lie in it. */
typedef struct fg_life {
    uint32_t first;  /* writes to it; FG_NONE: none, it is an input or a constant */
    uint32_t last;   /* reads or writes it; FG_NONE: it stays, since the caller sees it or too much lies in it */
    uint32_t before; /* the one before last that does; last itself, if that one touches more than the value alone */
} fg_life;

/* Of a value that lies in no other. In a huge network all stay. */
fg_life fg_life_of(const fg_graph *graph, uint32_t value);
/* The value whose memory is first written to by node, or FG_NONE. */
uint32_t fg_life_begins(const fg_graph *graph, uint32_t node, fg_life *life);

enum { FG_REUSE_BLOCKS = 32 }; /* beyond, neighbours are taken for one */

typedef struct fg_block {
    uint32_t value; /* FG_NONE: several */
    fg_life life;
    uint64_t at, numbers;
} fg_block;

typedef struct fg_reuse {
    fg_block blocks[FG_REUSE_BLOCKS]; /* in use, by place */
    uint32_t count;
    uint64_t numbers; /* all memory there has to be */
} fg_reuse;

/* What lies in memory is not needed from node on. */
void fg_reuse_drop(fg_reuse *reuse, uint32_t node);
/* Where a value lies whose first pixel node computes, in numbers, in multiples of FG_MEMORY_ALIGN bytes. begin: the
 * first node of those whose rows are computed in turns with this one's. */
uint64_t fg_reuse_take(fg_reuse *reuse, const fg_graph *graph, uint32_t value, fg_life life, uint32_t begin);

#endif
