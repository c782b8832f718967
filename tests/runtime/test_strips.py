"""Dense streams compute sequences of nodes a few rows at a time: nothing but time and memory may tell."""

from __future__ import annotations

import numpy as np
import pytest

import runtime
from converters.writer import to_bytes

from ..random_graphs import GraphMaker, random_clip


@pytest.mark.parametrize("block", range(4))
def test_random_graphs_give_the_bits_of_whole_maps(block: int) -> None:
    """The first push of a gated stream computes node by node."""
    stripped = 0
    for seed in range(block * 12, block * 12 + 12):
        graph = GraphMaker(seed, exact=False, nodes=30, large=True).graph
        model = runtime.Model.from_bytes(to_bytes(graph))
        clip = random_clip(graph, seed, 2)
        dense = [runtime.Stream(model, gating=False, threads=threads) for threads in (1, 3)]
        for frame in clip:
            whole = runtime.Stream(model)
            want = whole.push(frame)
            for stream in dense:
                got = stream.push(frame)
                assert got.macs == want.macs
                for name in want:
                    assert got[name].tobytes() == want[name].tobytes(), (seed, name)
                for node in graph.nodes:
                    np.testing.assert_array_equal(stream.changed_mask(node.name), whole.changed_mask(node.name))
                    assert stream.stats(node.name).computed == whole.stats(node.name).computed
        stripped += dense[0].state_bytes < whole.state_bytes - 100_000
    assert stripped
