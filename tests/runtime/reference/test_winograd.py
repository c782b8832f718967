"""Winograd's algorithm in NumPy: what it computes, how close it comes, and that the engine has its bits."""

from __future__ import annotations

import numpy as np
import pytest

import runtime
from converters.writer import to_bytes
from runtime.reference import graph as g
from runtime.reference.ops import compute
from runtime.reference.winograd import restore_weights, transform_compact, transform_weights

RELU = g.ActivationSpec(g.Activation.RELU)
GATE = g.HoldGate(0.1)


def network(
    rows: int,
    cols: int,
    channels: int,
    out: int,
    pads: tuple[int, int, int, int],
    form: type[g.WinogradConv2d] = g.WinogradConv2d,
    **node: object,
) -> tuple[g.Graph, g.Graph]:
    """One convolution by Winograd and the same in direct form."""
    rng = np.random.default_rng(rows * 1000 + cols)
    weights = (rng.normal(size=(3, 3, channels, out)) / np.sqrt(9 * channels)).astype(np.float32)
    shape = {"shape": (1, channels, rows, cols), "pixel_axes": (2, 3)}
    extents = (rows + pads[0] + pads[2] - 2, cols + pads[1] + pads[3] - 2, out)
    graphs = []
    stored = weights if form is g.CompactWinogradConv2d else transform_weights(weights)
    for kind, data in ((form, stored), (g.Conv2d, weights)):
        values = [
            g.Value("x", g.ValueKind.INPUT, rows, cols, channels, **shape),  # type: ignore[arg-type]
            g.Value("w", g.ValueKind.CONSTANT, 1, 1, data.size, data=data),
            g.Value("b", g.ValueKind.CONSTANT, 1, 1, out, data=rng.normal(size=out).astype(np.float32)),
            g.Value("y", g.ValueKind.NODE, *extents, shape=(1, out, *extents[:2]), pixel_axes=(2, 3)),
        ]
        attributes = kind(3, 3, pad_top=pads[0], pad_left=pads[1], pad_bottom=pads[2], pad_right=pads[3])
        conv = g.Node("conv", attributes, ["x", "w", "b"], "y", RELU, **node)  # type: ignore[arg-type]
        graphs.append(g.Graph({v.name: v for v in values}, [conv], [g.Input("x", "x")], [g.Output("y", "y")]))
    graphs[1].values["b"] = graphs[0].values["b"]
    return graphs[0], graphs[1]


def clip(rows: int, cols: int, channels: int, count: int) -> list[np.ndarray]:
    """Frames in which a few random pixels change."""
    rng = np.random.default_rng(cols)
    frame = rng.normal(size=(rows, cols, channels)).astype(np.float32)
    frames = [frame]
    for _ in range(count - 1):
        frame = np.where(rng.random((rows, cols, 1)) < 0.04, rng.normal(size=frame.shape), frame).astype(np.float32)
        frames.append(frame)
    return frames


SAME = (1, 1, 1, 1)
SHAPES = [  # rows, cols, C_in, C_out, pads
    (1, 1, 1, 1, SAME),
    (5, 7, 3, 2, SAME),
    (4, 4, 16, 16, SAME),
    (3, 3, 2, 5, (0, 0, 0, 0)),
    (9, 6, 70, 33, SAME),
    (13, 21, 17, 70, (2, 0, 1, 3)),
    (8, 70, 32, 48, SAME),
    (6, 9, 200, 20, SAME),
    (1, 12, 4, 4, (1, 0, 3, 2)),
]
FORMS = (g.WinogradConv2d, g.CompactWinogradConv2d)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("rows", "cols", "channels", "out", "pads"), SHAPES)
def test_engine_and_numpy_have_the_same_bits_and_come_close_to_direct_form(
    rows: int, cols: int, channels: int, out: int, pads: tuple[int, int, int, int], form: type[g.WinogradConv2d]
) -> None:
    graphs = network(rows, cols, channels, out, pads, form)
    model, direct = (runtime.Model.from_bytes(to_bytes(each)) for each in graphs)
    streams = {
        "best": runtime.Stream(model, gating=False),
        "ref": runtime.Stream(model, gating=False, isa="ref"),
        "numpy": runtime.Stream(model, gating=False, backend="numpy"),
        "threads": runtime.Stream(model, gating=False, threads=2),
    }
    plain = runtime.Stream(direct, gating=False)
    for frame in clip(rows, cols, channels, 2):
        results = {name: stream.push(frame)["y"] for name, stream in streams.items()}
        for name, result in results.items():
            assert result.tobytes() == results["best"].tobytes(), name
        want = plain.push(frame)["y"].astype(np.float64)
        error = np.linalg.norm(results["best"] - want) / max(float(np.linalg.norm(want)), 1e-30)
        assert error < 3e-6


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("block", [1, 2, 4, 8])
@pytest.mark.parametrize(("rows", "cols", "channels", "out", "pads"), SHAPES)
def test_gated_at_scale_0_equals_dense(
    rows: int,
    cols: int,
    channels: int,
    out: int,
    pads: tuple[int, int, int, int],
    block: int,
    form: type[g.WinogradConv2d],
) -> None:
    graph, _ = network(rows, cols, channels, out, pads, form, gate=g.HoldGate(0.5, block=block))
    model = runtime.Model.from_bytes(to_bytes(graph))
    dense = runtime.Stream(model, gating=False)
    exact = [
        runtime.Stream(model, threshold_scale=0, refresh=0),
        runtime.Stream(model, threshold_scale=0, refresh=2, threads=2),
        runtime.Stream(model, threshold_scale=0, refresh=0, isa="ref"),
    ]
    refreshed = runtime.Stream(model, refresh=1)
    for frame in clip(rows, cols, channels, 6):
        want = dense.push(frame)["y"].tobytes()
        for stream in [*exact, refreshed]:
            assert stream.push(frame)["y"].tobytes() == want


