"""ONNX Runtime."""

from __future__ import annotations

from .. import video
from . import Run, Task

DISTRIBUTION = "onnxruntime"


def open_session(task: Task) -> Run:
    """As ``rivals.open_session``."""
    onnxruntime = video.required("bench", "comparing with ONNX Runtime", "onnxruntime")
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads, settings.inter_op_num_threads = task.threads, 1
    session = onnxruntime.InferenceSession(task.onnx, settings, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda x: list(session.run(list(task.outputs), {name: x}))
