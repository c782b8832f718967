"""Damaged nodes and operators: name -> damage, status, message."""

from __future__ import annotations

from runtime.reference import format as fgm
from runtime.reference.format import OUTPUTS

from .damage import (
    INF,
    NAN,
    NET,
    Damage,
    F,
    N,
    U,
    V,
    argument,
    both,
    constant,
    index_of,
    node,
    node_making_an_input,
    put,
    rebuilt,
    value,
    word,
)

CASES: dict[str, Damage] = {
    # nodes
    "node_name": Damage(
        node("conv", "name", 10**6),
        F,
        f"node 0: name starts at byte 1000000 of STRINGS, which has {len(NET.strings)} bytes",
    ),
    "op_0": Damage(node("conv", "op", 0), U, "node 0 'conv': op 0 is not known to this library; use a newer one"),
    "op_16": Damage(node("conv", "op", 16), U, "node 0 'conv': op 16 is not known to this library; use a newer one"),
    "op_version_2": Damage(
        node("conv", "op_version", 2),
        U,
        "node 0 'conv' (conv2d): op_version is 2, this library knows 1; use a newer one",
    ),
    "node_flags": Damage(
        node("conv", "flags", 4), U, "node 0 'conv' (conv2d): flags are 4, this library knows 3; use a newer one"
    ),
    "output_of_two_nodes": Damage(
        node("depthwise", "output", V["conv"]),
        F,
        f"value {V['depthwise']}: producer is node 1, which gives value {V['conv']}",
    ),
    "node_makes_an_input": Damage(
        node_making_an_input, F, "node 0 'view' (view): output is value 0, which is not made by this node"
    ),
    "first_input": Damage(node("pool", "first_input", 0), F, "node 5 'pool' (pool): first_input is 0, must be 20"),
    "input_count_0": Damage(
        node("conv", "input_count", 0), F, "node 0 'conv' (conv2d): input_count is 0, must be 4 to 4"
    ),
    "input_count_3": Damage(
        node("conv", "input_count", 3), F, "node 0 'conv' (conv2d): input_count is 3, must be 4 to 4"
    ),
    "input_count_1025": Damage(
        node("concat", "input_count", 1025), F, "node 15 'concat' (concat): input_count is 1025, must be 1 to 1024"
    ),
    "index_too_short": Damage(
        rebuilt(lambda net, sections: [index_of(net, item, -1) for item in sections]),
        F,
        "node 23 'winograd' (conv2d): input_count is 4, but only 3 are left in INDEX",
    ),
    "index_too_long": Damage(
        rebuilt(lambda net, sections: [index_of(net, item, 1) for item in sections]),
        F,
        f"record_count of INDEX is {len(NET.index) + 1}, must be {len(NET.index)}",
    ),
    "x_absent": Damage(argument("pool", 0, fgm.NONE), F, "node 5 'pool' (pool): input 0 is absent, must be a value"),
    "weights_absent": Damage(
        argument("conv", 1, fgm.NONE), F, "node 0 'conv' (conv2d): input 1 is absent, must be a value"
    ),
    "concat_input_absent": Damage(
        argument("concat", 2, fgm.NONE), F, "node 15 'concat' (concat): input 2 is absent, must be a value"
    ),
    "input_past_the_end": Damage(
        argument("pool", 0, len(V)), F, f"node 5 'pool' (pool): input 0 is value {len(V)}, the file has {len(V)}"
    ),
    "input_of_a_later_node": Damage(
        argument("pool", 0, V["matmul"]),
        F,
        f"node 5 'pool' (pool): input 0 is value {V['matmul']} of node 19, which does not come before",
    ),
    "node_reads_itself": Damage(
        argument("softmax", 0, V["softmax"]),
        F,
        f"node 9 'softmax' (softmax): input 0 is value {V['softmax']} of node 9, which does not come before",
    ),
    "x_is_a_table": Damage(
        argument("pool", 0, V["shuffle.map"]),
        F,
        f"node 5 'pool' (pool): input 0 is value {V['shuffle.map']}, which is not f32",
    ),
    "table_is_f32": Damage(
        argument("flip", 1, V["conv.bias"]),
        F,
        f"node 13 'flip' (gather): input 1 is value {V['conv.bias']}, which is not an i32 table",
    ),
    "activation_unknown": Damage(
        node("conv", "activation", 35),
        U,
        "node 0 'conv' (conv2d): activation 35 is not known to this library; use a newer one",
    ),
    "activation_not_allowed": Damage(
        node("pool", "activation", 1), F, "node 5 'pool' (pool): activation is 1, must be 0 on this operator"
    ),
    "activation_parameter_nan": Damage(
        node("mul", "activation_parameters", NAN, 1), F, "node 11 'mul' (binary): activation parameter is not a number"
    ),
    "activation_parameter_unused": Damage(
        node("conv", "activation_parameters", 2.0),
        F,
        "node 0 'conv' (conv2d): unused activation_parameters must be zero, a byte is 64",
    ),
    "gate_unknown": Damage(
        node("conv", "gate", 6), U, "node 0 'conv' (conv2d): gate 6 is not known to this library; use a newer one"
    ),
    "gate_norm": Damage(node("conv", "gate_norm", 3), F, "node 0 'conv' (conv2d): gate_norm is 3, must be 0 to 2"),
    "gate_block_0": Damage(
        node("conv", "gate_block", 0), F, "node 0 'conv' (conv2d): gate_block is 0, must be 1, 2, 4 or 8"
    ),
    "gate_block_3": Damage(
        node("conv", "gate_block", 3), F, "node 0 'conv' (conv2d): gate_block is 3, must be 1, 2, 4 or 8"
    ),
    "gate_alpha_nan": Damage(node("conv", "gate_alpha", NAN), F, "node 0 'conv' (conv2d): gate_alpha is not finite"),
    "gate_alpha_negative": Damage(
        node("conv", "gate_alpha", -0.5), F, "node 0 'conv' (conv2d): gate_alpha is negative"
    ),
    "gate_std_infinite": Damage(node("conv", "gate_std", INF), F, "node 0 'conv' (conv2d): gate_std is not finite"),
    "ungated_with_norm": Damage(
        node("pool", "gate_norm", 1), F, "node 5 'pool' (pool): gate_norm of an ungated node is 1, must be 0"
    ),
    "ungated_with_block": Damage(
        node("pool", "gate_block", 2), F, "node 5 'pool' (pool): gate_block of an ungated node is 2, must be 1"
    ),
    "ungated_with_alpha": Damage(
        node("pool", "gate_alpha", 0.125),
        F,
        "node 5 'pool' (pool): gate_alpha of an ungated node must be zero, a byte is 62",
    ),
    "node_reserved": Damage(
        node("pool", "reserved", 1, 8), F, "node 5 'pool' (pool): reserved words must be zero, a byte is 1"
    ),
    "attribute_word_unused": Damage(
        word("view", 31, 1), F, "node 17 'view' (view): unused attribute words must be zero, a byte is 1"
    ),
    # operators
    "kernel_0": Damage(word("conv", "kernel_h", 0), F, "node 0 'conv' (conv2d): kernel_h is 0, must be 1 to 4096"),
    "stride_negative": Damage(
        word("conv", "stride_h", -1), F, "node 0 'conv' (conv2d): stride_h is -1, must be 1 to 4096"
    ),
    "stride_0_of_pool": Damage(word("pool", 3, 0), F, "node 5 'pool' (pool): stride_h is 0, must be 1 to 4096"),
    "dilation_huge": Damage(
        word("conv", "dilation_w", 2**31 - 1),
        F,
        f"node 0 'conv' (conv2d): dilation_w is {2**31 - 1}, must be 1 to 4096",
    ),
    "pad_negative": Damage(
        word("conv", "pad_top", -(2**31)), F, f"node 0 'conv' (conv2d): pad_top is {-(2**31)}, must be 0 to 4096"
    ),
    "kernel_area": Damage(
        both(word("conv", "kernel_h", 4096), word("conv", "kernel_w", 17)),
        F,
        "node 0 'conv' (conv2d): kernel_h x kernel_w is 69632, must be 1 to 65536",
    ),
    "groups_0": Damage(word("conv", "groups", 0), F, f"node 0 'conv' (conv2d): groups is 0, must be 1 to {2**28}"),
    "groups_do_not_divide": Damage(
        word("conv", "groups", 2), F, "node 0 'conv' (conv2d): groups is 2, must divide 3 and 16 channels"
    ),
    "weights_too_few": Damage(
        word("conv", "kernel_h", 4), F, "node 0 'conv' (conv2d): weights has 432 elements, must be 1 x 1 x 576"
    ),
    "winograd_weights": Damage(
        argument("winograd", 1, V["skip.weights"]),
        F,
        "node 23 'winograd' (conv2d): weights has 2304 elements, must be 1 x 1 x 9216",
    ),
    "compact_winograd_with_transformed_weights": Damage(
        node("winograd", "flags", 3),
        F,
        "node 23 'winograd' (conv2d): weights has 9216 elements, must be 1 x 1 x 2304",
    ),
    "compact_without_winograd": Damage(
        node("conv", "flags", 2), F, "node 0 'conv' (conv2d): flags have compact without winograd"
    ),
    "winograd_without_flag": Damage(
        node("winograd", "flags", 0),
        F,
        "node 23 'winograd' (conv2d): weights has 9216 elements, must be 1 x 1 x 2304",
    ),
    **{
        f"winograd_of_{name}_{what}": Damage(
            word(name, what, number) if number else node(name, "flags", 1),
            F,
            f"node {N[name]} '{name}' ({op}): flags have winograd, which only conv2d of 3 x 3, stride 1, dilation 1, "
            "1 group may",
        )
        for name, op, what, number in (
            ("winograd", "conv2d", "kernel_h", 1),
            ("winograd", "conv2d", "kernel_w", 5),
            ("winograd", "conv2d", "stride_h", 2),
            ("winograd", "conv2d", "dilation_w", 2),
            ("winograd", "conv2d", "groups", 16),
            ("depthwise", "conv2d", "flags", 0),
            ("deconv", "conv_transpose2d", "flags", 0),
            ("pool", "pool", "flags", 0),
        )
    },
    "winograd_with_skip_gate": Damage(
        node("norm", "flags", 1), F, "node 20 'norm' (conv2d): flags have winograd, which no skip gate may"
    ),
    "weights_not_depthwise": Damage(
        word("depthwise", "groups", 8), F, "node 1 'depthwise' (conv2d): weights has 144 elements, must be 1 x 1 x 2304"
    ),
    "weights_running": Damage(
        argument("grouped", 1, V["conv"]),
        F,
        f"node 2 'grouped' (conv2d): weights is value {V['conv']}, which is not a constant",
    ),
    "bias_elements": Damage(
        argument("conv", 2, V["grouped.weights"]),
        F,
        "node 0 'conv' (conv2d): bias has 256 elements, must be 1 x 1 x 16",
    ),
    "conv_rows": Damage(word("conv", "pad_top", 2), F, "node 0 'conv' (conv2d): rows of the output is 8, must be 9"),
    "window_does_not_fit": Damage(
        word("depthwise", 4, 4096),
        F,
        "node 1 'depthwise' (conv2d): rows of the output: the window is larger than the padded input",
    ),
    "residual_kind": Damage(
        word("residual", "residual", 3), F, "node 3 'residual' (conv2d): residual is 3, must be 0 to 2"
    ),
    "residual_missing": Damage(
        word("conv", "residual", 1), F, "node 0 'conv' (conv2d): residual is 1, but input 3 is absent"
    ),
    "residual_unwanted": Damage(
        word("residual", "residual", 0), F, "node 3 'residual' (conv2d): residual is 0, but input 3 is present"
    ),
    "residual_extents": Damage(
        argument("residual", 3, V["depthwise"]),
        F,
        "node 3 'residual' (conv2d): residual is 4 x 4 x 16, must have the output's extents",
    ),
    "deconv_rows": Damage(
        both(value("deconv", "rows", 4110), put(OUTPUTS, 0, "shape", 4110, 2)),
        F,
        "node 4 'deconv' (conv_transpose2d): rows of the output is 4110, must be 1 to 4104",
    ),
    "deconv_weights": Damage(
        word("deconv", "kernel_w", 2),
        F,
        "node 4 'deconv' (conv_transpose2d): weights has 1152 elements, must be 1 x 1 x 768",
    ),
    "pool_kind": Damage(word("pool", 0, 2), F, "node 5 'pool' (pool): kind is 2, must be 0 to 1"),
    "pool_rows": Damage(word("ceil_pool", 3, 1), F, "node 6 'ceil_pool' (pool): rows of the output is 4, must be 6"),
    "pool_include_pad": Damage(
        word("ceil_pool", 11, 2), F, "node 6 'ceil_pool' (pool): count_include_pad is 2, must be 0 to 1"
    ),
    "reduce_pixels_arg_max": Damage(word("mean", 0, 5), F, "node 7 'mean' (reduce_pixels): kind is 5, must be 0 to 4"),
    "reduce_pixels_over_nothing": Damage(
        both(word("mean", 1, 0), word("mean", 2, 0)),
        F,
        "node 7 'mean' (reduce_pixels): over_rows and over_cols are both 0",
    ),
    "reduce_pixels_cols": Damage(
        word("mean", 2, 0), F, "node 7 'mean' (reduce_pixels): cols of the output is 1, must be 4"
    ),
    "reduce_channels_kind": Damage(
        word("argmax", 0, 7), F, "node 8 'argmax' (reduce_channels): kind is 7, must be 0 to 6"
    ),
    "reduce_channels_product": Damage(
        word("argmax", 2, 15), F, "node 8 'argmax' (reduce_channels): outer x count x inner must be 16 channels"
    ),
    "reduce_channels_overflow": Damage(
        both(*(word("argmax", i, 2**28) for i in (1, 2, 3))),
        F,
        "node 8 'argmax' (reduce_channels): outer x count x inner must be 16 channels",
    ),
    "select_last": Damage(
        word("argmax", 4, 2), F, "node 8 'argmax' (reduce_channels): select_last is 2, must be 0 to 1"
    ),
    "softmax_count_0": Damage(
        word("softmax", 1, 0), F, f"node 9 'softmax' (softmax): count is 0, must be 1 to {2**28}"
    ),
    "softmax_log": Damage(word("softmax", 3, -1), F, "node 9 'softmax' (softmax): log is -1, must be 0 to 1"),
    "unary_extents": Damage(
        argument("sigmoid", 0, V["pool"]), F, "node 10 'sigmoid' (unary): rows of the output is 1, must be 4"
    ),
    "binary_kind": Damage(word("mul", 0, 18), F, "node 11 'mul' (binary): kind is 18, must be 0 to 17"),
    "binary_broadcast": Damage(
        argument("mul", 1, V["conv"]),
        F,
        "node 11 'mul' (binary): operand of 8 x 8 x 16 does not broadcast to the output",
    ),
    "where_broadcast": Damage(
        argument("where", 0, V["grouped"]),
        F,
        "node 12 'where' (where): operand of 4 x 4 x 8 does not broadcast to the output",
    ),
    "row_map_entry": Damage(
        constant("flip.row_map", 2, 4), F, "node 13 'flip' (gather): row_map[2] is 4, must be -1 to 3"
    ),
    "row_map_entry_negative": Damage(
        constant("flip.row_map", 0, -2), F, "node 13 'flip' (gather): row_map[0] is -2, must be -1 to 3"
    ),
    "row_map_length": Damage(
        argument("flip", 1, V["shuffle.map"]), F, "node 13 'flip' (gather): row_map has 8 elements, must be 1 x 1 x 4"
    ),
    "row_map_absent": Damage(
        argument("shuffle", 1, fgm.NONE), F, "node 14 'shuffle' (gather): rows of the output is 8, must be 4"
    ),
    "channel_map_entry": Damage(
        constant("shuffle.channel_map", 15, 16),
        F,
        "node 14 'shuffle' (gather): channel_map[15] is 16, must be -1 to 15",
    ),
    "phases_without_map": Damage(word("flip", 0, 2), F, "node 13 'flip' (gather): phase_rows is 2, must be 1 to 1"),
    "phases_65": Damage(word("shuffle", 1, 65), F, "node 14 'shuffle' (gather): phase_cols is 65, must be 1 to 64"),
    "concat_axis": Damage(word("concat", 0, 3), F, "node 15 'concat' (concat): axis is 3, must be 0 to 2"),
    "concat_extents": Damage(
        argument("concat", 1, V["conv"]), F, "node 15 'concat' (concat): input 1 differs from the first in axis 0"
    ),
    "concat_channels": Damage(
        argument("concat", 1, V["grouped"]), F, "node 15 'concat' (concat): channels of the output is 48, must be 40"
    ),
    "resize_taps": Damage(word("resize", 0, 0), F, "node 16 'resize' (resize): row_taps is 0, must be 1 to 4096"),
    "resize_index_length": Damage(
        word("resize", 0, 3), F, "node 16 'resize' (resize): row_index has 16 elements, must be 1 x 1 x 24"
    ),
    "resize_index_entry": Damage(
        constant("resize.index", 15, 2**31 - 1),
        F,
        f"node 16 'resize' (resize): row_index[15] is {2**31 - 1}, must be -1 to 3",
    ),
    "resize_weight_length": Damage(
        argument("resize", 2, V["grouped.weights"]),
        F,
        "node 16 'resize' (resize): row_weight has 256 elements, must be 1 x 1 x 16",
    ),
    "view_elements": Damage(
        value("view", "channels", 255), F, "node 17 'view' (view): output has 255 elements, must be 256"
    ),
    "transpose_rank": Damage(word("transpose", 0, 9), F, "node 18 'transpose' (transpose): rank is 9, must be 1 to 8"),
    "transpose_dims": Damage(
        word("transpose", 1, 8), F, "node 18 'transpose' (transpose): dims have 128 elements, the input has 256"
    ),
    "transpose_dims_beyond_rank": Damage(
        word("transpose", 3, 1), F, "node 18 'transpose' (transpose): dims beyond the rank must be zero, a byte is 1"
    ),
    "transpose_perm_range": Damage(
        word("transpose", 9, 2), F, "node 18 'transpose' (transpose): perm is 2, must be 0 to 1"
    ),
    "transpose_perm_twice": Damage(
        word("transpose", 10, 1), F, "node 18 'transpose' (transpose): perm names axis 1 twice"
    ),
    "matmul_inner": Damage(
        argument("matmul", 1, V["view"]),
        F,
        "node 19 'matmul' (matmul): b has 1 rows and 1 cols, must have 1 row or those of a and 16 cols",
    ),
}
