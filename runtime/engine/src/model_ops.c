/* model_ops.c: what the loader demands of each operator (docs/file_format.md, section 4): attribute ranges, sizes of
 * weights and tables, every table entry, and that the output has the extents the operator gives. */
#include "checked.h"
#include "model_check.h"
#include "skip.h"

typedef struct axis_window { /* of a convolution or pool along rows or cols */
    int32_t kernel, stride, dilation, pad_before, pad_after;
} axis_window;

typedef struct op_values {
    const fg_value_record *in[6]; /* NULL where absent; concat reads INDEX itself */
    const uint32_t *entry;        /* the node's list in INDEX */
    const fg_value_record *out;
    const fg_node_record *node;
} op_values;

/* Rows, cols or channels of the output against what they must be. */
static bool check_out(fg_check *check, const uint32_t *extent, const char *what, int64_t expected)
{
    if ((int64_t)*extent == expected) return true;
    if (expected < 1)
        return fg_check_fail(check, FG_ERR_FORMAT, extent, what,
                             " of the output: the window is larger than the padded input", 0, 0, 0);
    return fg_check_fail(check, FG_ERR_FORMAT, extent, what, " of the output is %u, must be %u", *extent,
                         (uint64_t)expected, 0);
}

static bool check_out_extents(fg_check *check, const op_values *v, int64_t rows, int64_t cols, int64_t channels)
{
    return check_out(check, &v->out->rows, "rows", rows) && check_out(check, &v->out->cols, "cols", cols) &&
           check_out(check, &v->out->channels, "channels", channels);
}

static size_t elements(const fg_value_record *value) { return (size_t)value->rows * value->cols * value->channels; }

/* An input that must be a constant of 1 x 1 x count. */
static bool check_constant(fg_check *check, const op_values *v, uint32_t slot, const char *what, size_t count)
{
    const fg_value_record *value = v->in[slot];
    if (value->kind != FG_VALUE_CONSTANT)
        return fg_check_fail(check, FG_ERR_FORMAT, &v->entry[slot], what, " is value %u, which is not a constant",
                             v->entry[slot], 0, 0);
    if (value->rows != 1 || value->cols != 1 || value->channels != count)
        return fg_check_fail(check, FG_ERR_FORMAT, &v->entry[slot], what, " has %u elements, must be 1 x 1 x %u",
                             elements(value), count, 0);
    return true;
}

/* An index table: entries -1 to limit - 1. All nodes' tables together are bounded, as many nodes may share one. */
static bool check_table(fg_check *check, const op_values *v, uint32_t slot, const char *what, size_t count,
                        uint32_t limit)
{
    if (!check_constant(check, v, slot, what, count)) return false;
    if (count > FG_LIMIT_TABLES - check->table_entries)
        return fg_check_fail(check, FG_ERR_FORMAT, &v->entry[slot], what,
                             " of %u entries: all tables together exceed %u", count, FG_LIMIT_TABLES, 0);
    check->table_entries += count;
    const int32_t *table = fg_graph_constant(check->graph, v->entry[slot]);
    for (size_t i = 0; i < count; i++) {
        if (table[i] < -1 || table[i] >= (int64_t)limit)
            return fg_check_fail(check, FG_ERR_FORMAT, &table[i], what, "[%u] is %d, must be -1 to %d", i,
                                 (uint64_t)(int64_t)table[i], (uint64_t)limit - 1);
    }
    return true;
}

static bool check_flag(fg_check *check, const int32_t *field, const char *what)
{
    return fg_check_range(check, field, what, *field, 0, 1);
}

/* The ten words kernel_h to pad_right, which conv and pool attributes have in the same order. */
static bool check_window_words(fg_check *check, const int32_t *words)
{
    static const char *const names[10] = {"kernel_h",   "kernel_w", "stride_h", "stride_w",   "dilation_h",
                                          "dilation_w", "pad_top",  "pad_left", "pad_bottom", "pad_right"};
    for (int i = 0; i < 10; i++) {
        if (!fg_check_range(check, &words[i], names[i], words[i], i < 6 ? 1 : 0, FG_LIMIT_KERNEL)) return false;
    }
    return fg_check_range(check, words, "kernel_h x kernel_w", (int64_t)words[0] * words[1], 1, FG_LIMIT_TAPS);
}

