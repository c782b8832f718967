/* place.h: values without memory of their own, since they lie inside another value. Decided from the graph alone. */
#ifndef FG_PLACE_H
#define FG_PLACE_H

#include "graph.h"

typedef struct fg_place {
    uint32_t home;   /* the value it lies in; FG_NONE: in memory of its own */
    uint32_t apart;  /* its pixels are as far from each other as the home's; otherwise they follow each other */
    uint64_t offset; /* from the home's first number to its own */
} fg_place;

/* A view lies in its input. A channel range of a value lies in that value, and an input of a concatenation over
 * channels lies in the result, where all who read it can skip what is between two pixels. Such a home may have a home
 * itself. Homes of views and ranges are made by an earlier node, those of other values by a later one. */
fg_place fg_place_of(const fg_graph *graph, uint32_t value);
/* The value whose memory a value lies in, maybe itself. */
uint32_t fg_place_root(const fg_graph *graph, uint32_t value);
/* Whether all nodes are looked at to find what lies where; in huge networks only views lie in other values. */
int fg_place_is_small(const fg_graph *graph);

#endif
