/* model_nodes.c: the loader's rules that all nodes share (docs/file_format.md, sections 3 and 5). What an operator adds
 * stands in model_ops.c. */
#include "model_check.h"
#include "skip.h"

enum { OP_VERSION = 1, ACTIVATION_PARAMETERS = 4, ATTRIBUTE_WORDS = 32, SKIP_INPUTS = 2 };

/* name, inputs at least, at most, absent ones allowed, index tables, attribute words, activation */
static const fg_op_rule op_rules[FG_OP_COUNT] = {
    [FG_OP_CONV2D] = {"conv2d", 4, 4, 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5, 0, 12, 1}, /* two more with a skip gate */
    [FG_OP_CONV_TRANSPOSE2D] = {"conv_transpose2d", 4, 4, 1 << 2 | 1 << 3, 0, 12, 1},
    [FG_OP_MATMUL] = {"matmul", 2, 2, 0, 0, 0, 1},
    [FG_OP_POOL] = {"pool", 1, 1, 0, 0, 12, 0},
    [FG_OP_REDUCE_PIXELS] = {"reduce_pixels", 1, 1, 0, 0, 3, 0},
    [FG_OP_REDUCE_CHANNELS] = {"reduce_channels", 1, 1, 0, 0, 5, 0},
    [FG_OP_SOFTMAX] = {"softmax", 1, 1, 0, 0, 4, 0},
    [FG_OP_UNARY] = {"unary", 1, 1, 0, 0, 0, 1},
    [FG_OP_BINARY] = {"binary", 2, 2, 0, 0, 1, 1},
    [FG_OP_WHERE] = {"where", 3, 3, 0, 0, 0, 0},
    [FG_OP_GATHER] = {"gather", 4, 4, 1 << 1 | 1 << 2 | 1 << 3, 1 << 1 | 1 << 2 | 1 << 3, 3, 0},
    [FG_OP_CONCAT] = {"concat", 1, FG_LIMIT_NODE_INPUTS, 0, 0, 1, 0},
    [FG_OP_RESIZE] = {"resize", 5, 5, 0, 1 << 1 | 1 << 3, 3, 0},
    [FG_OP_VIEW] = {"view", 1, 1, 0, 0, 0, 0},
    [FG_OP_TRANSPOSE] = {"transpose", 1, 1, 0, 0, 17, 0},
};

/* Parameters in use, by activation. */
static const uint8_t activation_parameters[FG_ACT_COUNT] = {
    [FG_ACT_CLIP] = 2,       [FG_ACT_LEAKY_RELU] = 1, [FG_ACT_SILU] = 1,      [FG_ACT_HARD_SIGMOID] = 2,
    [FG_ACT_HARD_SWISH] = 2, [FG_ACT_ELU] = 1,        [FG_ACT_SELU] = 2,      [FG_ACT_POW] = 1,
    [FG_ACT_AFFINE] = 2,     [FG_ACT_CELU] = 1,       [FG_ACT_THRESHOLD] = 1,
};

const fg_op_rule *fg_op_rule_of(uint32_t op)
{
    return op < FG_OP_COUNT && op_rules[op].name != NULL ? &op_rules[op] : NULL;
}

static bool check_identity(fg_check *check, const fg_node_record *node)
{
    if (!fg_check_name(check, &node->name)) return false;
    const fg_op_rule *rule = fg_op_rule_of(node->op);
    if (rule == NULL)
        return fg_check_fail(check, FG_ERR_UNSUPPORTED, &node->op, "op",
                             " %u is not known to this library; use a newer one", node->op, 0, 0);
    check->record_op = rule->name;
    if (node->op_version != OP_VERSION)
        return fg_check_fail(check, FG_ERR_UNSUPPORTED, &node->op_version, "op_version",
                             " is %u, this library knows %u; use a newer one", node->op_version, OP_VERSION, 0);
    if ((node->flags & ~(uint32_t)FG_NODE_FLAGS) != 0)
        return fg_check_fail(check, FG_ERR_UNSUPPORTED, &node->flags, "flags",
                             " are %u, this library knows %u; use a newer one", node->flags, FG_NODE_FLAGS, 0);
    return true;
}

