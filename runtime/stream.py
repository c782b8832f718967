"""Pushing frames through a model: ``Stream``, and what a push gives, ``Result``."""

from __future__ import annotations

import math
import os
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from . import _binding
from .errors import ArgumentError, StateError
from .model import InputInfo, Model, OutputInfo
from .reference.graph import SkipGate
from .reference.stream import ReferenceStream

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]
Frames = Array | Mapping[str, Array]


class _Backend(Protocol):
    """What executes the network; everything goes by index."""

    @property
    def state_bytes(self) -> int: ...
    def push(self, frames: Sequence[Array]) -> None: ...
    def output(self, index: int) -> Array: ...
    def input_mask(self, index: int) -> Mask: ...
    def node_mask(self, index: int) -> Mask: ...
    def output_mask(self, index: int) -> Mask: ...
    def gate_map(self, index: int) -> npt.NDArray[np.float32]: ...
    def macs(self) -> tuple[int, int]: ...
    def stats(self, node: int | None = None) -> dict[str, int]: ...
    def reset(self) -> None: ...


@dataclass(frozen=True)
class Stats:
    """Counters of a node or of the whole network.

    Attributes:
        frames: pushes since the stream was made or reset.
        macs_dense: multiply-accumulates of one dense frame.
        macs, macs_total: executed by the last push, by all pushes.
        pixels: output pixels of one dense frame.
        computed: output pixels that the last push computed.
        changed: those of them that were written, because their gate fired or a bit differed.
        refreshes: pushes that undid what gates had held back.
        macs_gate: of skip gates: executed by the gates themselves in the last push, not part of ``macs``.
        macs_official: of skip-gated nodes: what the official Skip-Conv module counts for the last push, with half gates
            counting half and its gates' convolutions at every output.
        work, work_dense: multiply-accumulates that kernels executed in the last push, and execute in a dense one:
            ``macs``, but a Winograd node's are the products of its tiles.
        nanoseconds: time of the last push, 0 unless the stream was made with ``profile=True``.
    """

    frames: int
    macs_dense: int
    macs: int
    macs_total: int
    pixels: int
    computed: int
    changed: int
    refreshes: int
    macs_gate: int
    macs_official: int
    work: int
    work_dense: int
    nanoseconds: int

    @property
    def skipped(self) -> float:
        """Share of the multiply-accumulates that the last push did not execute, 0 to 1."""
        return 1 - self.macs / self.macs_dense if self.macs_dense and self.frames else 0.0


@dataclass(frozen=True)
class Result(Mapping[str, Array]):
    """What a push gives: a mapping from output names to arrays.

    Attributes:
        outputs: read-only views in the source model's shape, valid until the next push; ``.copy()`` keeps one.
        changed: per output a bool array over its spatial axes, True where this push changed it. Where pixels cannot be
            tracked through the network, it is all or nothing.
        macs, macs_dense: multiply-accumulates executed, and those of a dense frame.
    """

    outputs: dict[str, Array]
    changed: dict[str, Mask]
    macs: int
    macs_dense: int

    @property
    def skipped(self) -> float:
        """Share of the multiply-accumulates not executed, 0 to 1."""
        return 1 - self.macs / self.macs_dense if self.macs_dense else 0.0

    def __getitem__(self, name: str) -> Array:
        return self.outputs[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.outputs)

    def __len__(self) -> int:
        return len(self.outputs)


