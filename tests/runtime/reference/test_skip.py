"""Skip gates where the answer is known: small examples, the closed loop's invariant and its bound, drift."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import pytest

import runtime
from converters.writer import to_bytes
from runtime.reference import graph as g
from runtime.reference.ops import compute
from runtime.reference.stream import ReferenceStream

Floats = npt.NDArray[np.float32]
NORM, GUMBEL = g.SkipKind.NORM_INPUT, g.SkipKind.GUMBEL
CLOSED = {"update": g.SkipUpdate.RECOMPUTE, "reference": g.SkipReference.FIRED}


def conv_graph(
    gate: g.SkipGate,
    weights: Floats,
    size: tuple[int, int],
    *,
    stride: int = 1,
    bias: Floats | None = None,
    residual_bias: Floats | None = None,
    taps: Floats | None = None,
) -> g.Graph:
    """One gated convolution with padding kernel // 2; weights (kernel, kernel, C_in, C_out)."""
    kernel, _, channels, out = weights.shape
    pads = dict.fromkeys(("pad_top", "pad_left", "pad_bottom", "pad_right"), kernel // 2)
    rows, cols = ((side + 2 * (kernel // 2) - kernel) // stride + 1 for side in size)
    graph = g.Graph(inputs=[g.Input("x", "x", grey_level=0.0)], outputs=[g.Output("z", "z")])
    kinds = (("x", g.ValueKind.INPUT, (*size, channels)), ("z", g.ValueKind.NODE, (rows, cols, out)))
    for name, kind, extents in kinds:
        graph.values[name] = g.Value(name, kind, *extents, shape=extents, pixel_axes=(0, 1))
    inputs: list[str | None] = ["x"]
    for name, data in (("w", weights), ("b", bias), (None, None), ("gw", taps), ("rb", residual_bias)):
        inputs.append(name if data is not None else None)
        if name is not None and data is not None:
            shaped = data if data.ndim == 4 else data.reshape(1, 1, -1)
            graph.values[name] = g.Value(name, g.ValueKind.CONSTANT, 1, 1, data.size, data=shaped.astype(np.float32))
    conv = g.Conv2d(kernel, kernel, stride_h=stride, stride_w=stride, **pads)
    graph.nodes.append(g.Node("conv", conv, inputs, "z", gate=gate))
    return graph


def stream_of(graph: g.Graph, backend: str, **options: object) -> runtime.Stream:
    return runtime.Stream(runtime.Model.from_bytes(to_bytes(graph)), backend=backend, **options)  # type: ignore[arg-type]


def frame(*pixels: tuple[int, int, float], size: tuple[int, int] = (4, 6)) -> Floats:
    out = np.zeros((*size, 1), np.float32)
    for row, col, value in pixels:
        out[row, col] = value
    return out


ONE = np.full((1, 1, 1, 1), 2, np.float32)


def test_fires_above_eps_and_halves_at_eps(backend: str) -> None:
    gate = g.SkipGate(NORM, eps=0.5, scale=0.5, floor=True, half=True)
    stream = stream_of(conv_graph(gate, ONE, (4, 6)), backend)
    stream.push(frame())
    result = stream.push(frame((0, 0, 0.99998), (0, 1, -1.0), (0, 2, 1.00001), (0, 3, 1.1)))
    assert stream.gate_map("conv")[0].tolist() == [0, 0.5, 0.5, 1, 0, 0]
    np.testing.assert_array_equal(result["z"][0, :, 0], np.float32([0, -1, 1.00001, 2.2, 0, 0]))
    stats = stream.stats("conv")
    assert (stats.macs, stats.macs_official, stats.macs_gate) == (3, 2, 0)


def test_without_floor_and_half_eps_itself_does_not_fire(backend: str) -> None:
    stream = stream_of(conv_graph(g.SkipGate(NORM, eps=0.5, scale=0.5), ONE, (4, 6)), backend)
    stream.push(frame())
    stream.push(frame((0, 1, -1.0), (0, 2, 1.00001)))
    assert stream.gate_map("conv")[0].tolist() == [0, 0, 1, 0, 0, 0]


def test_the_last_reference_forgets_what_it_skipped(backend: str) -> None:
    stream = stream_of(conv_graph(g.SkipGate(NORM, eps=0.5, scale=1), ONE, (4, 6)), backend)
    for value in (0.0, 0.4, 0.8, 1.2):
        result = stream.push(frame((1, 1, value)))
    assert result["z"][1, 1, 0] == 0
    assert stream.push(frame((1, 1, 2.2)))["z"][1, 1, 0] == 2  # the last step alone
    closed = stream_of(conv_graph(g.SkipGate(NORM, eps=0.5, scale=1, **CLOSED), ONE, (4, 6)), backend)
    for value, z in ((0.0, 0.0), (0.4, 0.0), (0.75, 1.5), (1.25, 1.5), (1.5, 3.0)):
        assert closed.push(frame((1, 1, value)))["z"][1, 1, 0] == z


def test_recompute_takes_the_whole_input_of_fired_outputs(backend: str) -> None:
    gate = g.SkipGate(NORM, eps=0.5, scale=1, update=g.SkipUpdate.RECOMPUTE)
    stream = stream_of(conv_graph(gate, ONE, (4, 6)), backend)
    for value, z in ((0.0, 0.0), (0.4, 0.0), (0.8, 0.0), (1.5, 3.0)):
        assert stream.push(frame((1, 1, value)))["z"][1, 1, 0] == z


def test_a_block_fires_whole_and_the_last_is_cut_off(backend: str) -> None:
    gate = g.SkipGate(NORM, eps=0.5, scale=1, block=4)
    stream = stream_of(conv_graph(gate, ONE, (6, 6)), backend)
    stream.push(frame(size=(6, 6)))
    stream.push(frame((5, 5, 1.0), (0, 0, 0.25), size=(6, 6)))
    want = np.zeros((6, 6))
    want[4:, 4:] = 1
    np.testing.assert_array_equal(stream.gate_map("conv"), want)
    assert stream.stats("conv").computed == 4


def test_gumbel_counts_its_own_convolution(backend: str) -> None:
    taps = np.zeros((1, 1, 1, 9), np.float32)
    taps[0, 0, 0, 3] = 2.0  # looks one pixel to the left
    weights = np.ones((3, 3, 1, 2), np.float32)
    stream = stream_of(conv_graph(g.SkipGate(GUMBEL, bias=-1), weights, (4, 6), taps=taps), backend)
    stream.push(frame())
    stream.push(frame((2, 1, -0.5), (0, 5, 9.0), (3, 3, 0.25)))
    want = np.zeros((4, 6))
    want[2, 2] = 1
    np.testing.assert_array_equal(stream.gate_map("conv"), want)
    stats = stream.stats("conv")
    assert (stats.macs, stats.macs_official, stats.macs_gate) == (18, 18 + 24 * 9, 3 * 9)


@pytest.mark.parametrize("gate", [g.SkipGate(GUMBEL, bias=0), g.SkipGate(NORM, eps=-1, scale=1)])
def test_a_gate_that_passes_zero_is_evaluated_everywhere(gate: g.SkipGate, backend: str) -> None:
    assert gate.fires_on_zero
    taps = np.zeros((1, 1, 1, 1), np.float32) if gate.kind == GUMBEL else None
    one = np.ones(1, np.float32)
    graph = conv_graph(gate, ONE, (4, 6), bias=one, residual_bias=one, taps=taps)
    stream = stream_of(graph, backend, refresh=2)
    for t in range(4):  # the official module adds its bias again in every frame
        assert (stream.push(frame())["z"] == 1 + t).all()
        assert stream.stats("conv").computed == 24
    dense = stream_of(graph, backend, gating=False)
    for _ in range(3):
        assert (dense.push(frame())["z"] == 1).all()
    assert not dataclasses.replace(gate, **CLOSED).fires_on_zero


def test_starts_anew_before_every_reset(backend: str) -> None:
    gate = g.SkipGate(NORM, eps=9, scale=1, reset=3)
    stream = stream_of(conv_graph(gate, ONE, (4, 6)), backend)
    got = [float(stream.push(frame((0, 0, t)))["z"][0, 0, 0]) for t in (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0)]
    assert got == [2, 2, 2, 8, 8, 8, 14]
    assert stream.stats("conv").macs_official == 24
    assert (stream.gate_map("conv") == 1).all()
    assert stream.changed_mask("conv").sum() == 1
    stream.reset()
    assert stream.push(frame((0, 0, 8.0)))["z"][0, 0, 0] == 16


def test_a_reset_ends_what_a_closed_loop_held_back(backend: str) -> None:
    gate = g.SkipGate(NORM, eps=0.5, scale=1, reset=2, **CLOSED)
    stream = stream_of(conv_graph(gate, np.ones((3, 3, 1, 1), np.float32), (1, 6)), backend, refresh=0)
    held, fired = frame((0, 0, 0.25), size=(1, 6)), frame((0, 0, 0.25), (0, 2, 9.0), size=(1, 6))
    computed = []
    for image in (frame(size=(1, 6)), held, held, fired):
        stream.push(image)
        computed.append(stream.stats("conv").computed)
    assert computed == [6, 0, 6, 3]  # the last: not the outputs that see pixel 0


def test_only_skip_gates_have_a_map(backend: str) -> None:
    stream = stream_of(conv_graph(g.SkipGate(NORM, eps=1, scale=1), ONE, (4, 6)), backend)
    with pytest.raises(runtime.StateError, match=r"pushed|now"):
        stream.gate_map("conv")
    with pytest.raises(runtime.ArgumentError, match="no node with a skip gate is named 'x'"):
        stream.gate_map("x")


def noisy_clip(rng: np.random.Generator, size: tuple[int, int], channels: int, frames: int) -> list[Floats]:
    """A slow ramp, noise and a moving block."""
    base = rng.normal(0, 1, (*size, channels))
    clip = []
    for t in range(frames):
        image = base + 0.002 * t + rng.normal(0, 0.01, base.shape) * (rng.random(size) < 0.3)[..., None]
        image[t % size[0], : size[1] // 2] += 1
        clip.append(image.astype(np.float32))
    return clip


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("block", [1, 4])
def test_closed_loop_stays_within_its_bound(stride: int, block: int, backend: str, rng: np.random.Generator) -> None:
    """|z - conv(x)| <= max |w| * eps / scale: the window's sum of |x - x0| is at most eps / scale after each push."""
    weights = rng.normal(0, 0.2, (3, 3, 4, 5)).astype(np.float32)
    gate = g.SkipGate(NORM, eps=0.3, scale=1, block=block, **CLOSED)
    graph = conv_graph(gate, weights, (13, 17), stride=stride, bias=np.ones(5, np.float32))
    stream, dense = stream_of(graph, backend, refresh=0), stream_of(graph, backend, gating=False)
    bound = float(np.abs(weights).max()) * gate.eps
    worst, computed = 0.0, []
    for image in noisy_clip(rng, (13, 17), 4, 40):
        error = np.abs(stream.push(image)["z"] - dense.push(image)["z"]).max()
        worst = max(worst, float(error))
        computed.append(stream.stats("conv").computed)
    assert bound * 0.05 < worst <= bound + 1e-5
    assert np.mean(computed[1:]) < 0.9 * computed[0]


def test_closed_loop_output_is_the_convolution_of_its_reference(rng: np.random.Generator) -> None:
    weights = rng.normal(0, 0.2, (3, 3, 4, 5)).astype(np.float32)
    relu = g.ActivationSpec(g.Activation.RELU)
    gates = [g.SkipGate(NORM, eps=0.3, scale=1, **CLOSED), g.SkipGate(GUMBEL, bias=-0.5, **CLOSED)]
    for gate in gates:
        taps = rng.normal(0.1, 0.2, (1, 1, 4, 9)).astype(np.float32) if gate.kind == GUMBEL else None
        graph = conv_graph(gate, weights, (13, 17), bias=np.ones(5, np.float32), taps=taps)
        graph.nodes[0].activation = relu
        stream = ReferenceStream(graph, refresh=7)
        behind = 0
        for image in noisy_clip(rng, (13, 17), 4, 20):
            stream.push([image])
            skip = stream._states[0].skip
            assert skip is not None
            reference = skip._reference
            behind += int((reference != image).any())
            want = compute(graph.nodes[0].attributes, [reference, weights, graph.values["b"].data], None, relu)
            assert want.tobytes() == stream.output(0).tobytes()
        assert 10 < behind < 20  # equal after the first push and each refresh


def test_closed_residuals_follow_the_recomputed_ones(backend: str, rng: np.random.Generator) -> None:
    weights = rng.normal(0, 0.2, (3, 3, 4, 5)).astype(np.float32)
    gate = g.SkipGate(NORM, eps=0.3, scale=1, **CLOSED)
    exact = stream_of(conv_graph(gate, weights, (13, 17)), backend)
    gate = dataclasses.replace(gate, update=g.SkipUpdate.RESIDUAL)
    added = stream_of(conv_graph(gate, weights, (13, 17)), backend)
    for image in noisy_clip(rng, (13, 17), 4, 40):
        np.testing.assert_allclose(added.push(image)["z"], exact.push(image)["z"], atol=1e-5)
        np.testing.assert_array_equal(added.gate_map("conv"), exact.gate_map("conv"))


def test_threshold_scale_and_refresh_reach_closed_loops_only(backend: str, rng: np.random.Generator) -> None:
    weights = rng.normal(0, 0.2, (3, 3, 4, 5)).astype(np.float32)
    clip = noisy_clip(rng, (13, 17), 4, 9)
    official = conv_graph(g.SkipGate(NORM, eps=0.3, scale=1), weights, (13, 17))
    closed = conv_graph(g.SkipGate(NORM, eps=0.3, scale=1, **CLOSED), weights, (13, 17))
    runs = [stream_of(official, backend, threshold_scale=scale, refresh=r) for scale, r in ((1, 0), (0, 0), (3, 2))]
    for image in clip:
        first, *others = (stream.push(image)["z"].tobytes() for stream in runs)
        assert others == [first, first]
    dense, exact, low, high, renewed = (
        stream_of(closed, backend, **options)  # type: ignore[arg-type]
        for options in (
            {"gating": False},
            {"threshold_scale": 0.0, "refresh": 0},
            {"threshold_scale": 0.5, "refresh": 0},
            {"threshold_scale": 2.0, "refresh": 0},
            {"refresh": 4},
        )
    )
    for t, image in enumerate(clip):
        want = dense.push(image)["z"].tobytes()
        assert exact.push(image)["z"].tobytes() == want
        assert (renewed.push(image)["z"].tobytes() == want) == (t % 4 == 0)
        low.push(image)
        high.push(image)
    assert low.stats().macs_total > high.stats().macs_total > 0


def test_slow_brightening_drifts_officially_and_not_in_a_closed_loop(backend: str) -> None:
    """300 frames, 0.004 brighter each: below the threshold from frame to frame, far above it in all."""
    weights = np.full((3, 3, 3, 4), 0.1, np.float32)
    official = g.SkipGate(NORM, eps=0.05, scale=1 / (9 * 12), floor=True, half=True)
    closed = dataclasses.replace(official, half=False, **CLOSED)
    streams = [stream_of(conv_graph(gate, weights, (12, 16)), backend, refresh=0) for gate in (official, closed)]
    dense = stream_of(conv_graph(official, weights, (12, 16)), backend, gating=False)
    image = np.random.default_rng(0).random((12, 16, 3)).astype(np.float32)
    bound = 0.1 * (closed.eps + 1e-5) / closed.scale
    errors = []
    for t in range(300):
        want = dense.push(image + np.float32(0.004 * t))["z"]
        errors.append([float(np.abs(s.push(image + np.float32(0.004 * t))["z"] - want).max()) for s in streams])
    drift, held = np.array(errors).T
    assert (np.diff(drift) > 0).all()  # never corrected
    assert drift[-1] == pytest.approx(0.1 * 27 * 0.004 * 299, rel=1e-3)
    assert drift[-1] > 5 * bound
    assert 0.5 * bound < held.max() <= bound + 1e-4


def random_gate(rng: np.random.Generator) -> g.SkipGate:
    """A gate whose values are small multiples of powers of two, so that both backends decide alike."""
    kind = g.SkipKind(int(rng.integers(2, 5)))
    update, reference = g.SkipUpdate(int(rng.integers(2))), g.SkipReference(int(rng.integers(2)))
    common = {"update": update, "reference": reference, "reset": int(rng.choice([0, 0, 5]))}
    block = int(rng.choice([1, 2, 4]))
    if kind == GUMBEL:
        return g.SkipGate(kind, bias=float(rng.integers(-9, 2)), block=block, **common)
    half = update == g.SkipUpdate.RESIDUAL and reference == g.SkipReference.LAST
    eps, scale = float(rng.integers(-1, 6)) / 2, float(2.0 ** rng.integers(-3, 1))
    return g.SkipGate(kind, eps=eps, scale=scale, block=block, floor=bool(rng.random() < 0.5), half=half, **common)


@pytest.mark.parametrize("seed", range(80))
def test_both_backends_decide_and_count_alike(seed: int) -> None:
    """Single layers with much change at every edge, and now and then a frame without any."""
    rng = np.random.default_rng(seed)
    gate, kernel, channels = random_gate(rng), int(rng.choice([1, 3, 3, 5])), int(rng.integers(1, 20))
    weights = rng.integers(-2, 3, (kernel, kernel, channels, int(rng.integers(1, 20)))).astype(np.float32)
    taps = rng.integers(-1, 3, (1, 1, channels, kernel * kernel)).astype(np.float32) if gate.kind == GUMBEL else None
    size, stride = (int(rng.integers(5, 9)), int(rng.integers(5, 9))), int(rng.choice([1, 1, 2]))
    graph = conv_graph(gate, weights, size, stride=stride, taps=taps)
    scale, refresh = float(rng.choice([0.5, 1.0, 2.0])), int(rng.choice([0, 4]))
    streams = [stream_of(graph, b, threshold_scale=scale, refresh=refresh) for b in ("engine", "numpy")]
    image = rng.integers(-3, 4, (*size, channels)).astype(np.float32)
    for _ in range(12):
        where = rng.random(size) < rng.choice([0, 0.1, 0.3])
        image = np.where(where[..., None], image + rng.integers(-1, 2, image.shape), image).astype(np.float32)
        ours, theirs = (stream.push(image)["z"] for stream in streams)
        assert ours.tobytes() == theirs.tobytes()
        np.testing.assert_array_equal(*(stream.gate_map("conv") for stream in streams))
        np.testing.assert_array_equal(*(stream.changed_mask("conv") for stream in streams))
        assert streams[0].stats("conv") == streams[1].stats("conv")
