"""The only module that touches the compiled extension: typed access to the C API, status codes as exceptions."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import (
    ArgumentError,
    Error,
    FormatError,
    OutOfMemoryError,
    StateError,
    UnsupportedError,
    VersionError,
)

try:
    from ._engine import ffi, lib

    IMPORT_ERROR: ImportError | None = None
except ImportError as error:
    IMPORT_ERROR = error

Array = npt.NDArray[Any]
Bytes = npt.NDArray[np.uint8]
BEST_ISA, SCALAR_ISA = 0xFFFFFFFF, 0
STATS = (
    *("frames", "macs_dense", "macs", "macs_total", "pixels", "computed", "changed", "refreshes"),
    *("macs_gate", "macs_official", "work", "work_dense", "nanoseconds"),
)


def available() -> bool:
    """Whether the compiled engine can be used."""
    return IMPORT_ERROR is None


def version() -> str:
    """The release, such as "0.1.0": the engine's, or the header's where the engine is not built."""
    if available():
        number = lib.fg_version()
        return f"{number >> 16}.{number >> 8 & 255}.{number & 255}"
    header = Path(__file__).parent / "engine" / "include" / "framegate.h"
    found = re.search(r'FG_VERSION_STRING "([^"]+)"', header.read_text("utf-8")) if header.exists() else None
    return found[1] if found else "unknown"


def isa_name(isa_mask: int) -> str:
    """The best instruction set of the mask that this build and machine have."""
    return _text(lib.fg_isa_name(isa_mask & lib.fg_isa_detect()))


def aligned_bytes(size: int) -> Bytes:
    """``size`` zero bytes, aligned as the engine wants its memory."""
    alignment = 64  # FG_MEMORY_ALIGN, also wanted where the engine is not built
    memory = np.zeros(size + alignment, np.uint8)
    start = -address(memory) % alignment
    return memory[start : start + size]


def address(array: Array) -> int:
    """Where an array's first element lies."""
    return int(array.__array_interface__["data"][0])


class EngineModel:
    """An opened model; keeps its bytes alive.

    Args:
        data: uint8 array, the file; aligned to 8, not to be changed.

    Raises:
        FormatError, VersionError, UnsupportedError: what the loader found, with ``node`` and ``offset``.
    """

    def __init__(self, data: Bytes) -> None:
        self.data = data
        self.handle = ffi.new("fg_model *")
        failure = ffi.new("fg_error *")
        _check(lib.fg_model_open(self.handle, _pointer(data), data.size, failure), failure)

    def inputs(self) -> list[dict[str, Any]]:
        """Fields of ``fg_input_info`` of every input."""
        return self._infos("input", ("name", "height", "width", "channels", "prepared", "resized"))

    def outputs(self) -> list[dict[str, Any]]:
        """Fields of ``fg_output_info`` of every output, without the arrays."""
        return self._infos("output", ("name", "dtype", "rank", "rows", "cols"))

    def nodes(self) -> list[dict[str, Any]]:
        """Fields of ``fg_node_info`` of every node."""
        return self._infos("node", ("name", "op", "rows", "cols", "channels", "gated", "macs"))

    def _infos(self, kind: str, fields: Sequence[str]) -> list[dict[str, Any]]:
        info = ffi.new(f"fg_{kind}_info *")
        infos = []
        for index in range(getattr(lib, f"fg_model_{kind}_count")(self.handle)):
            _check(getattr(lib, f"fg_model_{kind}_info")(self.handle, index, info))
            values = {field: getattr(info, field) for field in fields}
            infos.append({field: _text(v) if isinstance(v, ffi.CData) else v for field, v in values.items()})
        return infos