class Stream:
    """One video through one network; keeps what earlier frames gave and recomputes what changed.

    A stream may be used by any thread, by one at a time.

    Args:
        model: a model, or the path of a `.fgm` file.
        threads: how many threads work on a push, the caller's included. Results do not depend on it.
        gating: False computes every frame dense.
        threshold_scale: multiplies all thresholds, the inputs' too; 0 is exact: equal to dense, bit for bit.
        refresh: undo what gates held back every so many pushes; 0 is never.
        backend: "engine", or "numpy" for the executable specification (slow).
        isa: "best", or "ref" for the scalar kernels. Results do not depend on it.
        profile: time every node; ``stats(node).nanoseconds`` tells.

    Raises:
        ArgumentError: an option is out of range.
        OSError, FormatError, VersionError, UnsupportedError: the file cannot be read or run.
        MemoryError: there is not enough memory for the stream's state.
    """

    def __init__(
        self,
        model: Model | str | os.PathLike[str],
        *,
        threads: int = 1,
        gating: bool = True,
        threshold_scale: float = 1.0,
        refresh: int = 32,
        backend: Literal["engine", "numpy"] = "engine",
        isa: Literal["best", "ref"] = "best",
        profile: bool = False,
    ) -> None:
        _check_options(threads, threshold_scale, refresh, backend, isa)
        self.model = model if isinstance(model, Model) else Model.load(model)
        self.backend = backend
        self.isa = "numpy"
        self.scratch_bytes = 0
        if backend == "engine" and self.model.engine is None:
            warnings.warn(
                "the compiled engine is missing, so this stream runs the slow NumPy backend: "
                f"run `python build.py develop` ({_binding.IMPORT_ERROR})",
                RuntimeWarning,
                stacklevel=2,
            )
            self.backend = "numpy"
        self._impl: _Backend
        if self.backend == "engine":
            assert self.model.engine is not None
            isa_mask = _binding.BEST_ISA if isa == "best" else _binding.SCALAR_ISA
            engine = _binding.EngineStream(
                self.model.engine,
                gating=gating,
                threshold_scale=threshold_scale,
                refresh=refresh,
                threads=threads,
                isa_mask=isa_mask,
                profile=profile,
            )
            self._impl = engine
            self.isa = _binding.isa_name(isa_mask)
            self.scratch_bytes = engine.scratch_bytes
        else:
            self._impl = ReferenceStream(
                self.model.graph, gating=gating, threshold_scale=threshold_scale, refresh=refresh
            )
        self._exclusive = _OneThread()
        self._layouts: dict[str, object] = {}  # per input: of the last frame that could be used as it was

    @property
    def state_bytes(self) -> int:
        """Bytes this stream keeps between pushes (the model's weights are shared and not counted)."""
        return self._impl.state_bytes

    def push(self, frame: Frames) -> Result:
        """Runs the network on the next frame of the video.

        Args:
            frame: (H, W, C) uint8 or float32; (H, W) will do for one channel. Any row stride, copied only if pixels
                are not contiguous within a row. An input that is no image takes the source model's own shape, with
                or without its leading 1. A network with several inputs takes a mapping from their names.

        Raises:
            ArgumentError: a frame has the wrong type or shape, or holds NaN or infinity. The stream is as before.
            StateError: another thread is using the stream.
        """
        frames = self._frames(frame)
        with self._exclusive:
            self._impl.push(frames)
            macs, macs_dense = self._impl.macs()
            outputs, changed = {}, {}
            for index, info in enumerate(self.model.outputs):
                outputs[info.name] = self._impl.output(index)
                changed[info.name] = _over_spatial_axes(self._impl.output_mask(index), info)
        return Result(outputs, changed, macs, macs_dense)

    def stats(self, node: str | None = None) -> Stats:
        """Counters of the node with that name, or of the whole network.

        Raises:
            ArgumentError: no such node.
        """
        names = [each.name for each in self.model.nodes]
        if node is not None and node not in names:
            raise ArgumentError(f"no node is named {node!r}")
        with self._exclusive:
            return Stats(**self._impl.stats(None if node is None else names.index(node)))

    def changed_mask(self, name: str) -> Mask:
        """Bool (rows, cols): where the node's output, or the network input, changed in the last push.

        Raises:
            ArgumentError: no node or input has that name.
        """
        nodes = [each.name for each in self.model.nodes]
        inputs = [each.name for each in self.model.inputs]
        if name not in nodes and name not in inputs:
            raise ArgumentError(f"no node or input is named {name!r}")
        with self._exclusive:
            if name in nodes:
                return self._impl.node_mask(nodes.index(name))
            return self._impl.input_mask(inputs.index(name))

    def gate_map(self, node: str) -> npt.NDArray[np.float32]:
        """Float32 (rows, cols): the skip gate's values in the last push, 0, 0.5 or 1; all 1 where it started anew.

        Raises:
            ArgumentError: no node with a skip gate has that name.
            StateError: nothing was pushed yet.
        """
        names = [each.name for each in self.model.nodes]
        if node not in names or not isinstance(self.model.graph.nodes[names.index(node)].gate, SkipGate):
            raise ArgumentError(f"no node with a skip gate is named {node!r}")
        with self._exclusive:
            return self._impl.gate_map(names.index(node))

    def reset(self) -> None:
        """Forgets all frames, as between two videos: the next push recomputes everything."""
        with self._exclusive:
            self._impl.reset()

    def _frames(self, frame: Frames) -> list[Array]:
        """One array per input, in the file's order and as the backends take them."""
        inputs = self.model.inputs
        if isinstance(frame, Mapping):
            wanted, given = {info.name for info in inputs}, set(frame)
            if wanted != given:
                raise ArgumentError(f"frames are needed for {sorted(wanted)}, given were {sorted(map(str, given))}")
            return [self._prepared(frame[info.name], info) for info in inputs]
        if len(inputs) != 1:
            raise ArgumentError(f"this network has several inputs: push a mapping with {[i.name for i in inputs]}")
        return [self._prepared(frame, inputs[0])]

    def _prepared(self, frame: npt.ArrayLike, info: InputInfo) -> Array:
        """``prepare_frame``, but a frame laid out as the one before is not looked at again."""
        if not isinstance(frame, np.ndarray):
            return prepare_frame(frame, info)
        layout = frame.dtype, frame.shape, frame.strides, frame.flags.aligned
        if layout == self._layouts.get(info.name):
            return frame
        array = prepare_frame(frame, info)
        if array is frame:
            self._layouts[info.name] = layout
        return array


