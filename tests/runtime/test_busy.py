"""Busy pushes: gates cost more than they save, push after push, and everything is computed without being kept."""

from __future__ import annotations

import numpy as np
import pytest

import runtime
from converters.writer import to_bytes

from ..conftest import image_graph
from ..random_graphs import GraphMaker

BUSY_PUSHES = 64
ROWS, COLS, ALL = 96, 128, 96 * 128  # with fewer pixels it would not be worth a thought
SQUARES = {  # of so many pixels: a 3x3 convolution computes a pixel more on each side
    "s": np.s_[:36, :32],
    "t": np.s_[3:91, 3:91],  # 7744 pixels; 8100 computed ones cost 1.036 of all of them without gates
    "u": np.s_[3:73, 3:89],  # 6020, at least 0.8 / 1.036 of that
    "v": np.s_[3:68, 3:95],  # 5980, fewer
    "x": np.s_[3:83, 3:99],  # 7680, five eighths of all
    "y": np.s_[3:82, 3:100],  # 7663, fewer; 8019 cost 1.026
    "z": np.s_[1::3, 3:108],  # 3360; 10272 cost 1.314
}


def frames_of(graph, seed: int, kinds: str) -> list[list[np.ndarray]]:
    """Per letter a push: a changes all, n nothing, the others as many pixels as SQUARES says."""
    draw = np.random.default_rng(seed)
    extents = [graph.values[item.value].extents for item in graph.inputs]
    now = [draw.normal(size=each).astype(np.float32) for each in extents]
    clip = []
    for kind in kinds:
        for frame in now:
            if kind == "a":
                frame[...] = draw.normal(size=frame.shape)
            elif kind in SQUARES:
                frame[SQUARES[kind]] += 1
        clip.append([frame.copy() for frame in now])
    return clip


@pytest.mark.parametrize("block", range(3))
def test_outputs_equal_dense_ones_at_threshold_0(block: int) -> None:
    busy = smaller = 0
    for seed in range(block * 8, block * 8 + 8):
        graph = GraphMaker(seed, exact=False, nodes=30, large=True).graph
        model = runtime.Model.from_bytes(to_bytes(graph))
        dense = runtime.Stream(model, gating=False)
        gated = [runtime.Stream(model, threshold_scale=0, refresh=3, threads=threads) for threads in (1, 3)]
        for frame in frames_of(graph, seed, "aaaaassnaaasns"):
            want = dense.push(*frame)
            for stream in gated:
                got = stream.push(*frame)
                for name in want:
                    assert got[name].tobytes() == want[name].tobytes(), (seed, name)
                busy += got.macs == got.macs_dense > 0
                smaller += got.macs < got.macs_dense
    assert busy
    assert smaller


@pytest.mark.parametrize("backend", ["engine", "numpy"])
def test_nothing_is_decided_where_everything_changes(backend: str) -> None:
    graph = image_graph(alpha=1000, height=ROWS, width=COLS)
    stream = runtime.Stream(runtime.Model.from_bytes(to_bytes(graph)), backend=backend, refresh=0)
    found = []
    for frame in frames_of(graph, 0, "aaasssass"):
        result = stream.push(*frame)  # the gate never fires: what changes was not decided by it
        found.append("whole" if stream.changed_mask("conv").all() else round(result.macs / result.macs_dense, 1))
    small = 0.1
    assert found[:3] == ["whole", "whole", "whole"]
    assert found[3:6] == ["whole", small, small]  # what was not kept is computed once
    assert found[6:] == ["whole", "whole", small]  # nor was this


@pytest.mark.parametrize("backend", ["engine", "numpy"])
@pytest.mark.parametrize(
    ("kinds", "computed"),
    [
        ("attuuvv", [ALL, 8100, 8100, ALL, ALL, ALL, 6298]),  # the last ALL are what was not kept
        ("atststt", [ALL, 8100, 1221, 8100, 1221, 8100, 8100]),  # dear pushes must follow each other
        ("azzs", [ALL, 10272, ALL, ALL]),  # or cost a quarter more
        ("atnnn", [ALL, 8100, 0, 0, 0]),
        ("aaxxyy", [ALL, ALL, ALL, ALL, ALL, 8019]),  # nothing is known of costs where all changed at once
        ("att" + "t" * (BUSY_PUSHES + 2), [ALL, 8100, 8100] + [ALL] * (BUSY_PUSHES + 1) + [8100]),  # tried again
    ],
)
def test_busy_is_where_gates_cost_more_than_they_save(backend: str, kinds: str, computed: list[int]) -> None:
    graph = image_graph(height=ROWS, width=COLS)
    stream = runtime.Stream(runtime.Model.from_bytes(to_bytes(graph)), backend=backend, refresh=0)
    found = []
    for frame in frames_of(graph, 0, kinds):
        stream.push(*frame)
        found.append(stream.stats("conv").computed)
    assert found == computed


@pytest.mark.parametrize("backend", ["engine", "numpy"])
def test_gates_are_not_tried_while_everything_changes(backend: str) -> None:
    graph = image_graph(alpha=1000, height=ROWS, width=COLS)
    stream = runtime.Stream(runtime.Model.from_bytes(to_bytes(graph)), backend=backend, refresh=7)
    for frame in frames_of(graph, 0, "a" * (BUSY_PUSHES + 8)):
        stream.push(*frame)
        assert stream.stats("conv").changed == ROWS * COLS


@pytest.mark.parametrize("backend", ["engine", "numpy"])
def test_small_networks_are_never_busy(backend: str) -> None:
    stream = runtime.Stream(runtime.Model.from_bytes(to_bytes(image_graph())), backend=backend, refresh=0)
    for frame in frames_of(image_graph(), 0, "aaan"):
        stream.push(*frame)
    assert stream.stats("conv").computed == 0


@pytest.mark.parametrize("seed", range(12))
def test_still_pushes_between_others(seed: int) -> None:
    graph = GraphMaker(seed, exact=False, nodes=30, large=seed % 2 == 0).graph
    model = runtime.Model.from_bytes(to_bytes(graph))
    dense, gated = runtime.Stream(model, gating=False), runtime.Stream(model, threshold_scale=0, refresh=4)
    before: dict[str, bytes] = {}
    kinds = "annnsnnnsnasnn"
    for index, frame in enumerate(frames_of(graph, seed, kinds)):
        want, got = dense.push(*frame), gated.push(*frame)
        for name in want:
            assert got[name].tobytes() == want[name].tobytes(), (seed, name)
            if name in before and got[name].tobytes() != before[name]:
                assert got.changed[name].any(), (seed, name)
            before[name] = got[name].tobytes()
        if kinds[index - 1 : index + 1] == "nn":  # the first one may follow a busy push
            assert gated.stats().computed == got.macs == 0
            assert not any(changed.any() for changed in got.changed.values())
