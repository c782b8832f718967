"""Random small networks and clips for property tests.

Weights and frames are small integers and operators keep sums small, so that with ``exact=True`` every sum is exact in
float32, whatever its order: the engine and the NumPy backend must then agree bit for bit, gates included.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.reference import graph as g
from runtime.reference.ops import infer_extents, window_count
from runtime.reference.winograd import transform_weights

Array = npt.NDArray[Any]
EXACT_ACTIVATIONS = (
    g.ActivationSpec(),
    g.ActivationSpec(g.Activation.RELU),
    g.ActivationSpec(g.Activation.CLIP, (-6.0, 6.0)),
    g.ActivationSpec(g.Activation.LEAKY_RELU, (0.25,)),
    g.ActivationSpec(g.Activation.ABS),
    g.ActivationSpec(g.Activation.NEG),
    g.ActivationSpec(g.Activation.SIGN),
)
SMOOTH_ACTIVATIONS = (
    g.ActivationSpec(g.Activation.SILU, (1.0,)),
    g.ActivationSpec(g.Activation.SIGMOID),
    g.ActivationSpec(g.Activation.HARD_SWISH, (1 / 6, 0.5)),
    g.ActivationSpec(g.Activation.TANH),
    g.ActivationSpec(g.Activation.GELU),
    g.ActivationSpec(g.Activation.MISH),
    g.ActivationSpec(g.Activation.ELU, (1.0,)),
)


class GraphMaker:
    """Grows a random graph node by node from one image-like input.

    Args:
        seed: of the random numbers.
        exact: sums are exact in float32, whatever their order.
        nodes: at least so many.
        gates: some nodes are gated, by hold gates and by skip gates in a closed loop that recomputes.
        skips: skip gates are of all kinds, some shared; then threshold 0 and refreshes promise nothing.
        large: maps so large that dense streams run in strips, and mostly operators that can.
    """

    def __init__(
        self,
        seed: int,
        *,
        exact: bool = True,
        nodes: int = 8,
        gates: bool = True,
        skips: bool = False,
        large: bool = False,
    ) -> None:
        self.rng = np.random.default_rng(seed)
        self.exact = exact
        self.gates = gates
        self.skips = skips
        self.large = large
        self.graph = g.Graph()
        rows, cols, channels = (
            int(self.rng.integers(*((80, 200) if large else (3, 24)))),
            int(self.rng.integers(*((100, 240) if large else (3, 80)))),
            int(self.rng.integers(*((4, 8) if large else (1, 5)))),
        )
        self.graph.values["x"] = g.Value(
            "x", g.ValueKind.INPUT, rows, cols, channels, shape=(1, channels, rows, cols), pixel_axes=(2, 3)
        )
        self.graph.inputs.append(g.Input("x", "x", threshold=float(self.rng.integers(0, 4)), grey_level=1.0))
        self.running = ["x"]
        mixing = ("view", "transpose", "matmul", "reduce_pixels", "conv_transpose") if large else ()
        names = [name for name in dir(self) if name.startswith("step_") and name[5:] not in mixing]
        steps = [getattr(self, name) for name in names]
        while len(self.graph.nodes) < nodes:
            steps[int(self.rng.integers(len(steps)))]()
        last = self.graph.nodes[-1].output
        names = {last, *(n for n in self.running[1:] if self.rng.random() < 0.2)}
        for name in sorted(names, key=self.running.index):
            self.graph.outputs.append(g.Output(name, name))

    def pick(self) -> g.Value:
        """A value to read, recent ones more often."""
        weights = np.arange(1, len(self.running) + 1, dtype=float) ** 2
        return self.graph.values[str(self.rng.choice(self.running, p=weights / weights.sum()))]

    def constant(self, data: Array) -> str:
        name = f"c{len(self.graph.values)}"
        extents = (1, 1, data.size) if data.ndim in (1, 4) else data.shape
        self.graph.values[name] = g.Value(name, g.ValueKind.CONSTANT, *extents, data=data)
        return name

    def weights(self, *shape: int) -> str:
        if self.exact:
            return self.constant((self.rng.integers(-2, 3, shape) * (self.rng.random(shape) < 0.5)).astype(np.float32))
        return self.constant(self.rng.normal(0, 1, shape).astype(np.float32) / np.float32(np.sqrt(np.prod(shape[:-1]))))

    def activation(self) -> g.ActivationSpec:
        kinds: Sequence[g.ActivationSpec] = EXACT_ACTIVATIONS if self.exact else EXACT_ACTIVATIONS + SMOOTH_ACTIVATIONS
        return kinds[int(self.rng.integers(len(kinds)))]

    def gate(self) -> g.HoldGate | None:
        if not self.gates or self.rng.random() < 0.4:
            return None
        std = float(2.0 ** self.rng.integers(0, 4)) if self.exact or self.rng.random() < 0.3 else 0.0
        return g.HoldGate(
            alpha=float(2.0 ** self.rng.integers(-4, 1)),
            norm=g.GateNorm(int(self.rng.choice([0, 2] if self.exact else [0, 1, 2]))),
            block=int(self.rng.choice([1, 2, 4, 8])),
            std=std,
        )

    def skip_gate(self, channels: int, taps: int, out: int) -> tuple[g.SkipGate, list[str | None]]:
        """A skip gate, and the two inputs it adds to its convolution."""
        kind = g.SkipKind(int(self.rng.choice([2, 3, 4])))
        update, reference = g.SkipUpdate.RECOMPUTE, g.SkipReference.FIRED
        if self.skips:
            update, reference = g.SkipUpdate(int(self.rng.integers(2))), g.SkipReference(int(self.rng.integers(2)))
        official = (update, reference) == (g.SkipUpdate.RESIDUAL, g.SkipReference.LAST)
        block = int(self.rng.choice([1, 1, 2, 4, 8]))
        reset = int(self.rng.choice([0, 0, 3])) if self.skips else 0  # computes all, even of a still clip
        bias = self.weights(out) if official and self.rng.random() < 0.5 else None
        if kind == g.SkipKind.GUMBEL:
            limit = float(self.rng.choice([-16, -4, -1, 0, 2]))
            gate = g.SkipGate(kind, bias=limit, block=block, update=update, reference=reference, reset=reset)
            return gate, [self.weights(1, 1, channels, taps), bias]
        norm = g.SkipGate(
            kind,
            eps=float(self.rng.choice([-1, 0, 0.5, 1, 3])),
            scale=float(2.0 ** self.rng.integers(-5, 1)),
            block=block,
            update=update,
            reference=reference,
            floor=bool(self.rng.random() < 0.5),
            half=official and bool(self.rng.random() < 0.5),
            reset=reset,
        )
        return norm, [None, bias]

    def follow(self) -> None:
        """Now and then a convolution that shares the gate of one before, with a value of as many pixels as input."""
        leaders = [n for n in self.graph.nodes if isinstance(n.gate, g.SkipGate) and n.gate.leader is None]
        if not leaders or self.rng.random() < 0.4:
            return
        leader = leaders[int(self.rng.integers(len(leaders)))]
        assert isinstance(leader.gate, g.SkipGate)
        pixels = self.graph.values[leader.output].extents[:2]
        fitting = [n for n in self.running if self.graph.values[n].extents[:2] == pixels]
        if not fitting:
            return
        x = self.graph.values[fitting[int(self.rng.integers(len(fitting)))]]
        update, reference = g.SkipUpdate.RESIDUAL, g.SkipReference.LAST
        if not leader.gate.half:
            update, reference = g.SkipUpdate(int(self.rng.integers(2))), g.SkipReference(int(self.rng.integers(2)))
        official = (update, reference) == (g.SkipUpdate.RESIDUAL, g.SkipReference.LAST)
        kernel, out = int(self.rng.choice([1, 3])), int(self.rng.integers(1, 20))
        pads = dict.fromkeys(("pad_top", "pad_left", "pad_bottom", "pad_right"), kernel // 2)
        bias = self.weights(out) if official and self.rng.random() < 0.5 else None
        activation = self.activation() if update == g.SkipUpdate.RECOMPUTE else g.ActivationSpec()
        inputs = [x.name, self.weights(kernel, kernel, x.channels, out), self.weights(out), None, None, bias]
        common = {"half": leader.gate.half, "reset": leader.gate.reset, "leader": leader.output}
        gate = g.SkipGate(g.SkipKind.SHARED, update=update, reference=reference, **common)  # type: ignore[arg-type]
        self.add(g.Conv2d(kernel, kernel, **pads), inputs, activation=activation, skip=gate)

    def add(
        self,
        attributes: g.Attributes,
        inputs: list[str | None],
        extents: tuple[int, int, int] | None = None,
        activation: g.ActivationSpec | None = None,
        gated: bool = True,
        skip: g.SkipGate | None = None,
    ) -> None:
        values = [None if n is None else self.graph.values[n] for n in inputs]
        shapes = [
            None if v is None else v.extents if v.data is None or v.data.ndim != 4 else v.data.shape for v in values
        ]
        extents = extents or infer_extents(attributes, shapes)
        assert extents is not None
        rows, cols, channels = extents
        if min(extents) < 1 or rows * cols * channels > 20000:
            return
        name = f"v{len(self.graph.values)}"
        self.graph.values[name] = g.Value(
            name, g.ValueKind.NODE, rows, cols, channels, shape=(1, channels, rows, cols), pixel_axes=(2, 3)
        )
        gate: g.Gate | None = skip or (self.gate() if gated else None)
        self.graph.nodes.append(g.Node(name, attributes, inputs, name, activation or g.ActivationSpec(), gate))
        if self.exact and isinstance(attributes, (g.Conv2d, g.Matmul, g.ReducePixels, g.ReduceChannels)):
            # keep numbers small: exactness needs sums below 2^24 all the way down
            clip = g.ActivationSpec(g.Activation.CLIP, (-8.0, 8.0))
            self.running.append(name)
            if (
                not isinstance(attributes, g.ConvTranspose2d)
                and isinstance(attributes, g.Conv2d)
                and activation is None
            ):
                return
            self.running.pop()
            self.add(g.Unary(), [name], extents, clip)
            return
        self.running.append(name)

    def window(self, x: g.Value) -> dict[str, int]:
        """Random window geometry that fits."""
        kernel_h, kernel_w = (int(self.rng.integers(1, 5)) for _ in range(2))
        pads = {f"pad_{side}": int(self.rng.integers(0, 3)) for side in ("top", "left", "bottom", "right")}
        geometry = {
            "kernel_h": kernel_h,
            "kernel_w": kernel_w,
            "stride_h": int(self.rng.choice([1, 1, 2, 3])),
            "stride_w": int(self.rng.choice([1, 1, 2, 3])),
            "dilation_h": int(self.rng.choice([1, 1, 2])),
            "dilation_w": int(self.rng.choice([1, 1, 2])),
            **pads,
        }
        fits_h = x.rows + pads["pad_top"] + pads["pad_bottom"] > geometry["dilation_h"] * (kernel_h - 1)
        fits_w = x.cols + pads["pad_left"] + pads["pad_right"] > geometry["dilation_w"] * (kernel_w - 1)
        return geometry if fits_h and fits_w else {"kernel_h": 1, "kernel_w": 1}

    def step_conv(self) -> None:
        x = self.pick()
        groups = int(self.rng.choice([d for d in range(1, x.channels + 1) if x.channels % d == 0]))
        out = groups * int(self.rng.integers(1, 40 // groups + 2))
        if self.rng.random() < 0.3:
            groups = out = x.channels
        geometry = self.window(x)
        weights = self.weights(geometry["kernel_h"], geometry["kernel_w"], x.channels // groups, out)
        bias = self.weights(out) if self.rng.random() < 0.7 else None
        inputs: list[str | None] = [x.name, weights, bias]
        attributes = g.Conv2d(**geometry, groups=groups)
        extents = infer_extents(attributes, [x.extents, self.graph.values[weights].data.shape, None])  # type: ignore[union-attr]
        fitting = [n for n in self.running if self.graph.values[n].extents == extents]
        activation, skip = self.activation(), None
        if self.gates and self.rng.random() < 0.3:
            taps = geometry["kernel_h"] * geometry["kernel_w"]
            skip, more = self.skip_gate(x.channels, taps, out)
            inputs += [None, *more]
            activation = activation if skip.update == g.SkipUpdate.RECOMPUTE else g.ActivationSpec()
        elif fitting and self.rng.random() < 0.6:
            inputs.append(fitting[-1])
            attributes = g.Conv2d(**geometry, groups=groups, residual=int(self.rng.integers(1, 3)))
        self.add(attributes, inputs, activation=activation, skip=skip)
        if self.skips:
            self.follow()

    def step_conv_again(self) -> None:
        self.step_conv()

    def step_separable(self) -> None:
        """A depthwise convolution and a 1 x 1 convolution, which sometimes is not all that reads it."""
        x = self.pick()
        geometry = self.window(x)
        if x.channels < 2:
            return
        kernel = self.weights(geometry["kernel_h"], geometry["kernel_w"], 1, x.channels)
        bias = self.weights(x.channels) if self.rng.random() < 0.7 else None
        before = len(self.running)
        self.add(g.Conv2d(**geometry, groups=x.channels), [x.name, kernel, bias])
        if len(self.running) == before:
            return
        self.graph.nodes[-1].activation = self.activation()
        between = self.running[-1] if self.rng.random() < 0.2 else self.running.pop()
        out = int(self.rng.integers(1, 40))
        bias = self.weights(out) if self.rng.random() < 0.7 else None
        inputs: list[str | None] = [between, self.weights(1, 1, x.channels, out), bias]
        rows, cols, _ = self.graph.values[between].extents
        fitting = [n for n in self.running if self.graph.values[n].extents == (rows, cols, out)]
        residual = int(self.rng.integers(1, 3)) if fitting and self.rng.random() < 0.5 else 0
        inputs += [fitting[-1]] if residual else []
        self.add(g.Conv2d(1, 1, residual=residual), inputs, activation=self.activation())
        if self.graph.nodes[-1].output == between and between not in self.running:  # it had become too large
            self.running.append(between)

    def step_drifting(self) -> None:
        """A separable convolution whose first gate is decided by drift, behind one of three that hold by mean."""
        if not self.gates:
            return
        x, channels = self.pick(), int(self.rng.integers(2, 20))
        kind = int(self.rng.integers(3))
        pads = dict.fromkeys(("pad_top", "pad_left", "pad_bottom", "pad_right"), int(kind > 0))
        side = 3 if kind else 1
        shape = (side, side, x.channels, channels)
        if kind == 2:
            form, weights = self.winograd(x.channels, channels)
        else:
            form, weights = g.Conv2d, self.weights(*shape)
        attributes = form(side, side, **pads)
        rounded = g.ActivationSpec(g.Activation.ROUND) if self.exact and kind == 2 else self.activation()
        first = len(self.graph.nodes)
        made = self.chain(x.name, attributes, [weights, self.weights(channels)], rounded)
        if made is None:
            return
        geometry = self.window(self.graph.values[made])
        kernel = self.weights(geometry["kernel_h"], geometry["kernel_w"], 1, channels)
        between = self.chain(made, g.Conv2d(**geometry, groups=channels), [kernel, self.weights(channels)])
        if between is None:
            self.running.append(made)
            return
        for node in self.graph.nodes[first : first + 2]:
            std = float(2.0 ** self.rng.integers(0, 4)) if self.exact or self.rng.random() < 0.3 else 0.0
            alpha = float(2.0 ** self.rng.integers(-4, 1)) * float(self.rng.random() < 0.9)
            node.gate = g.HoldGate(alpha, std=std)
        out = int(self.rng.integers(1, 40))
        self.add(g.Conv2d(1, 1), [between, self.weights(1, 1, channels, out), None], activation=self.activation())
        if self.graph.nodes[-1].output == between:  # it had become too large
            self.running.append(between)

    def chain(
        self, x: str, attributes: g.Attributes, more: list[str | None], activation: g.ActivationSpec | None = None
    ) -> str | None:
        """A node whose output only the next one is to read; None if it had become too large."""
        before, running = len(self.graph.nodes), list(self.running)
        exact, self.exact = self.exact, False  # the last of them is followed by a clip
        self.add(attributes, [x, *more])
        self.exact, self.running = exact, running
        if len(self.graph.nodes) == before:
            return None
        node = self.graph.nodes[-1]
        node.activation, node.gate = activation or self.activation(), None
        return node.output

    def winograd(self, channels: int, out: int) -> tuple[type[g.Conv2d], str]:
        """One of the two forms, and its weights."""
        weights = self.weights(3, 3, channels, out)
        if self.rng.random() < 0.5:
            return g.CompactWinogradConv2d, weights
        plain = self.graph.values.pop(weights).data
        return g.WinogradConv2d, self.constant(transform_weights(plain))  # type: ignore[arg-type]

    def step_winograd(self) -> None:
        """Rounded where sums must be exact: Winograd's are not, but have the same bits in the NumPy backend."""
        x = self.pick()
        out = int(self.rng.integers(1, 40))
        pads = {f"pad_{side}": int(self.rng.choice([0, 1, 1, 1, 2])) for side in ("top", "left", "bottom", "right")}
        if x.rows + pads["pad_top"] + pads["pad_bottom"] < 3 or x.cols + pads["pad_left"] + pads["pad_right"] < 3:
            return
        form, weights = self.winograd(x.channels, out)
        inputs: list[str | None] = [x.name, weights, self.weights(out) if self.rng.random() < 0.7 else None]
        extents = (
            x.rows + pads["pad_top"] + pads["pad_bottom"] - 2,
            x.cols + pads["pad_left"] + pads["pad_right"] - 2,
            out,
        )
        fitting = [n for n in self.running if self.graph.values[n].extents == extents]
        residual = int(self.rng.integers(1, 3)) if fitting and self.rng.random() < 0.5 else 0
        inputs += [fitting[-1]] if residual else []
        activation = g.ActivationSpec(g.Activation.ROUND) if self.exact else self.activation()
        self.add(form(3, 3, **pads, residual=residual), inputs, activation=activation)

    def step_conv_transpose(self) -> None:
        x = self.pick()
        groups = int(self.rng.choice([1, 1, x.channels]))
        out = groups * int(self.rng.integers(1, 5))
        geometry = self.window(x) | {"pad_bottom": 0, "pad_right": 0}
        a = g.ConvTranspose2d(**geometry, groups=groups)
        rows = (
            (x.rows - 1) * a.stride_h + a.dilation_h * (a.kernel_h - 1) + 1 - a.pad_top + int(self.rng.integers(0, 2))
        )
        cols = (x.cols - 1) * a.stride_w + a.dilation_w * (a.kernel_w - 1) + 1 - a.pad_left
        weights = self.weights(a.kernel_h, a.kernel_w, x.channels // groups, out)
        self.add(a, [x.name, weights, self.weights(out)], (rows, cols, out), self.activation())

    def step_pool(self) -> None:
        x = self.pick()
        geometry = self.window(x)
        for side, kernel in (("top", "h"), ("bottom", "h"), ("left", "w"), ("right", "w")):
            if geometry.get(f"pad_{side}", 0) >= geometry[f"kernel_{kernel}"]:
                geometry[f"pad_{side}"] = 0
        kind = g.PoolKind.MAX if self.exact else g.PoolKind(int(self.rng.integers(2)))
        a = g.Pool(kind=kind, **geometry, count_include_pad=int(self.rng.integers(2)))
        rows = window_count(x.rows, a.kernel_h, a.stride_h, a.dilation_h, a.pad_top + a.pad_bottom)
        cols = window_count(x.cols, a.kernel_w, a.stride_w, a.dilation_w, a.pad_left + a.pad_right)
        if rows > 0 and cols > 0:
            self.add(a, [x.name], (rows, cols, x.channels))

    def step_reduce_pixels(self) -> None:
        x = self.pick()
        kind = self.rng.choice([g.Reduce.SUM, g.Reduce.MAX, g.Reduce.MIN] + ([] if self.exact else [g.Reduce.MEAN]))
        over = [(1, 1), (1, 0), (0, 1)][int(self.rng.integers(3))]
        self.add(g.ReducePixels(int(kind), *over), [x.name])

    def step_reduce_channels(self) -> None:
        x = self.pick()
        kind = self.rng.choice([g.Reduce.SUM, g.Reduce.MAX, g.Reduce.ARG_MAX, g.Reduce.ARG_MIN])
        count = int(self.rng.choice([d for d in range(1, x.channels + 1) if x.channels % d == 0]))
        self.add(g.ReduceChannels(int(kind), 1, count, x.channels // count, int(self.rng.integers(2))), [x.name])

    def step_softmax(self) -> None:
        x = self.pick()
        if not self.exact:
            self.add(g.Softmax(1, x.channels, 1, int(self.rng.integers(2))), [x.name])

    def step_unary(self) -> None:
        self.add(g.Unary(), [self.pick().name], activation=self.activation())

    def step_binary(self) -> None:
        x = self.pick()

        def fits(v: g.Value) -> bool:
            return all(b in (a, 1) for a, b in zip(x.extents, v.extents, strict=True))

        others = [n for n in self.running if fits(self.graph.values[n])]
        other = others[int(self.rng.integers(len(others)))]
        if self.rng.random() < 0.3:
            shape = [int(self.rng.choice([1, e])) for e in x.extents]
            other = self.constant(self.rng.integers(-3, 4, shape).astype(np.float32))
        kinds = [g.Binary.ADD, g.Binary.SUB, g.Binary.MAX, g.Binary.MIN, g.Binary.LESS, g.Binary.GREATER_EQUAL]
        kinds += [] if self.exact else [g.Binary.MUL, g.Binary.PRELU]
        pair: list[str | None] = [x.name, other] if self.rng.random() < 0.5 else [other, x.name]
        clip = g.ActivationSpec(g.Activation.CLIP, (-64.0, 64.0))
        self.add(g.BinaryOp(int(self.rng.choice(kinds))), pair, x.extents, clip)

    def step_where(self) -> None:
        x = self.pick()
        same = [n for n in self.running if self.graph.values[n].extents == x.extents]
        a, b = (same[int(self.rng.integers(len(same)))] for _ in range(2))
        self.add(g.Where(), [x.name, a, b], x.extents)

    def step_gather(self) -> None:
        x = self.pick()
        maps: list[str | None] = []
        extents = list(x.extents)
        phases = [1, 1]
        for axis in range(3):
            if self.rng.random() < 0.5:
                maps.append(None)
                continue
            if axis == 2:
                phases = [int(self.rng.integers(1, 3)), int(self.rng.integers(1, 3))]
            extents[axis] = int(self.rng.integers(1, 2 * extents[axis] + 1))
            count = extents[axis] * (phases[0] * phases[1] if axis == 2 else 1)
            table = self.rng.integers(-1, x.extents[axis], count)
            if self.large and axis == 0:
                table = np.sort(np.maximum(table, 0))
            maps.append(self.constant(table.astype(np.int32)))
        fill = float(self.rng.integers(-2, 3))
        self.add(g.Gather(*phases, fill), [x.name, *maps], (extents[0], extents[1], extents[2]))

    def step_split(self) -> None:
        """A range of channels, and often another node's output beside it."""
        x = self.pick()
        first = int(self.rng.integers(x.channels))
        count = int(self.rng.integers(1, x.channels - first + 1))
        channels = self.constant(np.arange(first, first + count).astype(np.int32))
        self.add(g.Gather(), [x.name, None, None, channels], (x.rows, x.cols, count))
        part, other = self.running[-1], self.pick()
        if self.graph.values[part].extents[:2] == other.extents[:2]:
            self.add(g.Concat(2), [other.name, part] if self.rng.random() < 0.5 else [part, other.name])

    def step_concat(self) -> None:
        x = self.pick()
        axis = int(self.rng.integers(3))

        def fits(v: g.Value) -> bool:
            return all(a == b for i, (a, b) in enumerate(zip(x.extents, v.extents, strict=True)) if i != axis)

        others: list[str | None] = [n for n in self.running if fits(self.graph.values[n])]
        picked = [others[int(self.rng.integers(len(others)))] for _ in range(int(self.rng.integers(1, 4)))]
        self.add(g.Concat(axis), [x.name, *picked])

    def step_resize(self) -> None:
        x = self.pick()
        taps = [int(self.rng.integers(1, 4)) for _ in range(2)]
        rows, cols = int(self.rng.integers(1, 2 * x.rows)), int(self.rng.integers(1, 2 * x.cols))
        inputs: list[str | None] = [x.name]
        for count, tap, extent in ((rows, taps[0], x.rows), (cols, taps[1], x.cols)):
            index = self.rng.integers(0, extent, count * tap)
            if self.large:
                index.sort()
            else:
                index[self.rng.random(count * tap) < 0.03] = -1
            weight = self.rng.integers(-4, 5, count * tap) / 8
            inputs += [self.constant(index.astype(np.int32)), self.constant(weight.astype(np.float32))]
        clip = (rows, cols, x.channels)
        self.add(g.ResizeOp(taps[0], taps[1], 1.0), inputs, clip)
        if self.exact and self.graph.nodes[-1].op == "resize":  # back to integers
            self.running.pop()
            spec = g.ActivationSpec(g.Activation.FLOOR)
            self.add(g.Unary(), [self.graph.nodes[-1].output], clip, spec)

    def step_view(self) -> None:
        x = self.pick()
        kind = int(self.rng.integers(3))
        extents = [(1, x.rows * x.cols, x.channels), (x.rows, 1, x.cols * x.channels), (x.cols, x.rows, x.channels)][
            kind
        ]
        self.add(g.View(), [x.name], extents, gated=False)

    def step_transpose(self) -> None:
        x = self.pick()
        perm = tuple(int(p) for p in self.rng.permutation(3))
        dims = x.extents
        out = tuple(dims[p] for p in perm)
        self.add(g.Transpose(3, dims, perm), [x.name], (out[0], out[1], out[2]))

    def step_matmul(self) -> None:
        a, b = self.pick(), self.pick()
        extents = (int(self.rng.choice([1, a.rows])), a.channels, int(self.rng.integers(1, 20)))
        maps = [
            self.constant(self.rng.integers(0, limit, count).astype(np.int32))
            for limit, count in zip(b.extents, extents, strict=True)
        ]
        self.add(g.Gather(), [b.name, *maps], extents)
        right = self.graph.nodes[-1].output
        if self.graph.values[right].extents == extents:
            self.add(g.Matmul(), [a.name, right], activation=self.activation())


def random_clip(graph: g.Graph, seed: int, frames: int, *, dtype: str = "float32") -> list[Array]:
    """Integer-valued frames for the graph's first input: a first one, then small changes, now and then none or all."""
    rng = np.random.default_rng(seed)
    extents = graph.values[graph.inputs[0].value].extents
    low, high = (-8, 9) if dtype == "float32" else (0, 17)
    frame = rng.integers(low, high, extents)
    clip = [frame.astype(dtype)]
    for _ in range(frames - 1):
        share = float(rng.choice([0.0, 0.01, 0.1, 1.0], p=[0.2, 0.4, 0.3, 0.1]))
        where = rng.random(extents[:2]) < share
        frame = np.where(where[..., None], np.clip(frame + rng.integers(-3, 4, extents), low, high - 1), frame)
        clip.append(frame.astype(dtype))
    return clip
