"""All passes in order on random graphs: every step verifies, the outputs keep their numbers."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from converters.passes import PIPELINE
from converters.verify import verify
from converters.writer import to_bytes
from runtime.reference.graph import Activation, Binary, Concat
from runtime.reference.reader import read_model

UNARY = [
    (Activation.RELU, ()),
    (Activation.CLIP, (-1.0, 2.0)),
    (Activation.SIGMOID, ()),
    (Activation.HARD_SIGMOID, (0.2, 0.5)),
    (Activation.TANH, ()),
    (Activation.AFFINE, (0.5, 1.0)),
    (Activation.NEG, ()),
    (Activation.SOFTPLUS, ()),
]
KINDS = [Binary.ADD, Binary.SUB, Binary.MUL, Binary.MAX, Binary.MIN]


def step(n, data: st.DataObject, names: list[str]) -> str:
    """One more random node on values of equal rows and cols."""
    x = data.draw(st.sampled_from(names))
    depth = n.extents(x)[2]
    match data.draw(st.sampled_from(["conv", "pad", "depthwise", "unary", "scalar", "channel", "binary", "concat"])):
        case "conv":
            return n.conv(x, data.draw(st.sampled_from([2, 3])), *data.draw(st.sampled_from([(1, 0), (3, 1)])))
        case "pad":
            return n.conv(n.pad(x, 1, 0, 1, 2), 3, kernel=3)
        case "depthwise":
            return n.conv(x, depth, kernel=3, pad=1, groups=depth)
        case "unary":
            kind, parameters = data.draw(st.sampled_from(UNARY))
            return n.unary(x, kind, *parameters)
        case "scalar":
            sides = [x, [data.draw(st.sampled_from([-1.0, 0.0, 0.5, 2.0]))]]
            return n.binary(data.draw(st.sampled_from(KINDS)), *data.draw(st.permutations(sides)))
        case "channel":
            return n.binary(data.draw(st.sampled_from(KINDS)), x, np.linspace(-1, 2, depth))
        case "concat":
            return n.node(Concat(2), [x, x], (*n.extents(x)[:2], 2 * depth)) if depth < 6 else x
    same = [name for name in names if n.extents(name) == n.extents(x)]
    return n.binary(data.draw(st.sampled_from(KINDS)), x, data.draw(st.sampled_from(same)))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_random_graphs(network, data: st.DataObject) -> None:
    n = network(5, 6, 2, seed=data.draw(st.integers(0, 99)))
    names = ["x"]
    for _ in range(data.draw(st.integers(1, 12))):
        name = step(n, data, names)
        names = [name] if n.extents(name)[:2] != n.extents(names[0])[:2] else [*names, name]
    made = [node.output for node in n.graph.nodes]
    if not made:
        return
    outputs = data.draw(st.lists(st.sampled_from(made), min_size=1, max_size=3, unique=True))
    before = n.finish(*dict.fromkeys([*outputs, made[-1]]))
    graph = before
    for function in PIPELINE:
        graph = verify(function(graph), function.__name__)
        assert n.same(before, graph, 1e-4), function.__name__
    written = to_bytes(graph)
    assert to_bytes(read_model(written)) == written


def test_the_order() -> None:
    assert [function.__name__ for function in PIPELINE] == [
        "fold_constants",
        "compose_gathers",
        "fold_pad",
        "fold_space_to_depth",
        "chain_max_pools",
        "fuse_patterns",
        "fold_affine",
        "fuse_activation",
        "place_gates",
        "fuse_residual",
        "remove_dead",
    ]
