/* model_check.h: what the loader's parts share. Private to model*.c.
 *
 * A check returns whether the rule holds; where it does not, it has filled check->error, and the caller returns false.
 * So rules read as chains of &&. Field pointers point into the file: their distance from its start is the error's
 * offset. */
#ifndef FG_MODEL_CHECK_H
#define FG_MODEL_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#include "graph.h"

typedef struct fg_check {
    const fg_graph *graph;
    fg_error *error; /* may be NULL */
    fg_status status;
    size_t file_bytes, strings_bytes, index_count, data_bytes;
    const char *record; /* kind of the record being checked, "node" for example, or NULL */
    uint32_t record_index;
    const char *record_name; /* once it is known to be sound, else NULL */
    const char *record_op;   /* nodes: likewise */
    size_t table_entries;    /* of index tables read so far, bounded by FG_LIMIT_TABLES */
} fg_check;

/* Sets the record that messages are about; its name follows once it is checked. */
void fg_check_enter(fg_check *check, const char *record, uint32_t index);

/* Message: the record, what, message with %u and %d replaced by a, b, c in order. Returns false. */
bool fg_check_fail(fg_check *check, fg_status status, const void *field, const char *what, const char *message,
                   uint64_t a, uint64_t b, uint64_t c);

bool fg_check_range(fg_check *check, const void *field, const char *what, int64_t value, int64_t low, int64_t high);
bool fg_check_equal(fg_check *check, const void *field, const char *what, uint64_t value, uint64_t expected);
bool fg_check_zero(fg_check *check, const void *from, size_t bytes, const char *what);
bool fg_check_not_negative(fg_check *check, const float *field, const char *what); /* finite, >= 0 */
bool fg_check_finite(fg_check *check, const float *field, const char *what);
bool fg_check_number(fg_check *check, const float *field, const char *what); /* not NaN */
bool fg_check_name(fg_check *check, const uint32_t *field);

/* The stages, in this order: each relies on those before it. */
bool fg_check_values(fg_check *check);
bool fg_check_nodes(fg_check *check);
bool fg_check_inputs(fg_check *check);
bool fg_check_outputs(fg_check *check);

/* A node's attributes, constants and shapes; its inputs and output are known to be values of the right dtype. */
bool fg_check_op(fg_check *check, const fg_node_record *node);

typedef struct fg_op_rule {
    const char *name;
    uint16_t inputs_min, inputs_max;
    uint8_t optional; /* bit i: input i may be absent */
    uint8_t tables;   /* bit i: input i is an index table (i32) */
    uint8_t words;    /* of attributes in use */
    uint8_t activates;
} fg_op_rule;

const fg_op_rule *fg_op_rule_of(uint32_t op); /* NULL where the op is unknown */

#endif
