"""Frames through a converted network, recomputing only what changed. Part of framegate.

import runtime

stream = runtime.Stream("net.fgm")
result = stream.push(frame)  # (H, W, C) uint8
result["scores"], result.changed["scores"], result.skipped
"""

from . import _binding
from .errors import (
    ArgumentError,
    Error,
    FormatError,
    OutOfMemoryError,
    StateError,
    UnsupportedError,
    VersionError,
)
from .model import InputInfo, Model, NodeInfo, OutputInfo
from .stream import Result, Stats, Stream

__version__ = _binding.version()

engine_available = _binding.available

__all__ = [
    "ArgumentError",
    "Error",
    "FormatError",
    "InputInfo",
    "Model",
    "NodeInfo",
    "OutOfMemoryError",
    "OutputInfo",
    "Result",
    "StateError",
    "Stats",
    "Stream",
    "UnsupportedError",
    "VersionError",
    "engine_available",
]