static bool check_output(fg_check *check, const fg_node_record *node)
{
    const fg_graph *graph = check->graph;
    if (!fg_check_range(check, &node->output, "output", node->output, 0, (int64_t)graph->value_count - 1)) return false;
    const fg_value_record *value = &graph->values[node->output];
    if (value->kind != FG_VALUE_NODE || value->producer != check->record_index)
        return fg_check_fail(check, FG_ERR_FORMAT, &node->output, "output",
                             " is value %u, which is not made by this node", node->output, 0, 0);
    return true;
}

static bool check_input(fg_check *check, const fg_op_rule *rule, const uint32_t *entry, uint32_t slot)
{
    const fg_graph *graph = check->graph;
    const bool named_slot = rule->inputs_max <= 8; /* all but concat's, which are alike */
    if (*entry == FG_NONE) {
        return (named_slot && (rule->optional >> slot & 1) != 0) ||
               fg_check_fail(check, FG_ERR_FORMAT, entry, "input", " %u is absent, must be a value", slot, 0, 0);
    }
    if (*entry >= graph->value_count)
        return fg_check_fail(check, FG_ERR_FORMAT, entry, "input", " %u is value %u, the file has %u", slot, *entry,
                             graph->value_count);
    const fg_value_record *value = &graph->values[*entry];
    if (value->kind == FG_VALUE_NODE && value->producer >= check->record_index)
        return fg_check_fail(check, FG_ERR_FORMAT, entry, "input",
                             " %u is value %u of node %u, which does not come before", slot, *entry, value->producer);
    const bool table = named_slot && (rule->tables >> slot & 1) != 0;
    const uint32_t dtype = table ? FG_DTYPE_S32 : FG_DTYPE_F32;
    return value->dtype == dtype ||
           fg_check_fail(check, FG_ERR_FORMAT, entry, "input",
                         table ? " %u is value %u, which is not an i32 table" : " %u is value %u, which is not f32",
                         slot, *entry, 0);
}

/* The lists lie one behind the other: *next is where this node's must begin. */
static bool check_input_list(fg_check *check, const fg_node_record *node, uint32_t *next)
{
    const fg_op_rule *rule = &op_rules[node->op];
    const uint32_t more = node->op == FG_OP_CONV2D && fg_gate_skips(node->gate) ? SKIP_INPUTS : 0;
    if (!fg_check_equal(check, &node->first_input, "first_input", node->first_input, *next) ||
        !fg_check_range(check, &node->input_count, "input_count", node->input_count, rule->inputs_min + more,
                        rule->inputs_max + more))
        return false;
    if (node->input_count > check->index_count - *next)
        return fg_check_fail(check, FG_ERR_FORMAT, &node->input_count, "input_count",
                             " is %u, but only %u are left in INDEX", node->input_count, check->index_count - *next, 0);
    for (uint32_t slot = 0; slot < node->input_count; slot++) {
        if (!check_input(check, rule, check->graph->index + *next + slot, slot)) return false;
    }
    *next += node->input_count;
    return true;
}

static bool check_activation(fg_check *check, const fg_node_record *node)
{
    if (node->activation >= FG_ACT_COUNT)
        return fg_check_fail(check, FG_ERR_UNSUPPORTED, &node->activation, "activation",
                             " %u is not known to this library; use a newer one", node->activation, 0, 0);
    if (node->activation != FG_ACT_IDENTITY && !op_rules[node->op].activates)
        return fg_check_fail(check, FG_ERR_FORMAT, &node->activation, "activation",
                             " is %u, must be 0 on this operator", node->activation, 0, 0);
    const uint32_t used = activation_parameters[node->activation];
    for (uint32_t i = 0; i < used; i++) {
        if (!fg_check_number(check, &node->activation_parameters[i], "activation parameter")) return false;
    }
    return fg_check_zero(check, node->activation_parameters + used, (ACTIVATION_PARAMETERS - used) * sizeof(float),
                         "unused activation_parameters");
}

