"""OpenVINO, held to single precision: by default it may choose half."""

from __future__ import annotations

from .. import video
from ..errors import Error
from . import Array, Run, Task

DISTRIBUTION = "openvino"


def open_session(task: Task) -> Run:
    """As ``rivals.open_session``."""
    openvino = video.required("bench", "comparing with OpenVINO", "openvino")
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": task.threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
    }
    model = openvino.Core().compile_model(task.onnx, "CPU", settings)
    precision = str(model.get_property("INFERENCE_PRECISION_HINT"))
    if not any(name in precision for name in ("f32", "float32", "'float'")):
        raise Error(f"OpenVINO runs this network in {precision}, not in single precision")
    request = model.create_infer_request()

    def run(x: Array) -> list[Array]:
        request.set_input_tensor(0, openvino.Tensor(x, shared_memory=True))
        request.infer()
        return [request.get_output_tensor(index).data for index in range(len(model.outputs))]

    return run