class _OneThread:
    """Lets one thread in at a time; others get an error, they do not wait."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            raise StateError("another thread is using this stream: give each thread a stream of its own")

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def prepare_frame(frame: npt.ArrayLike, info: InputInfo) -> Array:
    """The frame as (height, width, channels), pixels contiguous within a row; a view where that is possible.

    Raises:
        ArgumentError: wrong dtype or shape.
    """
    array = np.asarray(frame)
    if array.dtype != np.uint8 and (info.prepared or array.dtype != np.float32):
        wanted = "uint8, this model prepares them itself" if info.prepared else "uint8 or float32"
        remedy = "np.float32" if array.dtype.kind == "f" and not info.prepared else "np.uint8"
        raise ArgumentError(
            f"input {info.name!r}: frames are {wanted}, not {array.dtype}: convert with frame.astype({remedy})"
        )
    source = info.shape
    if len(source) != 4 and array.shape in (source, source[1:] if source[:1] == (1,) else source):
        rest = [axis for axis in range(len(source)) if axis not in info.pixel_axes]
        array = array.reshape(source).transpose(*info.pixel_axes, *rest)
        array = array.reshape(info.height, info.width, info.channels)
    elif array.ndim == 2 and info.channels == 1:
        array = array[:, :, np.newaxis]
    _check_shape(array, info)
    height, width, channels = array.shape
    pixels = (channels == 1 or array.strides[2] == array.itemsize) and (
        width == 1 or array.strides[1] == channels * array.itemsize
    )
    rows = height == 1 or array.strides[0] >= width * channels * array.itemsize
    if not (
        pixels and rows and array.flags.aligned and array.dtype.isnative and array.strides[0] % array.itemsize == 0
    ):
        array = np.ascontiguousarray(array, array.dtype.newbyteorder("="))
    return array


def _check_shape(array: Array, info: InputInfo) -> None:
    wanted = (info.height, info.width, info.channels)
    right = array.ndim == 3 and array.shape[2] == info.channels and array.size > 0
    if right and (info.resized or array.shape == wanted):
        return
    size = f"(any height, any width, {info.channels})" if info.resized else str(wanted)
    hint = ""
    if array.ndim in (3, 4) and array.shape[-3:] == (info.channels, info.height, info.width):
        hint = ": channels come last, so use frame.transpose(1, 2, 0)"
        if array.ndim == 4:
            hint = ": use frame[0].transpose(1, 2, 0)"
    raise ArgumentError(f"input {info.name!r}: a frame of shape {size} is needed, not {array.shape}{hint}")


def _over_spatial_axes(mask: Mask, info: OutputInfo) -> Mask:
    """A changed mask (rows, cols) over the source's pixel axes in their order, or all or nothing without them."""
    if len(info.pixel_axes) == 2:
        return mask if info.pixel_axes[0] < info.pixel_axes[1] else mask.T
    if len(info.pixel_axes) == 1:
        return mask.reshape(-1)
    spatial = {4: info.shape[2:], 3: info.shape[1:2]}.get(len(info.shape), ())
    return np.full(spatial, mask.any(), np.bool_)


def _check_options(threads: int, threshold_scale: float, refresh: int, backend: str, isa: str) -> None:
    for name, number in (("threads", threads), ("refresh", refresh)):
        if isinstance(number, bool) or not isinstance(number, (int, np.integer)):
            raise ArgumentError(f"{name} must be a whole number, not {number!r}")
    if not 1 <= threads <= 256:
        raise ArgumentError(f"threads must be 1 to 256, not {threads}")
    if not (math.isfinite(threshold_scale) and threshold_scale >= 0):
        raise ArgumentError(f"threshold_scale must be finite and not negative, not {threshold_scale}")
    if not 0 <= refresh < 1 << 32:
        raise ArgumentError(f"refresh must be a number of pushes, or 0 for never, not {refresh}")
    if backend not in ("engine", "numpy"):
        raise ArgumentError(f'backend must be "engine" or "numpy", not {backend!r}')
    if isa not in ("best", "ref"):
        raise ArgumentError(f'isa must be "best" or "ref", not {isa!r}')