/* axis: 0 rows, 1 cols. */
static axis_window window_of(const int32_t *words, int axis)
{
    return (axis_window){words[axis], words[2 + axis], words[4 + axis], words[6 + axis], words[8 + axis]};
}

/* Positions of the window on an axis of `in` pixels, rounded down; below 1 where it does not fit. */
static int64_t window_positions(axis_window w, uint32_t in)
{
    const int64_t room = (int64_t)in + w.pad_before + w.pad_after - (int64_t)w.dilation * (w.kernel - 1) - 1;
    return room >= 0 ? room / w.stride + 1 : 1 - (-room + w.stride - 1) / w.stride;
}

static bool check_weights(fg_check *check, const op_values *v)
{
    const fg_conv_attributes *conv = &v->node->attributes.conv;
    const size_t in = v->in[0]->channels, out = v->out->channels, groups = (size_t)conv->groups;
    const size_t taps = (size_t)conv->kernel_h * (size_t)conv->kernel_w;
    if (in % groups != 0 || out % groups != 0)
        return fg_check_fail(check, FG_ERR_FORMAT, &conv->groups, "groups", " is %u, must divide %u and %u channels",
                             groups, in, out);
    const bool depthwise = groups > 1 && in == groups && out == groups;
    const size_t panels = (out / groups + FG_PANEL - 1) / FG_PANEL;
    const size_t products = v->node->flags == FG_NODE_WINOGRAD ? FG_WINOGRAD_POSITIONS : taps;
    const size_t factors[4] = {products, in, depthwise ? 1 : panels, depthwise ? 1 : FG_PANEL};
    size_t count = 0;
    if (!fg_product_size(factors, 4, &count))
        return fg_check_fail(check, FG_ERR_FORMAT, &v->entry[1], "weights", " of %u x %u x %u are too large", taps, in,
                             out);
    return check_constant(check, v, 1, "weights", count) &&
           (v->in[2] == NULL || check_constant(check, v, 2, "bias", out));
}

static bool check_residual(fg_check *check, const op_values *v)
{
    const int32_t *residual = &v->node->attributes.conv.residual;
    const fg_value_record *value = v->in[3];
    if (!fg_check_range(check, residual, "residual", *residual, 0, FG_RESIDUAL_COUNT - 1)) return false;
    if ((*residual == FG_RESIDUAL_NONE) != (value == NULL))
        return fg_check_fail(check, FG_ERR_FORMAT, residual, "residual",
                             value == NULL ? " is %d, but input 3 is absent" : " is %d, but input 3 is present",
                             (uint64_t)*residual, 0, 0);
    if (value == NULL ||
        (value->rows == v->out->rows && value->cols == v->out->cols && value->channels == v->out->channels))
        return true;
    return fg_check_fail(check, FG_ERR_FORMAT, &v->entry[3], "residual",
                         " is %u x %u x %u, must have the output's extents", value->rows, value->cols, value->channels);
}

static bool check_conv_attributes(fg_check *check, const op_values *v)
{
    const int32_t *words = v->node->attributes.words;
    const fg_conv_attributes *conv = &v->node->attributes.conv;
    return check_window_words(check, words) &&
           fg_check_range(check, &conv->groups, "groups", conv->groups, 1, FG_LIMIT_ELEMENTS) &&
           check_weights(check, v) && check_residual(check, v);
}

