"""Every operator against the NumPy specification, on random networks of whole numbers, and the activations."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from converters.evaluate import evaluate  # noqa: E402
from converters.passes.use_winograd import without_winograd  # noqa: E402
from converters.tuning.network import GraphNetwork  # noqa: E402
from converters.tuning.operators import compute  # noqa: E402
from runtime.reference.activations import apply_activation  # noqa: E402
from runtime.reference.graph import Activation, ActivationSpec, Unary, WinogradConv2d  # noqa: E402

from ...random_graphs import GraphMaker, random_clip  # noqa: E402


def plain(graph):
    """The graph without Winograd, as tuning has it, its weights the whole numbers they were: signs hang on them."""
    by_winograd = {node.output for node in graph.nodes if isinstance(node.attributes, WinogradConv2d)}
    made = without_winograd(graph)
    for node in made.nodes:
        if node.output in by_winograd:
            weights = made.values[node.inputs[1]]
            np.testing.assert_allclose(weights.data, np.rint(weights.data), atol=1e-5)
            weights.data = np.rint(weights.data)
    return made


@pytest.mark.parametrize("seed", range(60))
def test_random_networks_equal_the_specification(seed):
    graph = plain(GraphMaker(seed, nodes=10, gates=False).graph)
    for node in graph.nodes:
        if node.activation.kind == Activation.ROUND:  # near a half it may go either way
            node.activation = ActivationSpec()
    frames = [frame.astype(np.float32) for frame in random_clip(graph, seed, 2)]
    network = GraphNetwork(graph)
    with torch.no_grad():
        got = network({"x": torch.from_numpy(np.stack(frames))}).outputs
    for index, frame in enumerate(frames):
        for name, expected in evaluate(graph, {"x": frame}).items():
            np.testing.assert_allclose(got[name][index].numpy(), expected, rtol=1e-4, atol=1e-4, err_msg=name)


@pytest.mark.parametrize("kind", Activation)
def test_activations_equal_the_specification(kind):
    x = np.concatenate([np.linspace(-6, 6, 97), [0.0]]).astype(np.float32)
    if kind in (Activation.LOG, Activation.SQRT, Activation.RECIPROCAL, Activation.POW):
        x = np.abs(x) + np.float32(0.1)
    spec = ActivationSpec(kind, (0.75, 1.25))
    got = compute(Unary(), [torch.from_numpy(x).reshape(1, 1, 1, -1)], (1, 1, x.size), spec)
    np.testing.assert_allclose(got.numpy().reshape(-1), apply_activation(spec, x), rtol=2e-5, atol=2e-6)
