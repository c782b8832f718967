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


def block_graph(rng: np.random.Generator, gates: list[g.SkipGate]) -> g.Graph:
    """x, an expanding 1 x 1, a depthwise 3 x 3 and a projecting 1 x 1 convolution, a ReLU behind each but the last.

    The first leads, the others share; a further one has the leader's input. All numbers are small integers.
    """
    channels, wide = int(rng.integers(1, 6)), int(rng.integers(2, 20))
    rows, cols = int(rng.integers(5, 9)), int(rng.choice([6, 7, 70]))
    graph = g.Graph(inputs=[g.Input("x", "x", grey_level=0.0)])

    def value(name: str, kind: g.ValueKind, depth: int) -> str:
        graph.values[name] = g.Value(name, kind, rows, cols, depth, shape=(rows, cols, depth), pixel_axes=(0, 1))
        return name

    def constant(name: str, *shape: int) -> str:
        data = (rng.integers(-1, 2, shape) * (rng.random(shape) < 0.6)).astype(np.float32)
        extents = (1, 1, data.size) if data.ndim == 4 else data.shape
        graph.values[name] = g.Value(name, g.ValueKind.CONSTANT, *extents, data=data)
        return name

    x = value("x", g.ValueKind.INPUT, channels)
    relu = g.ActivationSpec(g.Activation.RELU)
    plan = (
        ("expand", x, 1, 1),
        ("depthwise", "expand.y", 3, wide),
        ("project", "depthwise.y", 1, 1),
        ("side", x, 3, 1),
    )
    for (name, source, kernel, groups), gate in zip(plan, gates, strict=True):
        depth = graph.values[source].channels
        pads = dict.fromkeys(("pad_top", "pad_left", "pad_bottom", "pad_right"), kernel // 2)
        inputs: list[str | None] = [source, constant(f"{name}.w", kernel, kernel, depth // groups, wide), None, None]
        inputs[2] = constant(f"{name}.b", 1, 1, wide)
        inputs.append(constant(f"{name}.g", 1, 1, depth, kernel * kernel) if gate.kind == GUMBEL else None)
        official = (gate.update, gate.reference) == (g.SkipUpdate.RESIDUAL, g.SkipReference.LAST)
        inputs.append(inputs[2] if official and rng.random() < 0.5 else None)
        attributes = g.Conv2d(kernel, kernel, **pads, groups=groups)
        graph.nodes.append(g.Node(name, attributes, inputs, value(name, g.ValueKind.NODE, wide), gate=gate))
        graph.nodes.append(g.Node(f"{name}.y", g.Unary(), [name], value(f"{name}.y", g.ValueKind.NODE, wide), relu))
        graph.outputs.append(g.Output(f"{name}.y", f"{name}.y"))
    return graph


def shared_gates(rng: np.random.Generator, leader: g.SkipGate) -> list[g.SkipGate]:
    """The leader of ``block_graph`` and three followers that update each in its way."""
    gates = [leader]
    for _ in range(3):
        update, reference = leader.update, leader.reference
        if not leader.half:
            update, reference = g.SkipUpdate(int(rng.integers(2))), g.SkipReference(int(rng.integers(2)))
        common = {"half": leader.half, "reset": leader.reset, "leader": "expand"}
        gates.append(g.SkipGate(g.SkipKind.SHARED, update=update, reference=reference, **common))  # type: ignore[arg-type]
    return gates


def changing_clip(rng: np.random.Generator, graph: g.Graph, frames: int) -> list[Floats]:
    """Frames of small integers in which few pixels change, and now and then none."""
    extents = graph.values["x"].extents
    clip = [rng.integers(-3, 4, extents).astype(np.float32)]
    for _ in range(frames - 1):
        where = rng.random(extents[:2]) < rng.choice([0, 0.05, 0.3])
        clip.append((clip[-1] + where[..., None] * rng.integers(-1, 2, extents)).astype(np.float32))
    return clip


@pytest.mark.parametrize("seed", range(120))
def test_both_backends_share_gates_alike(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = block_graph(rng, shared_gates(rng, random_gate(rng)))
    options = {"threshold_scale": float(rng.choice([0.0, 0.5, 1.0, 2.0])), "refresh": int(rng.choice([0, 4]))}
    streams = [stream_of(graph, "engine", threads=2, **options), stream_of(graph, "numpy", **options)]
    for image in changing_clip(rng, graph, 12):
        ours, theirs = (stream.push(image) for stream in streams)
        for name in ours:
            assert ours[name].tobytes() == theirs[name].tobytes(), name
        for name in ("expand", "depthwise", "project", "side"):
            np.testing.assert_array_equal(*(stream.gate_map(name) for stream in streams), name)
            np.testing.assert_array_equal(*(stream.changed_mask(name) for stream in streams), name)
            assert streams[0].stats(name) == streams[1].stats(name), name


def test_a_shared_gate_is_the_leaders_and_costs_nothing(backend: str) -> None:
    """By hand: the module's counter counts what fired, the engine computes what has a residual."""
    gates = [g.SkipGate(NORM, eps=1.5, scale=1), *[g.SkipGate(g.SkipKind.SHARED, leader="expand")] * 3]
    graph = block_graph(np.random.default_rng(3), gates)
    for node in graph.nodes:
        if isinstance(node.gate, g.SkipGate):
            node.inputs[g.RESIDUAL_BIAS] = None
    stream = stream_of(graph, backend, refresh=0)
    rows, cols, channels = graph.values["x"].extents
    image = np.zeros((rows, cols, channels), np.float32)
    stream.push(image)
    image[2, 3, 0] = 1  # too little
    stream.push(image)
    assert stream.stats().computed == 0
    image[2, 3, 0], image[4, 1, 0] = 3, 1
    stream.push(image)
    for name, taps in (("expand", 0), ("depthwise", 0), ("project", 0), ("side", 0)):
        assert np.argwhere(stream.gate_map(name)).tolist() == [[2, 3]]
        stats = stream.stats(name)
        assert stats.macs_official == stats.macs_dense // (rows * cols)
        assert (stats.macs_gate, stats.computed <= 1) == (taps, True)
    assert stream.stats("side").computed == 1  # its window holds a change, though only one output fired
    still = stream.push(image)
    assert stream.stats().macs == stream.stats().macs_official == 0
    assert not any(changed.any() for changed in still.changed.values())


def test_followers_compare_with_the_last_frame_whatever_the_leader_lets_through(backend: str) -> None:
    """What changed while the leader held is lost to a follower of the last frame, and made good by a closed one."""
    shared = g.SkipGate(g.SkipKind.SHARED, leader="z")
    for follower, want in ((shared, 2.0), (dataclasses.replace(shared, **CLOSED), 3.0)):
        graph = conv_graph(g.SkipGate(NORM, eps=0.5, scale=1), np.ones((1, 1, 1, 1), np.float32), (4, 6))
        graph.values["t"] = dataclasses.replace(graph.values["z"], name="t")
        graph.nodes.append(g.Node("follower", g.Conv2d(1, 1), ["x", "w", None, None, None, None], "t", gate=follower))
        graph.outputs.append(g.Output("t", "t"))
        stream = stream_of(graph, backend, refresh=0)
        for value, z in ((0.0, 0.0), (0.5, 0.0), (1.0, 0.0), (3.0, want)):
            assert stream.push(frame((1, 1, value)))["t"][1, 1, 0] == z


@pytest.mark.parametrize("seed", range(12))
def test_closed_shared_gates_at_threshold_0_and_in_a_refresh_are_dense(seed: int) -> None:
    rng = np.random.default_rng(seed)
    kinds = (g.SkipGate(NORM, eps=0.15, scale=1, **CLOSED), g.SkipGate(GUMBEL, bias=-0.15, block=2, **CLOSED))
    gates = [kinds[seed % 2], *[g.SkipGate(g.SkipKind.SHARED, leader="expand", **CLOSED)] * 3]  # type: ignore[arg-type]
    graph = block_graph(rng, gates)
    for node in graph.nodes:
        node.inputs = [*node.inputs[:5], None] if isinstance(node.gate, g.SkipGate) else node.inputs
    for item in graph.values.values():
        if item.data is not None:
            item.data = (item.data * rng.normal(1, 0.3, item.data.shape)).astype(np.float32)
    dense, exact, renewed = (
        stream_of(graph, "engine", **options)  # type: ignore[arg-type]
        for options in ({"gating": False}, {"threshold_scale": 0.0, "refresh": 0}, {"refresh": 3})
    )
    differ = 0
    for t, image in enumerate(changing_clip(rng, graph, 10)):
        image = image * np.float32(0.1)
        want, got, third = (stream.push(image) for stream in (dense, exact, renewed))
        for name in want:
            assert got[name].tobytes() == want[name].tobytes(), (t, name)
            assert t % 3 or third[name].tobytes() == want[name].tobytes(), (t, name)
            differ += third[name].tobytes() != want[name].tobytes()
    assert differ > 0