def test_what_is_computed_and_what_a_refresh_makes_good() -> None:
    graph, _ = network(12, 20, 3, 4, SAME, gate=GATE)
    model = runtime.Model.from_bytes(to_bytes(graph))
    macs = 9 * 3 * 4
    for backend in ("engine", "numpy"):
        gated, exact, dense = (
            runtime.Stream(model, backend=backend, **options)
            for options in ({"refresh": 4}, {"refresh": 0, "threshold_scale": 0}, {"gating": False})
        )
        frame = np.zeros((12, 20, 3), np.float32)
        counts = []
        for row, col in ((0, 0), (5, 6), (7, 11), (7, 11), (7, 11)):
            frame[row, col] += 1
            results = [stream.push(frame) for stream in (gated, exact, dense)]
            counts.append([result.macs / macs for result in results[:2]])
            assert results[1]["y"].tobytes() == results[2]["y"].tobytes()
        assert results[0]["y"].tobytes() == results[2]["y"].tobytes()
        assert counts[1] == [9, 16]  # outputs (4..6, 5..7) lie in one tile
        assert counts[2] == counts[3] == [9, 4 * 16]  # outputs (6..8, 10..12) in four
        assert counts[4] == [5 * 16, 4 * 16]  # the refresh computes all five tiles


def test_a_pixel_outside_the_window_may_change_in_its_last_bits() -> None:
    """Why candidates are whole tiles; without that, gated streams would not equal dense ones."""
    graph, _ = network(4, 4, 8, 8, SAME)
    conv, values = graph.nodes[0], graph.values
    frame = clip(4, 4, 8, 1)[0]
    before = compute(conv.attributes, [frame, values["w"].data, values["b"].data])
    frame[3, 3] += 1
    after = compute(conv.attributes, [frame, values["w"].data, values["b"].data])
    assert np.abs(after - before)[:2, :2].max() < 1e-5
    assert (after != before)[:2, :2].any()


def test_weights_come_back() -> None:
    weights = np.random.default_rng(0).normal(size=(3, 3, 5, 7)).astype(np.float32)
    np.testing.assert_allclose(restore_weights(transform_weights(weights)), weights, rtol=1e-5, atol=1e-6)


def test_compact_weights_become_the_same_transformed_ones() -> None:
    weights = np.random.default_rng(0).normal(size=(3, 3, 5, 7)).astype(np.float32)
    points = [0, 5 / 8, -5 / 8, 3 / 2, -3 / 2]
    scales = [1 / np.prod([p - other for other in points if other != p]) for p in points] + [1]
    made = transform_compact(weights) * np.outer(scales, scales)[:, :, None, None]
    np.testing.assert_allclose(made, transform_weights(weights), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("backend", ["engine", "numpy"])
def test_work_counts_the_products_of_tiles(backend: str, form: type[g.WinogradConv2d]) -> None:
    graph, direct = network(10, 12, 2, 3, (1, 1, 1, 1), form, gate=GATE)
    frame = np.ones((10, 12, 2), np.float32)
    streams = [runtime.Stream(runtime.Model.from_bytes(to_bytes(each)), backend=backend) for each in (graph, direct)]
    tile, pixel = 36 * 2 * 3, 9 * 2 * 3
    for squares, pixels, change in ((9, 120, 0), (1, 4, (0, 0)), (4, 9, (4, 4)), (0, 0, ())):
        if change:
            frame[change] += 5
        for stream in streams:
            stream.push(frame)
        stats, other = (stream.stats() for stream in streams)
        assert (stats.work, stats.work_dense) == (squares * tile, 9 * tile)
        assert stats.macs == other.macs == other.work == pixels * pixel
        assert other.work_dense == 120 * pixel
