/* golden.h: runs a network over frames made here and says in one line of JSON what came out, without any library. */
#ifndef FG_GOLDEN_H
#define FG_GOLDEN_H

#include <framegate.h>

#define GOLDEN_LINE 640 /* bytes of a line, more than any needs */

/* Pushes the same frames dense, exact (threshold scale 0) and gated. The line tells the executed work, and for each a
 * checksum of all outputs and changed masks; those are equal on every machine. arena (aligned to 64) holds frames,
 * state and scratch. 0, or 1 and the line is an error. */
int golden_run(const void *file, size_t file_bytes, uint32_t isa_mask, void *arena, size_t arena_bytes,
               char line[GOLDEN_LINE]);

/* The arena's bytes golden_run needs for this network; 0 if it cannot be opened. */
size_t golden_arena_bytes(const void *file, size_t file_bytes);

#endif