static bool check_no_skip(fg_check *check, const fg_node_record *node)
{
    return fg_check_zero(check, &node->gate_flags, sizeof node->gate_flags, "gate_flags of another gate") &&
           fg_check_zero(check, &node->gate_eps, sizeof node->gate_eps, "gate_eps of another gate") &&
           fg_check_zero(check, &node->gate_scale, sizeof node->gate_scale, "gate_scale of another gate") &&
           fg_check_zero(check, &node->gate_bias, sizeof node->gate_bias, "gate_bias of another gate") &&
           fg_check_zero(check, &node->gate_reset, sizeof node->gate_reset, "gate_reset of another gate") &&
           fg_check_zero(check, &node->gate_leader, sizeof node->gate_leader, "gate_leader of another gate");
}

static bool check_block(fg_check *check, const fg_node_record *node)
{
    const uint32_t block = node->gate_block;
    return block == 1 || block == 2 || block == 4 || block == 8 ||
           fg_check_fail(check, FG_ERR_FORMAT, &node->gate_block, "gate_block", " is %u, must be 1, 2, 4 or 8", block,
                         0, 0);
}

/* A shared gate's leader lies before it, evaluates gates of its own, on the same grid, and starts anew when it does. */
static bool check_leader(fg_check *check, const fg_node_record *node)
{
    const fg_graph *graph = check->graph;
    const uint32_t index = node->gate_leader;
    if (index >= check->record_index)
        return fg_check_fail(check, FG_ERR_FORMAT, &node->gate_leader, "gate_leader",
                             " is node %u, which does not come before", index, 0, 0);
    const fg_node_record *leader = &graph->nodes[index];
    const fg_value_record *own = &graph->values[node->output], *other = &graph->values[leader->output];
    if (!fg_gate_skips(leader->gate) || leader->gate == FG_GATE_SHARED)
        return fg_check_fail(check, FG_ERR_FORMAT, &node->gate_leader, "gate_leader",
                             " is node %u, which has no skip gate of its own", index, 0, 0);
    if (own->rows != other->rows || own->cols != other->cols)
        return fg_check_fail(check, FG_ERR_FORMAT, &node->gate_leader, "gate_leader",
                             " is node %u, whose output has %u rows and %u cols, which must be this node's", index,
                             other->rows, other->cols);
    if (((node->gate_flags ^ leader->gate_flags) & FG_GATE_HALF) != 0)
        return fg_check_fail(check, FG_ERR_FORMAT, &node->gate_flags, "gate_flags",
                             " must have half if and only if the leader, node %u, has", index, 0, 0);
    return fg_check_equal(check, &node->gate_reset, "gate_reset of a shared gate", node->gate_reset,
                          leader->gate_reset) &&
           fg_check_equal(check, &node->gate_block, "gate_block of a shared gate", node->gate_block, 1) &&
           fg_check_zero(check, &node->gate_eps, sizeof node->gate_eps, "gate_eps of a shared gate") &&
           fg_check_zero(check, &node->gate_scale, sizeof node->gate_scale, "gate_scale of a shared gate") &&
           fg_check_zero(check, &node->gate_bias, sizeof node->gate_bias, "gate_bias of a shared gate");
}

static bool check_skip_numbers(fg_check *check, const fg_node_record *node)
{
    if (node->gate == FG_GATE_SHARED) return check_leader(check, node);
    if (!fg_check_zero(check, &node->gate_leader, sizeof node->gate_leader, "gate_leader of another gate"))
        return false;
    if (node->gate == FG_GATE_GUMBEL)
        return fg_check_finite(check, &node->gate_bias, "gate_bias") &&
               fg_check_zero(check, &node->gate_eps, sizeof node->gate_eps, "gate_eps of a gumbel gate") &&
               fg_check_zero(check, &node->gate_scale, sizeof node->gate_scale, "gate_scale of a gumbel gate");
    if (!fg_check_finite(check, &node->gate_eps, "gate_eps") ||
        !fg_check_not_negative(check, &node->gate_scale, "gate_scale") ||
        !fg_check_zero(check, &node->gate_bias, sizeof node->gate_bias, "gate_bias of a norm gate"))
        return false;
    return node->gate_scale > 0.0f ||
           fg_check_fail(check, FG_ERR_FORMAT, &node->gate_scale, "gate_scale", " is 0, must be above", 0, 0, 0);
}

