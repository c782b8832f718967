"""Networks with Skip-Convolutions: modes, notes, listing."""

from __future__ import annotations

from converters.skip_gates import close_loops, describe_gate, skip_gated, skip_notes
from converters.verify import verify
from runtime.reference.graph import SkipGate, SkipKind, SkipReference, SkipUpdate

FIRED = {"update": SkipUpdate.RECOMPUTE, "reference": SkipReference.FIRED}


def test_closed_loops_keep_thresholds_and_drop_quirks(network) -> None:
    n = network()
    y = n.skip_conv("x", 3, kind=SkipKind.NORM_OUTPUT, eps=0.5, floor=True, half=True, reset=4)
    y = n.skip_conv(n.conv(y, 3), 2, kind=SkipKind.GUMBEL, bias=-1.0, block=4)
    before = n.finish(y)
    after = verify(close_loops(before))
    norm, plain, gumbel = after.nodes
    assert norm.gate == SkipGate(SkipKind.NORM_OUTPUT, eps=0.5, scale=0.25, **FIRED)
    assert gumbel.gate == SkipGate(SkipKind.GUMBEL, bias=-1.0, block=4, **FIRED)
    assert (norm.inputs[2], norm.inputs[5]) == (before.nodes[0].inputs[2], None)
    assert gumbel.inputs[4] == before.nodes[2].inputs[4]
    assert plain == before.nodes[1]
    assert before.nodes[0].gate.reset == 4, "the given graph is left alone"
    assert [node.name for node, _ in skip_gated(after)] == [norm.name, gumbel.name]


def test_shared_gates_stay_shared(network) -> None:
    n = network()
    y = n.skip_conv("x", 3, kind=SkipKind.NORM_INPUT, eps=0.5, half=True, reset=4)
    z = n.skip_conv(y, 3, kind=SkipKind.SHARED, half=True, reset=4, leader=y, scale=0.0)
    n.graph.nodes[-1].inputs[4] = None
    graph = verify(n.finish(z))
    assert skip_notes(graph) == []
    after = verify(close_loops(graph))
    assert after.nodes[1].gate == SkipGate(SkipKind.SHARED, leader=y, **FIRED)
    assert describe_gate(after.nodes[1].gate) == f"shared with {y}, recompute, reference fired"


def test_notes_on_gates_that_hold_little_back(network) -> None:
    n = network(6, 8)
    y = n.skip_conv("x", 3, kind=SkipKind.GUMBEL, bias=0.0)
    y = n.skip_conv(y, 3, kind=SkipKind.NORM_INPUT, eps=0.0, half=True)
    y = n.skip_conv(y, 3, kind=SkipKind.NORM_INPUT, eps=0.0)
    y = n.skip_conv(y, 3, kind=SkipKind.NORM_INPUT, eps=0.5, block=2)
    graph = n.finish(n.skip_conv(y, 3, kind=SkipKind.GUMBEL, bias=-0.5, block=4))
    still, changes, cut = skip_notes(graph)
    assert still.endswith("not even still areas: conv2d0 (gumbel bias 0), conv2d1 (norm_input eps 0)")
    assert changes.endswith("however small: conv2d2 (norm_input eps 0)")
    assert cut.endswith("cut: conv2d4 (6 x 8, blocks of 4)")
    changes, _ = skip_notes(close_loops(graph))  # a closed loop never moves what stands still
    assert changes.endswith("small: conv2d0 (gumbel bias 0), conv2d1 (norm_input eps 0), conv2d2 (norm_input eps 0)")


def test_notes_stay_short(network) -> None:
    n = network()
    y = "x"
    for _ in range(11):
        y = n.skip_conv(y, 3, kind=SkipKind.GUMBEL, bias=1.0)
    (note,) = skip_notes(n.finish(y))
    assert note.endswith("conv2d7 (gumbel bias 1), and 3 more")


def test_describe() -> None:
    gate = SkipGate(SkipKind.NORM_INPUT, 0.02, 0.25, floor=True, half=True, reset=4)
    assert describe_gate(gate) == "norm_input eps 0.02, residual, reference last, floor, half, reset every 4"
    gate = SkipGate(SkipKind.GUMBEL, bias=-1.5, block=4, **FIRED)
    assert describe_gate(gate) == "gumbel bias -1.5, blocks of 4, recompute, reference fired"