class EngineStream:
    """A stream of the C engine. Frames, outputs and masks go by index; see ``Stream`` for names.

    Args:
        model: shared, kept alive.
        gating, threshold_scale, refresh: as ``Stream``.
        threads: 1 for none but the caller's.
        isa_mask: ``BEST_ISA`` or ``SCALAR_ISA``.

    Raises:
        ArgumentError, OutOfMemoryError: the engine refuses the configuration.
        MemoryError: the machine has not as much memory as the plan asks for.
    """

    def __init__(
        self,
        model: EngineModel,
        *,
        gating: bool,
        threshold_scale: float,
        refresh: int,
        threads: int,
        isa_mask: int,
        profile: bool,
    ) -> None:
        self.model = model
        config = ffi.new("fg_config *")
        lib.fg_config_init(config)
        config.isa_mask = isa_mask
        config.gating = gating
        config.refresh_interval = refresh
        config.threshold_scale = threshold_scale
        config.threads = threads
        if profile:
            config.clock = ffi.addressof(lib, "fg_clock_monotonic")
        pool = _pools.get(threads) if threads > 1 else ffi.NULL
        if pool != ffi.NULL:
            config.parallel_for = ffi.addressof(lib, "fg_pool_run")
            config.pool = pool
        self._error = ffi.new("fg_error *")
        plan = ffi.new("fg_plan *")
        _check(lib.fg_plan_memory(model.handle, config, plan, self._error), self._error)
        self.state_bytes: int = plan.state_bytes
        self.scratch_bytes: int = plan.scratch_bytes
        self.weight_bytes: int = plan.weight_bytes
        self._state = aligned_bytes(max(self.state_bytes, 1))
        self._scratch = aligned_bytes(max(self.scratch_bytes, 1))  # NumPy moves empty arrays
        memory = ffi.new("fg_memory *")
        memory.state, memory.state_bytes = _pointer(self._state), self.state_bytes
        memory.scratch, memory.scratch_bytes = _pointer(self._scratch), self.scratch_bytes
        handle = ffi.new("fg_stream **")
        _check(lib.fg_stream_init(handle, model.handle, config, memory, self._error), self._error)
        self._handle = handle[0]
        self._frames = ffi.new("fg_frame[]", lib.fg_model_input_count(model.handle))
        self._stats = ffi.new("fg_stats *")
        self._tensor = ffi.new("fg_tensor *")
        self._views: dict[int, Array] = {}
        self._grids: dict[int, tuple[int, int]] = {}  # of outputs

    def push(self, frames: Sequence[Array]) -> None:
        """Runs the network on one frame per input.

        Args:
            frames: uint8 or float32 (height, width, channels), pixels contiguous within a row.
        """
        for record, frame in zip(self._frames, frames, strict=True):
            record.data = _pointer(frame)
            record.height, record.width, record.channels = frame.shape
            # NumPy gives an axis of size 1 any stride.
            record.row_stride_bytes = frame.strides[0] if len(frame) > 1 else frame.nbytes
            record.dtype = lib.FG_DTYPE_U8 if frame.dtype == np.uint8 else lib.FG_DTYPE_F32
        _check(lib.fg_stream_push(self._handle, self._frames, len(frames), self._error), self._error)

    def output(self, index: int) -> Array:
        """A read-only view in the source model's shape, valid until the next push."""
        if index in self._views:  # values stay where they are
            return self._views[index]
        tensor = self._tensor
        _check(lib.fg_stream_output(self._handle, index, tensor))
        rank = tensor.info.rank
        dtypes = {
            lib.FG_DTYPE_F32: np.float32,
            lib.FG_DTYPE_S32: np.int32,
            lib.FG_DTYPE_S64: np.int64,
            lib.FG_DTYPE_BOOL: np.bool_,
        }
        start = int(ffi.cast("uintptr_t", tensor.data))
        # A constant output lies in the file. NumPy checks that the view stays inside the memory it is made on.
        owners = (self._state, self.model.data, self._scratch)
        owner = next((o for o in owners if address(o) <= start < address(o) + o.size), None)
        if owner is None:
            raise Error(f"output {index} lies outside the stream's memory")
        view: Array = np.ndarray(
            tuple(tensor.info.shape[0:rank]),
            dtypes[tensor.info.dtype],
            buffer=owner,
            offset=start - address(owner),
            strides=tuple(tensor.info.stride_bytes[0:rank]),
        )
        view.flags.writeable = False
        self._views[index] = view
        return view

    def input_mask(self, index: int) -> npt.NDArray[np.bool_]:
        """(height, width): where the input changed in the last push."""
        info = self.model.inputs()[index]
        return self._mask(lib.fg_stream_input_mask, index, info["height"], info["width"])

    def node_mask(self, index: int) -> npt.NDArray[np.bool_]:
        """(rows, cols): where the node's output changed in the last push."""
        info = ffi.new("fg_node_info *")
        _check(lib.fg_model_node_info(self.model.handle, index, info))
        return self._mask(lib.fg_stream_node_mask, index, info.rows, info.cols)

    def output_mask(self, index: int) -> npt.NDArray[np.bool_]:
        """(rows, cols): where the output changed in the last push."""
        if index not in self._grids:
            info = ffi.new("fg_output_info *")
            _check(lib.fg_model_output_info(self.model.handle, index, info))
            self._grids[index] = info.rows, info.cols
        _check(lib.fg_stream_output(self._handle, index, self._tensor))
        if not self._tensor.changed:
            return np.zeros(self._grids[index], np.bool_)  # of a large one no page is touched
        return self._mask(lib.fg_stream_output_mask, index, *self._grids[index])

    def gate_map(self, index: int) -> npt.NDArray[np.float32]:
        """(rows, cols): gates of a node with a skip gate in the last push: 0, 0.5 or 1."""
        info = ffi.new("fg_node_info *")
        _check(lib.fg_model_node_info(self.model.handle, index, info))
        gates = np.empty((info.rows, info.cols), np.uint8)
        _check(lib.fg_stream_gate_map(self._handle, index, ffi.cast("uint8_t *", address(gates)), gates.size))
        halved: npt.NDArray[np.float32] = gates * np.float32(0.5)
        return halved

    def macs(self) -> tuple[int, int]:
        """Multiply-accumulates of the last push, and of a dense one."""
        _check(lib.fg_stream_stats(self._handle, lib.FG_NONE, self._stats))
        return self._stats.macs, self._stats.macs_dense

    def stats(self, node: int | None = None) -> dict[str, int]:
        """Fields of ``fg_stats``, of a node or of the whole network."""
        _check(lib.fg_stream_stats(self._handle, lib.FG_NONE if node is None else node, self._stats))
        return {field: getattr(self._stats, field) for field in STATS}

    def reset(self) -> None:
        """Forget everything: the next push recomputes everything."""
        self._views.clear()
        _check(lib.fg_stream_reset(self._handle))

    def _mask(self, function: Any, index: int, rows: int, cols: int) -> npt.NDArray[np.bool_]:
        mask = np.empty((rows, cols), np.bool_)  # one byte per pixel, 0 or 1
        _check(function(self._handle, index, ffi.from_buffer("uint8_t[]", mask), mask.size))
        return mask


