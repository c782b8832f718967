"""Damaged skip gates: name -> damage, status, message."""

from __future__ import annotations

from runtime.reference import format as fgm

from .damage import INF, NAN, Damage, F, U, V, argument, both, node, word

NORM, GUMBEL = "node 20 'norm' (conv2d): ", "node 21 'gumbel' (conv2d): "

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
    "ungated_with_reset": Damage(
        node("pool", "gate_reset", 1), F, "node 5 'pool' (pool): gate_reset of another gate must be zero, a byte is 1"
    ),
}
