"""Damaged skip gates: name -> damage, status, message."""

from __future__ import annotations

from runtime.reference import format as fgm

from .damage import INF, NAN, Damage, F, U, V, argument, both, node, value, word

NORM, GUMBEL = "node 20 'norm' (conv2d): ", "node 21 'gumbel' (conv2d): "
SHARED = "node 22 'shared' (conv2d): "

CASES: dict[str, Damage] = {
    "skip_on_another_op": Damage(
        node("pool", "gate", 3), F, "node 5 'pool' (pool): gate is 3, which only conv2d may have"
    ),
    "skip_without_its_inputs": Damage(
        node("conv", "gate", 2), F, "node 0 'conv' (conv2d): input_count is 4, must be 6 to 6"
    ),
    "skip_inputs_without_a_gate": Damage(node("norm", "gate", 1), F, NORM + "input_count is 6, must be 4 to 4"),
    "skip_flags_unknown": Damage(
        node("norm", "gate_flags", 29), U, NORM + "gate_flags are 29, this library knows 15; use a newer one"
    ),
    "skip_norm": Damage(node("norm", "gate_norm", 1), F, NORM + "gate_norm of a skip gate is 1, must be 0"),
    "skip_block": Damage(node("gumbel", "gate_block", 16), F, GUMBEL + "gate_block is 16, must be 1, 2, 4 or 8"),
    "skip_alpha": Damage(
        node("norm", "gate_alpha", 0.125), F, NORM + "gate_alpha of a skip gate must be zero, a byte is 62"
    ),
    "skip_std": Damage(node("norm", "gate_std", 0.125), F, NORM + "gate_std of a skip gate must be zero, a byte is 62"),
    "skip_eps_nan": Damage(node("norm", "gate_eps", NAN), F, NORM + "gate_eps is not finite"),
    "skip_scale_0": Damage(node("norm", "gate_scale", 0.0), F, NORM + "gate_scale is 0, must be above"),
    "skip_scale_negative": Damage(node("norm", "gate_scale", -1.0), F, NORM + "gate_scale is negative"),
    "skip_scale_infinite": Damage(node("norm", "gate_scale", INF), F, NORM + "gate_scale is not finite"),
    "skip_bias_of_a_norm_gate": Damage(
        node("norm", "gate_bias", 0.125), F, NORM + "gate_bias of a norm gate must be zero, a byte is 62"
    ),
    "gumbel_bias_nan": Damage(node("gumbel", "gate_bias", NAN), F, GUMBEL + "gate_bias is not finite"),
    "gumbel_eps": Damage(
        node("gumbel", "gate_eps", 0.125), F, GUMBEL + "gate_eps of a gumbel gate must be zero, a byte is 62"
    ),
    "gumbel_scale": Damage(
        node("gumbel", "gate_scale", 0.125), F, GUMBEL + "gate_scale of a gumbel gate must be zero, a byte is 62"
    ),
    "gumbel_floors": Damage(
        node("gumbel", "gate_flags", 4), F, GUMBEL + "gate_flags have floor or half, which only norm gates may"
    ),
    "skip_half_recomputes": Damage(
        node("norm", "gate_flags", 8), F, NORM + "gate_flags have half, which needs residual without fired"
    ),
    "skip_half_in_a_closed_loop": Damage(
        node("norm", "gate_flags", 11), F, NORM + "gate_flags have half, which needs residual without fired"
    ),
    "skip_residual_and_activation": Damage(
        node("gumbel", "gate_flags", 1), F, GUMBEL + "gate_flags have residual, but the node has an activation"
    ),
    "skip_of_a_constant": Damage(argument("norm", 0, V["conv.bias"]), F, NORM + "input 0 of a skip gate is a constant"),
    "skip_with_a_residual_input": Damage(
        both(argument("norm", 3, V["pool"]), word("norm", "residual", 1)),
        F,
        NORM + "residual is 1, must be 0 with a skip gate",
    ),
    "gumbel_without_weights": Damage(
        argument("gumbel", 4, fgm.NONE), F, GUMBEL + "gate_weights are absent, a gumbel gate needs them"
    ),
    "norm_with_gate_weights": Damage(
        argument("norm", 4, V["gumbel.weights"]), F, NORM + "gate_weights are present, only a gumbel gate has them"
    ),
    "gumbel_weights_too_few": Damage(
        argument("gumbel", 4, V["conv.bias"]), F, GUMBEL + "gate_weights has 16 elements, must be 1 x 1 x 256"
    ),
    "gumbel_weights_running": Damage(
        argument("gumbel", 4, V["mean"]), F, GUMBEL + f"gate_weights is value {V['mean']}, which is not a constant"
    ),
    "residual_bias_too_many": Damage(
        argument("norm", 5, V["gumbel.weights"]), F, NORM + "residual_bias has 256 elements, must be 1 x 1 x 16"
    ),
    "residual_bias_of_a_recomputing_gate": Damage(
        argument("gumbel", 5, V["conv.bias"]),
        F,
        GUMBEL + "residual_bias is present, which needs residual without fired",
    ),
    "hold_with_flags": Damage(
        node("conv", "gate_flags", 1), F, "node 0 'conv' (conv2d): gate_flags of another gate must be zero, a byte is 1"
    ),
    "leader_of_a_norm_gate": Damage(
        node("norm", "gate_leader", 1), F, NORM + "gate_leader of another gate must be zero, a byte is 1"
    ),
    "leader_of_a_gumbel_gate": Damage(
        node("gumbel", "gate_leader", 20), F, GUMBEL + "gate_leader of another gate must be zero, a byte is 20"
    ),
    "leader_of_an_ungated_node": Damage(
        node("pool", "gate_leader", 1), F, "node 5 'pool' (pool): gate_leader of another gate must be zero, a byte is 1"
    ),
    "shared_with_itself": Damage(
        node("shared", "gate_leader", 22), F, SHARED + "gate_leader is node 22, which does not come before"
    ),
    "shared_with_no_node": Damage(
        node("shared", "gate_leader", fgm.NONE),
        F,
        SHARED + "gate_leader is node 4294967295, which does not come before",
    ),
    "shared_with_an_ungated_node": Damage(
        node("shared", "gate_leader", 5), F, SHARED + "gate_leader is node 5, which has no skip gate of its own"
    ),
    "shared_with_a_hold_gate": Damage(
        node("shared", "gate_leader", 0), F, SHARED + "gate_leader is node 0, which has no skip gate of its own"
    ),
    "shared_with_a_follower": Damage(
        both(
            node("gumbel", "gate", 5),
            argument("gumbel", 4, fgm.NONE),
            *(node("gumbel", field, number) for field, number in (("gate_bias", 0.0), ("gate_block", 1))),
            node("gumbel", "activation", 0),
            *(node("gumbel", field, number) for field, number in (("gate_flags", 9), ("gate_reset", 4))),
            node("gumbel", "gate_leader", 20),
            node("shared", "gate_leader", 21),
        ),
        F,
        SHARED + "gate_leader is node 21, which has no skip gate of its own",
    ),
    "shared_with_another_grid": Damage(
        both(word("shared", "stride_h", 2), value("shared", "rows", 2)),
        F,
        SHARED + "gate_leader is node 20, whose output has 4 rows and 4 cols, which must be this node's",
    ),
    "shared_half": Damage(
        node("shared", "gate_flags", 1), F, SHARED + "gate_flags must have half if and only if the leader, node 20, has"
    ),
    "shared_without_the_leaders_half": Damage(
        node("norm", "gate_flags", 5), F, SHARED + "gate_flags must have half if and only if the leader, node 20, has"
    ),
    "shared_floors": Damage(
        node("shared", "gate_flags", 13), F, SHARED + "gate_flags have floor, which only norm gates may"
    ),
    "shared_reset": Damage(node("shared", "gate_reset", 2), F, SHARED + "gate_reset of a shared gate is 2, must be 4"),
    "shared_block": Damage(node("shared", "gate_block", 2), F, SHARED + "gate_block of a shared gate is 2, must be 1"),
    "shared_eps": Damage(
        node("shared", "gate_eps", 0.125), F, SHARED + "gate_eps of a shared gate must be zero, a byte is 62"
    ),
    "shared_scale": Damage(
        node("shared", "gate_scale", 0.125), F, SHARED + "gate_scale of a shared gate must be zero, a byte is 62"
    ),
    "shared_bias": Damage(
        node("shared", "gate_bias", 0.125), F, SHARED + "gate_bias of a shared gate must be zero, a byte is 62"
    ),
    "shared_with_gate_weights": Damage(
        argument("shared", 4, V["gumbel.weights"]),
        F,
        SHARED + "gate_weights are present, only a gumbel gate has them",
    ),
    "ungated_with_reset": Damage(
        node("pool", "gate_reset", 1), F, "node 5 'pool' (pool): gate_reset of another gate must be zero, a byte is 1"
    ),
}