class _Pools:
    """The process's thread pools, by number of threads, shared by all streams and never destroyed.

    A pool hands out thread numbers below its own size, so a stream needs a pool of exactly its number of threads. An
    idle pool sleeps; one inherited through a fork starts its threads anew by itself.
    """

    def __init__(self) -> None:
        self._renew_lock()
        self._pools: dict[int, Any] = {}
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew_lock)

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()  # another thread of the parent may have held it

    def get(self, threads: int) -> Any:
        """A pool, or NULL where threads cannot be had: then the caller works alone, with the same results."""
        with self._lock:
            if self._pools.get(threads, ffi.NULL) == ffi.NULL:
                self._pools[threads] = lib.fg_pool_create(threads)
            return self._pools[threads]


_pools = _Pools()


def _pointer(array: Array) -> Any:
    if array.flags.c_contiguous:
        return ffi.from_buffer("char[]", array)  # NumPy takes twenty times as long to tell an address
    return ffi.cast("void *", address(array))


def _text(pointer: Any) -> str:
    return "" if pointer == ffi.NULL else ffi.string(pointer).decode("utf-8", "replace")


def _check(status: int, failure: Any = None) -> None:
    """Raises the exception of a status other than FG_OK, with the message, node and offset of ``failure``."""
    if status == lib.FG_OK:
        return
    classes = {
        lib.FG_ERR_ARGUMENT: ArgumentError,
        lib.FG_ERR_FORMAT: FormatError,
        lib.FG_ERR_VERSION: VersionError,
        lib.FG_ERR_UNSUPPORTED: UnsupportedError,
        lib.FG_ERR_MEMORY: OutOfMemoryError,
        lib.FG_ERR_STATE: StateError,
    }
    message, node, offset = "", None, None
    if failure is not None:
        message = ffi.string(failure.message).decode("utf-8", "replace")
        node = None if failure.node == lib.FG_NONE else failure.node
        offset = failure.offset or None
    raise classes.get(status, Error)(
        message or _text(lib.fg_status_message(status)),
        status=_text(lib.fg_status_name(status)),
        node=node,
        offset=offset,
    )
