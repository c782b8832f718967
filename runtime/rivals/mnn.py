"""MNN at high precision. Its Winograd convolutions err the most, so its outputs need looking at."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from .. import video
from ..errors import Error
from . import Array, Run, Task

DISTRIBUTION = "MNN"
# The mnnconvert command installs a logging package and posts usage records; the extension below it only converts.
CONVERT = "import sys, _tools; _tools.mnnconvert(sys.argv[1:])"


def converted(task: Task) -> Path:
    """The network as a `.mnn` file, made if it is not there."""
    path = Path(task.cache) / "net.mnn"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        words = ["mnnconvert", "-f", "ONNX", "--modelFile", task.onnx, "--MNNModel", str(path), "--bizCode", "x"]
        command = [sys.executable, "-c", CONVERT, *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if not path.exists():
            raise Error(f"MNN cannot convert {task.onnx}: {(done.stdout + done.stderr).strip()[-200:]}")
    return path


def open_session(task: Task) -> Run:
    """As ``rivals.open_session``."""
    mnn = video.required("bench", "comparing with MNN", "MNN")
    interpreter = mnn.Interpreter(str(converted(task)))
    session = interpreter.createSession({"backend": "CPU", "numThread": task.threads, "precision": "high"})
    source = interpreter.getSessionInput(session)
    targets = interpreter.getSessionOutputAll(session)
    missing = sorted(set(task.outputs) - set(targets))
    if missing:
        raise Error(f"MNN's conversion of {task.onnx} has no output {missing[0]!r}")

    def host(array: Array) -> Any:
        return mnn.Tensor(array.shape, mnn.Halide_Type_Float, array, mnn.Tensor_DimensionType_Caffe)

    # Tensors keep raw pointers, so their arrays must live as long; what an array holds when its tensor is made counts.
    arrays = [np.zeros(targets[name].getShape(), np.float32) for name in task.outputs]
    pairs = [(targets[name], host(array)) for name, array in zip(task.outputs, arrays, strict=True)]

    def run(x: Array) -> list[Array]:
        source.copyFrom(host(x))
        interpreter.runSession(session)
        for target, tensor in pairs:
            target.copyToHostTensor(tensor)
        return [tensor.getNumpyData() for _, tensor in pairs]

    return run
