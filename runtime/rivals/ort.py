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
    session = onnxruntime.InferenceSession(_with_constants(task.onnx), settings, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda x: list(session.run(list(task.outputs), {name: x}))


def _with_constants(path: str) -> bytes:
    """The network without inputs that only give initializers: ONNX Runtime would not treat those as constants."""
    onnx = video.required("bench", "comparing with ONNX Runtime", "onnx")
    model = onnx.load(path)
    constants = {each.name for each in model.graph.initializer}
    inputs = [each for each in model.graph.input if each.name not in constants]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    model.ir_version = max(model.ir_version, 4)  # before, initializers had to be inputs
    serialized: bytes = model.SerializeToString()
    return serialized