static bool check_skip(fg_check *check, const op_values *v)
{
    const fg_node_record *node = v->node;
    const fg_conv_attributes *conv = &node->attributes.conv;
    const uint32_t updates = node->gate_flags & (FG_GATE_RESIDUAL | FG_GATE_FIRED);
    const size_t taps = (size_t)conv->kernel_h * (size_t)conv->kernel_w, panels = (taps + FG_PANEL - 1) / FG_PANEL;
    const size_t factors[3] = {v->in[0]->channels, panels, FG_PANEL};
    size_t count = 0;
    if (!fg_gate_skips(node->gate)) return true;
    if (v->in[0]->kind == FG_VALUE_CONSTANT)
        return fg_check_fail(check, FG_ERR_FORMAT, &v->entry[0], "input", " 0 of a skip gate is a constant", 0, 0, 0);
    if (conv->residual != FG_RESIDUAL_NONE)
        return fg_check_fail(check, FG_ERR_FORMAT, &conv->residual, "residual", " is %d, must be 0 with a skip gate",
                             (uint64_t)conv->residual, 0, 0);
    if ((node->gate == FG_GATE_GUMBEL) != (v->in[4] != NULL))
        return fg_check_fail(check, FG_ERR_FORMAT, &v->entry[4], "gate_weights",
                             v->in[4] == NULL ? " are absent, a gumbel gate needs them"
                                              : " are present, only a gumbel gate has them",
                             0, 0, 0);
    if (v->in[4] != NULL &&
        (!fg_product_size(factors, 3, &count) || !check_constant(check, v, 4, "gate_weights", count)))
        return check->status == FG_OK
                   ? fg_check_fail(check, FG_ERR_FORMAT, &v->entry[4], "gate_weights", " are too large", 0, 0, 0)
                   : false;
    if (v->in[5] != NULL && updates != FG_GATE_RESIDUAL)
        return fg_check_fail(check, FG_ERR_FORMAT, &v->entry[5], "residual_bias",
                             " is present, which needs residual without fired", 0, 0, 0);
    return v->in[5] == NULL || check_constant(check, v, 5, "residual_bias", v->out->channels);
}

/* Winograd's form is for one kind of convolution only. */
static bool check_winograd(fg_check *check, const fg_node_record *node)
{
    const fg_conv_attributes *conv = &node->attributes.conv;
    if (node->flags == 0) return true;
    if ((node->flags & FG_NODE_WINOGRAD) == 0)
        return fg_check_fail(check, FG_ERR_FORMAT, &node->flags, "flags", " have compact without winograd", 0, 0, 0);
    if (node->op != FG_OP_CONV2D || conv->kernel_h != 3 || conv->kernel_w != 3 || conv->stride_h != 1 ||
        conv->stride_w != 1 || conv->dilation_h != 1 || conv->dilation_w != 1 || conv->groups != 1)
        return fg_check_fail(check, FG_ERR_FORMAT, &node->flags, "flags",
                             " have winograd, which only conv2d of 3 x 3, stride 1, dilation 1, 1 group may", 0, 0, 0);
    return !fg_gate_skips(node->gate) || fg_check_fail(check, FG_ERR_FORMAT, &node->flags, "flags",
                                                       " have winograd, which no skip gate may", 0, 0, 0);
}

static bool check_conv2d(fg_check *check, const op_values *v)
{
    const int32_t *words = v->node->attributes.words;
    return check_conv_attributes(check, v) && check_skip(check, v) &&
           check_out_extents(check, v, window_positions(window_of(words, 0), v->in[0]->rows),
                             window_positions(window_of(words, 1), v->in[0]->cols), v->out->channels);
}

static int64_t transposed_max(axis_window w, uint32_t in)
{
    return ((int64_t)in - 1) * w.stride + (int64_t)w.dilation * (w.kernel - 1) + 1 - w.pad_before + FG_LIMIT_KERNEL;
}

static bool check_conv_transpose2d(fg_check *check, const op_values *v)
{
    const int32_t *words = v->node->attributes.words;
    return check_conv_attributes(check, v) &&
           fg_check_range(check, &v->out->rows, "rows of the output", v->out->rows, 1,
                          transposed_max(window_of(words, 0), v->in[0]->rows)) &&
           fg_check_range(check, &v->out->cols, "cols of the output", v->out->cols, 1,
                          transposed_max(window_of(words, 1), v->in[0]->cols));
}

