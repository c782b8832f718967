"""LiteRT (TensorFlow Lite) with XNNPACK, on a `.tflite` file that the user brings: see docs/performance.md."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import video
from ..errors import Error
from . import Array, Run, Task

DISTRIBUTION = "ai-edge-litert"


def open_session(task: Task) -> Run:
    """As ``rivals.open_session``. Channels may come first or last in the file; names tell which output is which."""
    module = video.required("bench", "comparing with LiteRT", "ai_edge_litert.interpreter")
    if task.tflite is None:
        raise Error("LiteRT needs the network as a .tflite file: give one with --tflite, or put it beside the .onnx")
    interpreter = module.Interpreter(task.tflite, num_threads=task.threads)
    interpreter.allocate_tensors()
    details = interpreter.get_input_details()[0]
    shape, last = tuple(details["shape"]), tuple(task.shape[axis] for axis in (0, 2, 3, 1)[: len(task.shape)])
    if details["dtype"] != np.float32 or shape not in (task.shape, last):
        raise Error(f"{task.tflite} takes {details['dtype'].__name__} {shape}, not float32 {task.shape}")
    axes = tuple(range(len(shape))) if shape == task.shape else (0, 2, 3, 1)
    targets = _targets(interpreter, task.outputs)

    def run(x: Array) -> list[Array]:
        interpreter.set_tensor(details["index"], np.ascontiguousarray(x.transpose(axes)))
        interpreter.invoke()
        found = [interpreter.get_tensor(index) for index in targets]
        return [out.transpose(0, 3, 1, 2) if axes != tuple(sorted(axes)) and out.ndim == 4 else out for out in found]

    return run


def _targets(interpreter: Any, names: Sequence[str]) -> list[int]:
    """Tensors of the outputs: by the source network's names where the file keeps them, else in order."""
    for key in interpreter.get_signature_list():
        known = interpreter.get_signature_runner(key).get_output_details()
        if set(names) <= set(known):
            return [known[name]["index"] for name in names]
    return [each["index"] for each in sorted(interpreter.get_output_details(), key=lambda each: _order(each["name"]))]


def _order(name: str) -> tuple[str, int]:
    """What sorts numbered names, such as Identity, Identity_1, Identity_10, by their number."""
    stem, number = re.fullmatch(r"(.*?)(\d*)", name).groups()  # type: ignore[union-attr]
    return stem.rstrip("_:"), int(number or 0)
