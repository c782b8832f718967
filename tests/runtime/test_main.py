"""The command line, end to end on a small network and a made clip."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from converters.writer import write_model
from runtime import video
from runtime.__main__ import main
from runtime.model import Model
from runtime.reference.graph import (
    Activation,
    ActivationSpec,
    Align,
    Conv2d,
    Graph,
    HoldGate,
    Input,
    Node,
    Output,
    Preprocess,
    Resize,
    Value,
    ValueKind,
)
from runtime.run import picture
from runtime.stream import Stream
from runtime.work_map import WorkMap

from .reference.test_winograd import network as one_convolution

pytestmark = pytest.mark.filterwarnings("ignore:the compiled engine is missing")


def network(prepared: bool = True) -> Graph:
    """24 x 32 x 3 to 12 x 16 x 4: a gated 3 x 3 convolution of stride 2, then an ungated 1 x 1 one."""
    rng = np.random.default_rng(3)
    graph = Graph()
    values = [
        Value("image", ValueKind.INPUT, 24, 32, 3, shape=(1, 3, 24, 32), pixel_axes=(2, 3)),
        Value("w0", ValueKind.CONSTANT, data=rng.normal(size=(3, 3, 3, 8)).astype(np.float32)),
        Value("features", ValueKind.NODE, 12, 16, 8),
        Value("w1", ValueKind.CONSTANT, data=rng.normal(size=(1, 1, 8, 4)).astype(np.float32)),
        Value("scores", ValueKind.NODE, 12, 16, 4, shape=(1, 4, 12, 16), pixel_axes=(2, 3)),
    ]
    graph.values = {value.name: value for value in values}
    first = Conv2d(3, 3, 2, 2, pad_top=1, pad_left=1, pad_bottom=1, pad_right=1)
    graph.nodes = [
        Node("conv0", first, ["image", "w0", None, None], "features", ActivationSpec(Activation.RELU), HoldGate(0.1)),
        Node("conv1", Conv2d(1, 1), ["features", "w1", None, None], "scores"),
    ]
    scale = Preprocess(Resize.STRETCH, mean=(127.0,) * 3, scale=(1 / 128,) * 3) if prepared else None
    graph.inputs = [Input("image", "image", threshold=4.0, preprocess=scale)]
    graph.outputs = [Output("scores", "scores")]
    return graph


@pytest.fixture
def model(tmp_path: Path) -> str:
    write_model(network(), tmp_path / "net.fgm")
    return str(tmp_path / "net.fgm")


@pytest.fixture
def clip(tmp_path: Path) -> str:
    """Six images of 48 x 64: a still scene with a square that moves from the fourth on."""
    scene = np.random.default_rng(4).integers(0, 256, (48, 64, 3)).astype(np.uint8)
    with video.Writer(tmp_path / "clip") as sink:
        for i in range(6):
            image = scene.copy()
            image[20:28, 10 + 3 * max(i - 2, 0) :][:, :8] = 255
            sink.write(image)
    return str(tmp_path / "clip")


def test_info(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", model]) == 0
    text = capsys.readouterr().out
    assert "2 nodes, 1 gated, 0.0 million MACs" in text
    assert "uint8 frames of 3 channel(s), any size, brought to 32 x 24" in text
    assert "output  scores: float32 1 x 4 x 12 x 16" in text
    assert [line.split()[0] for line in text.splitlines()[-2:]] == ["conv0", "conv1"]


def test_info_tells_winograd(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_model(one_convolution(6, 9, 2, 3, (1, 1, 1, 1))[0], tmp_path / "net.fgm")
    assert main(["info", str(tmp_path / "net.fgm")]) == 0
    assert "conv2d winograd" in capsys.readouterr().out


def test_run_writes_pictures(model: str, clip: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("PIL")
    assert main(["run", model, clip, "--frames", "5", "--out", str(tmp_path / "out")]) == 0
    out, progress = capsys.readouterr()
    assert out.startswith("5 frames: median")
    assert "frame 3: 100.0% of MACs skipped" in progress
    pictures = list(video.frames(tmp_path / "out"))
    assert len(pictures) == 5
    assert pictures[0].shape == (380, 3 * 480 + 8, 3)


def test_run_dense_skips_nothing(model: str, clip: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", model, clip, "--gating", "off"]) == 0
    assert " 0.0% of" in capsys.readouterr().out


def test_convert_is_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []

    class Module:
        @staticmethod
        def main(arguments: list[str]) -> int:
            seen.append(arguments)
            return 0

    monkeypatch.setattr("runtime.__main__.importlib.import_module", lambda _: Module)
    assert main(["convert", "net.onnx", "net.fgm", "--help"]) == 0
    assert seen == [["net.onnx", "net.fgm", "--help"]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["info", "none.fgm"], "none.fgm: No such file or directory"),
        (["run", "MODEL", "none.mp4"], "none.mp4: no such file or folder"),
        (["run", "MODEL", "CLIP", "--threads", "999"], "threads must be 1 to 256"),
        (["run", "MODEL", "CLIP", "--threshold-scale", "nan"], "threshold_scale must be finite"),
        (["bench", "MODEL", "CLIP", "--frames", "1"], "at least two frames"),
        (["bench", "MODEL", "CLIP", "--onnx", "none.onnx"], "none.onnx: no such file"),
        (["bench", "MODEL", "CLIP", "--rivals", "ort"], "need the source network: --onnx"),
    ],
)
def test_errors_are_one_line(
    arguments: list[str], message: str, model: str, clip: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([{"MODEL": model, "CLIP": clip}.get(word, word) for word in arguments]) == 2
    text = capsys.readouterr().err
    assert text.startswith("framegate: ")
    assert message in text
    assert text.count("\n") == 1


def test_wrong_usage_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    lists = ([], ["nonsense"], ["run"], ["run", "a", "b", "--frames", "0"], ["bench", "a", "b", "--rivals", "none"])
    for arguments in lists:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 2
    capsys.readouterr()


def test_interrupt(model: str, clip: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Stream, "push", interrupted)
    assert main(["run", model, clip]) == 130


def test_work_map_adds_up_to_the_executed_share(model: str, clip: str) -> None:
    stream = Stream(Model.load(model))
    work = WorkMap(stream)
    for image in video.frames(clip):
        result = stream.push(image)
        assert work.shares(24, 32).mean() == pytest.approx(1 - result.skipped, abs=1e-6)


def test_the_map_of_a_letterboxed_frame_lies_over_the_image(tmp_path: Path) -> None:
    graph = network()
    graph.inputs[0].preprocess = Preprocess(Resize.LETTERBOX, Align.CENTER)
    write_model(graph, tmp_path / "boxed.fgm")
    stream = Stream(tmp_path / "boxed.fgm")
    work = WorkMap(stream)
    image = np.full((480, 240, 3), 90, np.uint8)  # 24 x 12 in the middle of 24 x 32
    stream.push(image)
    image[400:, 200:] = 200  # the lower right corner, 4 x 2 there
    stream.push(image)
    _, changed, computed = np.split(picture(image, work, "")[:360, :548], [184, 368], axis=1)
    for panel in (changed, computed):
        lit = np.argwhere(panel[:, :180].max(axis=2) > 100)
        assert lit.max(axis=0).tolist() == [359, 179]
    assert (changed[300:, 150:180] == 255).all()
    assert (changed[:280, :180] == 36).all()