static bool check_matmul(fg_check *check, const op_values *v)
{
    const fg_value_record *a = v->in[0], *b = v->in[1];
    if (b->cols != a->channels || (b->rows != 1 && b->rows != a->rows))
        return fg_check_fail(check, FG_ERR_FORMAT, &v->entry[1], "b",
                             " has %u rows and %u cols, must have 1 row or those of a and %u cols", b->rows, b->cols,
                             a->channels);
    return check_out_extents(check, v, a->rows, a->cols, b->channels);
}

/* Ceil mode allows one position more, if that window starts inside the input or the padding before it. */
static bool check_pool_axis(fg_check *check, const uint32_t *out, const char *what, axis_window w, uint32_t in)
{
    const int64_t positions = window_positions(w, in);
    if (*out == positions + 1 && positions * w.stride < (int64_t)in + w.pad_before) return true;
    return check_out(check, out, what, positions);
}

static bool check_pool(fg_check *check, const op_values *v)
{
    const fg_pool_attributes *pool = &v->node->attributes.pool;
    const int32_t *words = &pool->kernel_h;
    return fg_check_range(check, &pool->kind, "kind", pool->kind, 0, FG_POOL_COUNT - 1) &&
           check_window_words(check, words) && check_flag(check, &pool->count_include_pad, "count_include_pad") &&
           check_pool_axis(check, &v->out->rows, "rows", window_of(words, 0), v->in[0]->rows) &&
           check_pool_axis(check, &v->out->cols, "cols", window_of(words, 1), v->in[0]->cols) &&
           check_out(check, &v->out->channels, "channels", v->in[0]->channels);
}

static bool check_reduce_pixels(fg_check *check, const op_values *v)
{
    const fg_reduce_pixels_attributes *reduce = &v->node->attributes.reduce_pixels;
    const fg_value_record *x = v->in[0];
    if (!fg_check_range(check, &reduce->kind, "kind", reduce->kind, 0, FG_REDUCE_PRODUCT) ||
        !check_flag(check, &reduce->over_rows, "over_rows") || !check_flag(check, &reduce->over_cols, "over_cols"))
        return false;
    if (reduce->over_rows == 0 && reduce->over_cols == 0)
        return fg_check_fail(check, FG_ERR_FORMAT, &reduce->over_rows, "over_rows", " and over_cols are both 0", 0, 0,
                             0);
    return check_out_extents(check, v, reduce->over_rows ? 1 : x->rows, reduce->over_cols ? 1 : x->cols, x->channels);
}

/* outer, count, inner: three words whose product is the channels. */
static bool check_factors(fg_check *check, const int32_t *factors, uint32_t channels)
{
    static const char *const names[3] = {"outer", "count", "inner"};
    size_t sizes[3], product = 0;
    for (int i = 0; i < 3; i++) {
        if (!fg_check_range(check, &factors[i], names[i], factors[i], 1, FG_LIMIT_ELEMENTS)) return false;
        sizes[i] = (size_t)factors[i];
    }
    if (fg_product_size(sizes, 3, &product) && product == channels) return true;
    return fg_check_fail(check, FG_ERR_FORMAT, factors, "outer", " x count x inner must be %u channels", channels, 0,
                         0);
}

static bool check_reduce_channels(fg_check *check, const op_values *v)
{
    const fg_reduce_channels_attributes *reduce = &v->node->attributes.reduce_channels;
    const fg_value_record *x = v->in[0];
    return fg_check_range(check, &reduce->kind, "kind", reduce->kind, 0, FG_REDUCE_COUNT - 1) &&
           check_factors(check, &reduce->outer, x->channels) &&
           check_flag(check, &reduce->select_last, "select_last") &&
           check_out_extents(check, v, x->rows, x->cols, (int64_t)reduce->outer * reduce->inner);
}

static bool check_same_extents(fg_check *check, const op_values *v)
{
    return check_out_extents(check, v, v->in[0]->rows, v->in[0]->cols, v->in[0]->channels);
}

