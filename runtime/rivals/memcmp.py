"""The least a still frame can cost: reading it and the one before."""

from __future__ import annotations

import ctypes
import os
import platform

import numpy as np

from . import Array


class Comparison:
    """``run`` compares a frame with the first one by the C library's ``memcmp``."""

    def __init__(self) -> None:
        library = ctypes.CDLL("msvcrt" if os.name == "nt" else None)
        self._memcmp = library.memcmp
        self._memcmp.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
        self._held: Array | None = None

    @property
    def version(self) -> str:
        """The C library's."""
        return " ".join(platform.libc_ver()) or platform.system()

    def reset(self) -> None:
        """Another clip begins."""
        self._held = None

    def run(self, frame: Array) -> list[Array]:
        """Whether ``frame``, which is contiguous, differs."""
        if self._held is None:
            self._held = frame.copy()
        differs = self._memcmp(self._held.ctypes.data, frame.ctypes.data, frame.nbytes) != 0
        return [np.array(differs)]