/* Inputs and attributes of a skip gate are checked with its operator, in model_ops.c. */
static bool check_skip(fg_check *check, const fg_node_record *node)
{
    const uint32_t flags = node->gate_flags;
    const char *fault = NULL;
    if (node->op != FG_OP_CONV2D)
        return fg_check_fail(check, FG_ERR_FORMAT, &node->gate, "gate", " is %u, which only conv2d may have",
                             node->gate, 0, 0);
    if ((flags & ~(uint32_t)FG_GATE_FLAGS) != 0)
        return fg_check_fail(check, FG_ERR_UNSUPPORTED, &node->gate_flags, "gate_flags",
                             " are %u, this library knows %u; use a newer one", flags, FG_GATE_FLAGS, 0);
    if (node->gate == FG_GATE_GUMBEL && (flags & (FG_GATE_FLOOR | FG_GATE_HALF)) != 0)
        fault = " have floor or half, which only norm gates may";
    else if (node->gate == FG_GATE_SHARED && (flags & FG_GATE_FLOOR) != 0)
        fault = " have floor, which only norm gates may";
    else if ((flags & FG_GATE_HALF) != 0 && (flags & (FG_GATE_RESIDUAL | FG_GATE_FIRED)) != FG_GATE_RESIDUAL)
        fault = " have half, which needs residual without fired";
    else if ((flags & FG_GATE_RESIDUAL) != 0 && node->activation != FG_ACT_IDENTITY)
        fault = " have residual, but the node has an activation";
    if (fault != NULL) return fg_check_fail(check, FG_ERR_FORMAT, &node->gate_flags, "gate_flags", fault, 0, 0, 0);
    return fg_check_equal(check, &node->gate_norm, "gate_norm of a skip gate", node->gate_norm, 0) &&
           check_block(check, node) &&
           fg_check_zero(check, &node->gate_alpha, sizeof node->gate_alpha, "gate_alpha of a skip gate") &&
           fg_check_zero(check, &node->gate_std, sizeof node->gate_std, "gate_std of a skip gate") &&
           check_skip_numbers(check, node);
}

static bool check_gate(fg_check *check, const fg_node_record *node)
{
    if (node->gate >= FG_GATE_COUNT)
        return fg_check_fail(check, FG_ERR_UNSUPPORTED, &node->gate, "gate",
                             " %u is not known to this library; use a newer one", node->gate, 0, 0);
    if (node->gate == FG_GATE_NONE)
        return fg_check_equal(check, &node->gate_norm, "gate_norm of an ungated node", node->gate_norm, 0) &&
               fg_check_equal(check, &node->gate_block, "gate_block of an ungated node", node->gate_block, 1) &&
               fg_check_zero(check, &node->gate_alpha, sizeof node->gate_alpha, "gate_alpha of an ungated node") &&
               fg_check_zero(check, &node->gate_std, sizeof node->gate_std, "gate_std of an ungated node") &&
               check_no_skip(check, node);
    if (fg_gate_skips(node->gate)) return check_skip(check, node);
    return check_block(check, node) &&
           fg_check_range(check, &node->gate_norm, "gate_norm", node->gate_norm, 0, FG_NORM_COUNT - 1) &&
           fg_check_not_negative(check, &node->gate_alpha, "gate_alpha") &&
           fg_check_not_negative(check, &node->gate_std, "gate_std") && check_no_skip(check, node);
}

static bool check_attribute_words(fg_check *check, const fg_node_record *node)
{
    const uint32_t used = op_rules[node->op].words;
    return fg_check_zero(check, node->attributes.words + used, (ATTRIBUTE_WORDS - used) * sizeof(int32_t),
                         "unused attribute words");
}

bool fg_check_nodes(fg_check *check)
{
    const fg_graph *graph = check->graph;
    uint32_t next_input = 0;
    for (uint32_t i = 0; i < graph->node_count; i++) {
        const fg_node_record *node = &graph->nodes[i];
        fg_check_enter(check, "node", i);
        if (!check_identity(check, node) || !check_output(check, node) || !check_input_list(check, node, &next_input) ||
            !check_activation(check, node) || !check_gate(check, node) ||
            !fg_check_zero(check, node->reserved, sizeof node->reserved, "reserved words") ||
            !check_attribute_words(check, node) || !fg_check_op(check, node))
            return false;
    }
    check->record = NULL;
    return fg_check_equal(check, graph->index + next_input, "record_count of INDEX", check->index_count, next_input);
}
