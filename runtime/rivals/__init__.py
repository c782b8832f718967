"""Other engines on the same networks and frames, for ``framegate bench``: one small module each.

Such a module says which distribution it needs (``DISTRIBUTION``) and has ``open_session(task)``, which converts the
source network if it must, loads it in single precision and returns a function from a frame to outputs.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Run = Callable[[Array], list[Array]]

NAMES = ("ort", "openvino", "ncnn", "litert", "mnn")


@dataclass(frozen=True)
class Task:
    """What a rival must run.

    Attributes:
        onnx: the source network's file.
        threads: how many threads may compute.
        cache: a folder for what is made from this network; it outlives the process.
        shape: of the source network's only input, float32.
        outputs: names of the source network's outputs, in order; a session gives its outputs in that order.
        tflite: the same network as a `.tflite` file, if there is one.
    """

    onnx: str
    threads: int
    cache: str
    shape: tuple[int, ...]
    outputs: tuple[str, ...]
    tflite: str | None = None


def open_session(name: str, task: Task) -> tuple[Run, str]:
    """A rival's function from the source network's input to its outputs (valid until the next call), and its version.

    Raises:
        MissingPackageError: the rival is not installed.
        Error: it is, but cannot take this network.
    """
    module: Any = importlib.import_module(f".{name}", __package__)
    run: Run = module.open_session(task)
    return run, importlib.metadata.version(module.DISTRIBUTION)


def relative_distance(outputs: list[Array], reference: list[Array]) -> float | None:
    """Relative L2 distance of all float outputs, in float64; None where their sizes do not match."""
    squares = reference_squares = 0.0
    if len(outputs) != len(reference):
        return None
    for found, expected in zip(outputs, reference, strict=True):
        if found.size != expected.size:
            return None
        if expected.dtype == np.float32:
            wide = expected.astype(np.float64).reshape(-1)
            squares += float(((found.reshape(-1).astype(np.float64) - wide) ** 2).sum())
            reference_squares += float((wide**2).sum())
    return float((squares / max(reference_squares, 1e-300)) ** 0.5)