static bool check_softmax(fg_check *check, const op_values *v)
{
    const fg_softmax_attributes *softmax = &v->node->attributes.softmax;
    return check_factors(check, &softmax->outer, v->in[0]->channels) && check_flag(check, &softmax->log, "log") &&
           check_same_extents(check, v);
}

static bool check_broadcast(fg_check *check, const op_values *v)
{
    const fg_value_record *out = v->out;
    for (uint32_t i = 0; i < v->node->input_count; i++) {
        const fg_value_record *in = v->in[i];
        if ((in->rows != 1 && in->rows != out->rows) || (in->cols != 1 && in->cols != out->cols) ||
            (in->channels != 1 && in->channels != out->channels))
            return fg_check_fail(check, FG_ERR_FORMAT, &v->entry[i], "operand",
                                 " of %u x %u x %u does not broadcast to the output", in->rows, in->cols, in->channels);
    }
    return true;
}

static bool check_binary(fg_check *check, const op_values *v)
{
    const int32_t *kind = &v->node->attributes.binary.kind;
    return fg_check_range(check, kind, "kind", *kind, 0, FG_BINARY_COUNT - 1) && check_broadcast(check, v);
}

static bool check_gather(fg_check *check, const op_values *v)
{
    const fg_gather_attributes *gather = &v->node->attributes.gather;
    const fg_value_record *x = v->in[0], *out = v->out;
    const bool mapped = v->in[3] != NULL;
    const int32_t phases_max = mapped ? FG_LIMIT_PHASES : 1;
    if (!fg_check_range(check, &gather->phase_rows, "phase_rows", gather->phase_rows, 1, phases_max) ||
        !fg_check_range(check, &gather->phase_cols, "phase_cols", gather->phase_cols, 1, phases_max))
        return false;
    const size_t factors[3] = {(size_t)gather->phase_rows, (size_t)gather->phase_cols, out->channels};
    size_t channel_entries = 0;
    if (!fg_product_size(factors, 3, &channel_entries))
        return fg_check_fail(check, FG_ERR_FORMAT, &v->entry[3], "channel_map", " is too large", 0, 0, 0);
    return (v->in[1] != NULL ? check_table(check, v, 1, "row_map", out->rows, x->rows)
                             : check_out(check, &out->rows, "rows", x->rows)) &&
           (v->in[2] != NULL ? check_table(check, v, 2, "col_map", out->cols, x->cols)
                             : check_out(check, &out->cols, "cols", x->cols)) &&
           (mapped ? check_table(check, v, 3, "channel_map", channel_entries, x->channels)
                   : check_out(check, &out->channels, "channels", x->channels));
}

static bool check_concat(fg_check *check, const op_values *v)
{
    const int32_t axis = v->node->attributes.concat.axis;
    int64_t sum[3] = {0, 0, 0};
    if (!fg_check_range(check, &v->node->attributes.concat.axis, "axis", axis, 0, 2)) return false;
    for (uint32_t i = 0; i < v->node->input_count; i++) {
        const fg_value_record *in = &check->graph->values[v->entry[i]];
        const int64_t extents[3] = {in->rows, in->cols, in->channels};
        for (int k = 0; k < 3; k++) {
            if (i > 0 && k != axis && sum[k] != extents[k])
                return fg_check_fail(check, FG_ERR_FORMAT, &v->entry[i], "input",
                                     " %u differs from the first in axis %d", i, (uint64_t)k, 0);
            sum[k] = k == axis ? sum[k] + extents[k] : extents[k];
        }
    }
    return check_out_extents(check, v, sum[0], sum[1], sum[2]);
}

