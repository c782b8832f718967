"""Real networks and real footage for tests and reports: a folder named by FRAMEGATE_ASSETS, with models/ and videos/.

The project does not ship them; docs/networks.md says what they are and where they come from. Without the folder the
tests that need it are skipped.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
IMAGENET_MEAN, IMAGENET_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


@dataclass(frozen=True)
class Network:
    """An ONNX file and how its authors feed it."""

    file: str
    size: tuple[int, int]
    preprocess: dict[str, object]
    task: str = ""
    extra: dict[str, object] = field(default_factory=dict)


NETWORKS = {
    "yolox_nano": Network(
        "det_yolox_nano_416.onnx",
        (416, 416),
        {"resize": "letterbox", "align": "top_left", "fill": 114, "color": "bgr"},
        "yolox",
    ),
    "fastestdet": Network(
        "det_fastestdet_352.onnx", (352, 352), {"resize": "stretch", "color": "bgr", "scale": 1 / 255}, "fastestdet"
    ),
    "tinypose": Network(
        "pose_tinypose_litehrnet_256x192.onnx",
        (256, 192),
        {"resize": "stretch", "mean": IMAGENET_MEAN, "std": IMAGENET_STD},
        "heatmap",
    ),
    "posenet": Network(
        "pose_posenet_mobilenet_v1_385.onnx", (385, 385), {"resize": "stretch", "mean": 127.5, "std": 127.5}, "heatmap"
    ),
    "retinaface": Network(
        "face_retinaface_mnet025_640.onnx",
        (640, 640),
        {"resize": "stretch", "color": "bgr", "mean": (104, 117, 123)},
        "retinaface",
    ),
    "ultraface": Network(
        "face_ultraface_rfb_320.onnx", (240, 320), {"resize": "stretch", "mean": 127, "std": 128}, "ultraface"
    ),
    "ultraface_bn": Network(
        "face_ultraface_rfb_320_bn.onnx", (240, 320), {"resize": "stretch", "mean": 127, "std": 128}, "ultraface"
    ),
    "efficientnet_lite0": Network(
        "cls_efficientnet_lite0_224.onnx", (224, 224), {"resize": "stretch", "mean": 127, "std": 128}, "class"
    ),
}
CLIPS = {
    "vtest": "vtest_300.avi",
    "obo": "one_by_one_person_300.mp4",
    "highway": "highway_298.avi",
    "car": "car_overhead_300.mp4",
    "bottles": "bottles_static_250.mp4",
    "webcam": "webcam_asl_book.mkv",
    "sister": "pose_asl_sister.mkv",
    "carphone": "carphone_qcif.mp4",
    "dashcam": "dashcam_solidwhiteright.mp4",
}


def folder() -> Path | None:
    """The assets' folder, or None."""
    path = os.environ.get("FRAMEGATE_ASSETS")
    return Path(path) if path and Path(path).is_dir() else None


def model_path(name: str) -> Path:
    """The ONNX file of a network."""
    assets = folder()
    assert assets is not None
    return assets / "models" / NETWORKS[name].file


@functools.lru_cache(maxsize=4)
def clip(name: str, count: int, start: int = 0) -> tuple[Array, ...]:
    """Consecutive RGB uint8 frames of a clip."""
    from itertools import islice

    from runtime import video

    assets = folder()
    assert assets is not None
    return tuple(islice(video.frames(str(assets / "videos" / CLIPS[name])), start, start + count))


def network_input(network: Network, frame: Array) -> Array:
    """A frame as the network's own float input (1, C, H, W), prepared with OpenCV: independent of the engine."""
    import cv2

    height, width = network.size
    p = network.preprocess
    if p["resize"] == "letterbox":
        ratio = min(height / frame.shape[0], width / frame.shape[1])
        size = (round(frame.shape[1] * ratio), round(frame.shape[0] * ratio))
        image = np.full((height, width, 3), p["fill"], np.uint8)
        image[: size[1], : size[0]] = cv2.resize(frame, size, interpolation=cv2.INTER_LINEAR)
    else:
        image = cv2.resize(frame, (width, height), interpolation=cv2.INTER_LINEAR)
    if p.get("color") == "bgr":
        image = image[..., ::-1]
    mean, std = np.float32(p.get("mean", 0)), np.float32(p.get("std", 1))  # type: ignore[arg-type]
    x = (image.astype(np.float32) - mean) / std * np.float32(p.get("scale", 1))  # type: ignore[arg-type]
    return np.ascontiguousarray(x.transpose(2, 0, 1)[None], np.float32)
