"""Tuning of thresholds on a small network, and the verb end to end."""

from __future__ import annotations

import json

import numpy as np
import pytest

from converters.verify import verify
from converters.writer import to_bytes
from runtime import video
from runtime.__main__ import main
from runtime.agreement import dense_outputs, values_agree
from runtime.errors import ArgumentError
from runtime.model import Model
from runtime.reference.graph import (
    Activation,
    ActivationSpec,
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
from runtime.tune import Footage, scaled, thresholds, tune_gates

pytestmark = pytest.mark.filterwarnings("ignore:the compiled engine is missing")
CONV = Conv2d(3, 3, pad_top=1, pad_left=1, pad_bottom=1, pad_right=1)


def network() -> Graph:
    """24 x 32 x 3, convolutions to 4, 16 and 2 channels: what passes the first gate decides the work of the second."""
    rng = np.random.default_rng(3)
    graph, last = Graph(), "image"
    graph.values["image"] = Value("image", ValueKind.INPUT, 24, 32, 3, shape=(1, 3, 24, 32), pixel_axes=(2, 3))
    depth = 3
    for index, channels in enumerate((4, 16, 2)):
        name = f"y{index}"
        weights = rng.normal(size=(3, 3, depth, channels)).astype(np.float32) / np.float32(depth**0.5 * 3)
        graph.values[f"w{index}"] = Value(f"w{index}", ValueKind.CONSTANT, 1, 1, weights.size, data=weights)
        shape = {"shape": (1, channels, 24, 32), "pixel_axes": (2, 3)}
        graph.values[name] = Value(name, ValueKind.NODE, 24, 32, channels, **shape)
        gate = HoldGate(0.1, std=1.0) if index < 2 else None
        relu = ActivationSpec(Activation.RELU) if index < 2 else ActivationSpec()
        graph.nodes.append(Node(f"conv{index}", CONV, [last, f"w{index}", None, None], name, relu, gate))
        last, depth = name, channels
    prepare = Preprocess(Resize.STRETCH, mean=(127.0,) * 3, scale=(1 / 64,) * 3)
    graph.inputs.append(Input("image", "image", 4.0, 0.0, prepare))
    graph.outputs.append(Output("y", last))
    return verify(graph, "test")


def frames(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    scene = rng.integers(60, 200, (24, 32, 3))
    clip = [np.clip(scene + rng.normal(0, 3, scene.shape), 0, 255).astype(np.uint8) for _ in range(count)]
    for index, frame in enumerate(clip):
        frame[6:12, 2 * (index % 12) : 2 * (index % 12) + 6] = 255
    return clip


def footage(graph: Graph, clip: list[np.ndarray]) -> Footage:
    model = Model.from_bytes(to_bytes(graph))
    dense = dense_outputs(model, clip)
    return Footage(clip, dense, values_agree(model, dense, 0.5))


def test_tuned_gates_do_less_work_at_the_target():
    graph = network()
    seen = footage(graph, frames(8))
    lines: list[str] = []
    tuned = tune_gates(graph, seen, to_bytes, target=0.97, passes=2, progress=lines.append, refresh=0)
    uniform = tune_gates(graph, seen, to_bytes, target=0.97, passes=0, refresh=0)
    assert graph.nodes[0].gate == HoldGate(0.1, std=1.0)  # left alone
    assert lines
    assert lines[0].startswith("pass 1: ")
    found, plain = (seen.play(Model.from_bytes(to_bytes(each)), refresh=0) for each in (tuned, uniform))
    assert found.agreement > 0.95
    assert found.macs < 0.97 * plain.macs
    ratios = {name: value / thresholds(graph)[name] for name, value in thresholds(tuned).items()}
    assert len({round(ratio, 6) for ratio in ratios.values()}) > 1


def test_scaled():
    graph = network()
    assert thresholds(scaled(graph, 2)) == {"image": 8, "conv0": 0.2, "conv1": 0.2}
    assert thresholds(scaled(graph, 2, "conv1")) == {"image": 4, "conv0": 0.1, "conv1": 0.2}
    assert thresholds(scaled(graph, 1000)) == {"image": 255, "conv0": 8, "conv1": 8}


def test_what_cannot_be_tuned():
    graph = network()
    seen = footage(graph, frames(3))
    with pytest.raises(ArgumentError, match="target is 99"):
        tune_gates(graph, seen, to_bytes, target=99)
    for node in graph.nodes:
        node.gate = None
    with pytest.raises(ArgumentError, match="no hold gates to tune"):
        tune_gates(graph, seen, to_bytes)


@pytest.fixture
def files(tmp_path):
    (tmp_path / "net.fgm").write_bytes(to_bytes(network()))
    with video.Writer(tmp_path / "clip") as sink:
        for frame in frames(10):
            sink.write(frame)
    return tmp_path


def test_the_verb(files, capsys):
    arguments = ["tune", str(files / "net.fgm"), "--video", str(files / "clip"), "-o", str(files / "tuned.fgm")]
    assert main([*arguments, "--passes", "1", "--json", str(files / "report.json"), "--target", "0.9"]) == 0
    text = capsys.readouterr().out
    assert "5 frames, none of the 5 tuned on" in text
    assert "as written to" in text
    report = json.loads((files / "report.json").read_text())
    assert report["before"]["curve"][0]["macs"] > report["before"]["curve"][-1]["macs"]
    assert report["thresholds"] == pytest.approx(thresholds(Model.load(files / "tuned.fgm").graph))
    assert report["after"]["as_it_is"]["macs"] < 1
    assert main([*arguments, "--frames", "6"]) == 2
    assert "at least 8 are needed" in capsys.readouterr().err


def test_the_verb_tunes_weights(files):
    pytest.importorskip("torch")
    arguments = ["tune", str(files / "net.fgm"), "--video", str(files / "clip"), "-o", str(files / "tuned.fgm")]
    assert main([*arguments, "--passes", "1", "--weights", "2", "--json", "-"]) == 0
    before, after = (Model.load(files / name).graph.values["w1"].data for name in ("net.fgm", "tuned.fgm"))
    assert 0 < np.abs(before - after).max() < 0.01