static bool check_resize(fg_check *check, const op_values *v)
{
    const fg_resize_attributes *resize = &v->node->attributes.resize;
    const fg_value_record *x = v->in[0], *out = v->out;
    if (!fg_check_range(check, &resize->row_taps, "row_taps", resize->row_taps, 1, FG_LIMIT_KERNEL) ||
        !fg_check_range(check, &resize->col_taps, "col_taps", resize->col_taps, 1, FG_LIMIT_KERNEL))
        return false;
    const size_t rows = (size_t)out->rows * (size_t)resize->row_taps; /* at most 2^28 */
    const size_t cols = (size_t)out->cols * (size_t)resize->col_taps;
    return check_table(check, v, 1, "row_index", rows, x->rows) && check_constant(check, v, 2, "row_weight", rows) &&
           check_table(check, v, 3, "col_index", cols, x->cols) && check_constant(check, v, 4, "col_weight", cols) &&
           check_out(check, &out->channels, "channels", x->channels);
}

static bool check_same_elements(fg_check *check, const op_values *v)
{
    return elements(v->out) == elements(v->in[0]) ||
           fg_check_fail(check, FG_ERR_FORMAT, &v->out->rows, "output", " has %u elements, must be %u",
                         elements(v->out), elements(v->in[0]), 0);
}

static bool check_transpose(fg_check *check, const op_values *v)
{
    const fg_transpose_attributes *t = &v->node->attributes.transpose;
    size_t product = 1;
    uint32_t seen = 0;
    if (!fg_check_range(check, &t->rank, "rank", t->rank, 1, FG_MAX_RANK)) return false;
    const size_t rank = (size_t)t->rank, unused = (FG_MAX_RANK - rank) * sizeof(int32_t);
    for (size_t i = 0; i < rank; i++) {
        if (!fg_check_range(check, &t->dims[i], "dims", t->dims[i], 1, FG_LIMIT_ELEMENTS) ||
            !fg_check_range(check, &t->perm[i], "perm", t->perm[i], 0, t->rank - 1))
            return false;
        if ((seen >> t->perm[i] & 1) != 0)
            return fg_check_fail(check, FG_ERR_FORMAT, &t->perm[i], "perm", " names axis %d twice",
                                 (uint64_t)t->perm[i], 0, 0);
        seen |= 1u << t->perm[i];
        if (!fg_mul_size(product, (size_t)t->dims[i], &product))
            return fg_check_fail(check, FG_ERR_FORMAT, &t->dims[i], "dims", " have too many elements", 0, 0, 0);
    }
    if (product != elements(v->in[0]))
        return fg_check_fail(check, FG_ERR_FORMAT, t->dims, "dims", " have %u elements, the input has %u", product,
                             elements(v->in[0]), 0);
    return fg_check_zero(check, t->dims + rank, unused, "dims beyond the rank") &&
           fg_check_zero(check, t->perm + rank, unused, "perm beyond the rank") && check_same_elements(check, v);
}

bool fg_check_op(fg_check *check, const fg_node_record *node)
{
    static bool (*const rules[FG_OP_COUNT])(fg_check *, const op_values *) = {
        [FG_OP_CONV2D] = check_conv2d,
        [FG_OP_CONV_TRANSPOSE2D] = check_conv_transpose2d,
        [FG_OP_MATMUL] = check_matmul,
        [FG_OP_POOL] = check_pool,
        [FG_OP_REDUCE_PIXELS] = check_reduce_pixels,
        [FG_OP_REDUCE_CHANNELS] = check_reduce_channels,
        [FG_OP_SOFTMAX] = check_softmax,
        [FG_OP_UNARY] = check_same_extents,
        [FG_OP_BINARY] = check_binary,
        [FG_OP_WHERE] = check_broadcast,
        [FG_OP_GATHER] = check_gather,
        [FG_OP_CONCAT] = check_concat,
        [FG_OP_RESIZE] = check_resize,
        [FG_OP_VIEW] = check_same_elements,
        [FG_OP_TRANSPOSE] = check_transpose,
    };
    const fg_graph *graph = check->graph;
    op_values v = {.entry = graph->index + node->first_input, .out = &graph->values[node->output], .node = node};
    for (uint32_t i = 0; i < node->input_count && i < sizeof v.in / sizeof v.in[0]; i++) {
        if (v.entry[i] != FG_NONE) v.in[i] = &graph->values[v.entry[i]];
    }
    return check_winograd(check, node) && rules[node->op](check, &v);
}
