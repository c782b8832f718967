"""The engine against the executable specification, and gated against dense, on random graphs and clips."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import runtime
from converters.writer import to_bytes
from runtime.reference import graph as g

from ..random_graphs import GraphMaker, random_clip
from .reference.test_winograd import clip, network

SEEDS = st.integers(0, 2**32 - 1)
LONG = settings(
    max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None
)
DISCRETE = {g.Reduce.ARG_MAX, g.Reduce.ARG_MIN}


@LONG
@given(
    seed=SEEDS,
    dtype=st.sampled_from(["float32", "uint8"]),
    scale=st.sampled_from([0.0, 0.5, 1.0]),
    skips=st.booleans(),
)
def test_engine_equals_numpy_backend_where_sums_are_exact(seed: int, dtype: str, scale: float, skips: bool) -> None:
    graph = GraphMaker(seed, skips=skips).graph
    model = runtime.Model.from_bytes(to_bytes(graph))
    engine = runtime.Stream(model, threshold_scale=scale, refresh=3, threads=2)
    oracle = runtime.Stream(model, threshold_scale=scale, refresh=3, backend="numpy")
    for frame in random_clip(graph, seed, 7, dtype=dtype):
        ours, theirs = engine.push(frame), oracle.push(frame)
        assert ours.macs == theirs.macs
        for name in ours:
            assert ours[name].tobytes() == theirs[name].tobytes(), name
            np.testing.assert_array_equal(ours.changed[name], theirs.changed[name])
        for node in graph.nodes:
            np.testing.assert_array_equal(engine.changed_mask(node.name), oracle.changed_mask(node.name), node.name)
            assert engine.stats(node.name) == oracle.stats(node.name)
            if isinstance(node.gate, g.SkipGate):
                np.testing.assert_array_equal(engine.gate_map(node.name), oracle.gate_map(node.name), node.name)


@LONG
@given(seed=SEEDS, dtype=st.sampled_from(["float32", "uint8"]))
def test_scale_0_equals_dense_byte_for_byte(seed: int, dtype: str) -> None:
    graph = GraphMaker(seed, exact=False).graph
    model = runtime.Model.from_bytes(to_bytes(graph))
    dense = runtime.Stream(model, gating=False)
    gated = [
        runtime.Stream(model, threshold_scale=0, refresh=0),
        runtime.Stream(model, threshold_scale=0, refresh=3, threads=2),
        runtime.Stream(model, threshold_scale=0, refresh=0, isa="ref"),
    ]
    for frame in random_clip(graph, seed, 6, dtype=dtype):
        want = dense.push(frame)
        for stream in gated:
            got = stream.push(frame)
            for name in want:
                assert got[name].tobytes() == want[name].tobytes(), name


@LONG
@given(seed=SEEDS)
def test_refresh_gives_the_dense_result_and_a_still_clip_costs_nothing(seed: int) -> None:
    graph = GraphMaker(seed, exact=False).graph
    model = runtime.Model.from_bytes(to_bytes(graph))
    dense, gated = runtime.Stream(model, gating=False), runtime.Stream(model, refresh=2)
    clip = random_clip(graph, seed, 5)
    for index, frame in enumerate(clip):
        want, got = dense.push(frame), gated.push(frame)
        if index % 2 == 0:
            for name in want:
                assert got[name].tobytes() == want[name].tobytes(), name
    if got.macs == got.macs_dense:  # after a busy push everything is computed once more
        gated.push(clip[-1])
    for _ in range(5):
        result = gated.push(clip[-1])
        assert result.macs == 0
        assert gated.stats().computed == 0
        assert not any(changed.any() for changed in result.changed.values())


@pytest.mark.parametrize("seed", range(40))
def test_outputs_are_close_to_the_numpy_backend(seed: int) -> None:
    graph = GraphMaker(seed, exact=False).graph
    if any(getattr(node.attributes, "kind", None) in DISCRETE for node in graph.nodes if node.op == "reduce_channels"):
        pytest.skip("an arg max near a tie may fall either way")
    model = runtime.Model.from_bytes(to_bytes(graph))
    engine, oracle = runtime.Stream(model, gating=False), runtime.Stream(model, gating=False, backend="numpy")
    for frame in random_clip(graph, seed, 2):
        ours, theirs = engine.push(frame), oracle.push(frame)
        for name in ours:
            spread = 1e-4 + 1e-6 * np.abs(theirs[name]).max()  # large numbers may cancel
            np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-4, atol=spread)


def test_many_weights_on_a_small_map() -> None:
    """Interior pixels are packed with those at the edges where weights would be read once more for them."""
    _, graph = network(9, 9, 96, 96, (1, 1, 1, 1), gate=g.HoldGate(0.1))
    model = runtime.Model.from_bytes(to_bytes(graph))
    dense, gated = runtime.Stream(model, gating=False), runtime.Stream(model, threshold_scale=0)
    for frame in clip(9, 9, 96, 6):
        want, got = dense.push(frame), gated.push(frame)
        assert got["y"].tobytes() == want["y"].tobytes()
    assert got.macs < got.macs_dense
