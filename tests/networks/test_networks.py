"""The real networks against ONNX Runtime, and gated against dense, on real frames."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import converters
import runtime

from . import assets

pytestmark = pytest.mark.skipif(assets.folder() is None, reason="FRAMEGATE_ASSETS names no folder")
NAMES = sorted(assets.NETWORKS)
FRAMES = int(os.environ.get("FRAMEGATE_FRAMES", "5"))  # of each clip; a large number takes all


def relative_error(got: assets.Array, want: assets.Array) -> float:
    """Relative L2 error over all elements, in double precision."""
    want = want.astype(np.float64)
    return float(np.linalg.norm((got - want).ravel()) / max(float(np.linalg.norm(want.ravel())), 1e-30))


@pytest.mark.parametrize("name", NAMES)
def test_outputs_equal_onnx_runtime(name: str, tmp_path: Path) -> None:
    import onnxruntime

    network = assets.NETWORKS[name]
    converters.convert(assets.model_path(name), tmp_path / "net.fgm")
    model = runtime.Model.load(tmp_path / "net.fgm")
    dense, exact = runtime.Stream(model, gating=False), runtime.Stream(model, threshold_scale=0, threads=2)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(assets.model_path(name), options, providers=["CPUExecutionProvider"])
    for frame in assets.clip("vtest", 10) + assets.clip("webcam", 10):
        x = assets.network_input(network, frame)
        want = dict(
            zip(
                [o.name for o in session.get_outputs()],
                session.run(None, {session.get_inputs()[0].name: x}),
                strict=True,
            )
        )
        pushed = np.ascontiguousarray(x[0].transpose(1, 2, 0))
        ours, gated = dense.push(pushed), exact.push(pushed)
        for output in want:
            assert ours[output].shape == want[output].shape
            assert relative_error(ours[output], want[output]) <= 1e-5, output
            assert ours[output].tobytes() == gated[output].tobytes(), output


@pytest.mark.parametrize("block", [1, 2, 4, 8])
@pytest.mark.parametrize("name", NAMES)
def test_scale_0_equals_dense_byte_for_byte(name: str, block: int, tmp_path: Path) -> None:
    network = assets.NETWORKS[name]
    path = tmp_path / "net.fgm"
    converters.convert(assets.model_path(name), path, preprocess=network.preprocess, block=block)
    model = runtime.Model.load(path)
    for clip in ("webcam", "sister", "carphone"):
        dense = runtime.Stream(model, gating=False)
        exact = [runtime.Stream(model, threshold_scale=0, threads=n, refresh=0) for n in (1, 2)]
        refreshed = runtime.Stream(model, refresh=4)
        for index, frame in enumerate(assets.clip(clip, FRAMES)):
            want = {name: output.tobytes() for name, output in dense.push(frame).items()}
            for stream in exact:
                assert {name: output.tobytes() for name, output in stream.push(frame).items()} == want
            got = {name: output.tobytes() for name, output in refreshed.push(frame).items()}
            assert index % 4 or got == want


@pytest.mark.parametrize(
    ("name", "megabytes"),
    {"yolox_nano": 5.2, "fastestdet": 2.9, "tinypose": 4.0, "posenet": 12.8, "retinaface": 10.3, "ultraface": 1.6,
     "ultraface_bn": 1.6, "efficientnet_lite0": 2.4}.items(),
)  # fmt: skip
def test_state_of_dense_streams(name: str, megabytes: float, tmp_path: Path) -> None:
    """Values share memory: if this grows, something keeps them longer, or strips of rows end where they did not."""
    converters.convert(assets.model_path(name), tmp_path / "net.fgm", preprocess=assets.NETWORKS[name].preprocess)
    assert runtime.Stream(tmp_path / "net.fgm", gating=False).state_bytes / 2**20 < 1.03 * megabytes


@pytest.mark.parametrize("name", NAMES)
def test_a_still_clip_executes_nothing_after_the_first_push(name: str, tmp_path: Path) -> None:
    converters.convert(assets.model_path(name), tmp_path / "net.fgm", preprocess=assets.NETWORKS[name].preprocess)
    stream = runtime.Stream(tmp_path / "net.fgm", refresh=3)
    (frame,) = assets.clip("obo", 1)
    assert stream.push(frame).macs == stream.stats().macs_dense
    for _ in range(8):
        assert stream.push(frame.copy()).macs == 0


def test_ultraface_and_its_batch_norm_twin_agree(tmp_path: Path) -> None:
    streams = []
    for name in ("ultraface", "ultraface_bn"):
        path = tmp_path / f"{name}.fgm"
        converters.convert(assets.model_path(name), path, preprocess=assets.NETWORKS[name].preprocess)
        streams.append(runtime.Stream(path, gating=False))
    for frame in assets.clip("webcam", 5):
        folded, twin = (stream.push(frame) for stream in streams)
        for output in folded:
            assert relative_error(twin[output], folded[output]) <= 1e-5
