"""convert() from ONNX bytes to a checked file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import converters
from converters.conversion import compare
from converters.evaluate import evaluate
from runtime.reference.errors import ArgumentError, Error, FormatError
from runtime.reference.graph import GateNorm, HoldGate, SkipGate, SkipReference
from runtime.reference.reader import read_model


def model(side: int | str = 8, activation: str = "Relu") -> bytes:
    random = np.random.default_rng(0)
    tensors = {
        "w1": random.normal(size=(4, 3, 3, 3)),
        "scale": random.uniform(0.5, 2, 4),
        "shift": random.normal(size=4),
        "mean": random.normal(size=4),
        "variance": random.uniform(0.5, 2, 4),
        "w2": random.normal(size=(2, 4, 1, 1)),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["a", "scale", "shift", "mean", "variance"], ["b"]),
        helper.make_node(activation, ["b"], ["c"]),
        helper.make_node("Mul", ["b", "c"], ["d"]),
        helper.make_node("Conv", ["d" if activation == "Sigmoid" else "c", "w2"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, side, side])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2, side, side])],
        [numpy_helper.from_array(data.astype(np.float32), name) for name, data in tensors.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(made)
    return bytes(made.SerializeToString())


def test_batch_norm_and_activation_are_folded(tmp_path: Path) -> None:
    report = converters.convert(model(), tmp_path / "net.fgm")
    graph = read_model(tmp_path / "net.fgm")
    assert [node.op for node in graph.nodes] == ["conv2d", "conv2d"]
    assert report.check is not None
    assert report.check < 1e-5
    assert report.macs == 64 * (27 * 4 + 4 * 2)
    assert (report.gated, report.alpha) == (1, 0.1)
    assert report.file_bytes == (tmp_path / "net.fgm").stat().st_size
    assert graph.inputs[0].threshold == 4
    assert any("0.01 to 0.02" in note for note in report.notes)


@pytest.mark.parametrize("name", ["w1", "variance"])
def test_broken_weights_write_nothing(name: str, tmp_path: Path) -> None:
    source = onnx.load_from_string(model())
    broken = next(each for each in source.graph.initializer if each.name == name)
    numbers = numpy_helper.to_array(broken).copy()
    numbers.flat[0] = np.nan if name == "w1" else -1.0  # a deviation is its square root
    broken.CopyFrom(numpy_helper.from_array(numbers, name))
    with pytest.raises(FormatError, match=r"are NaN or infinite.*export the weights of a good epoch"):
        converters.convert(source, tmp_path / "net.fgm")
    assert not (tmp_path / "net.fgm").exists()


def test_silu_halves_alpha(tmp_path: Path) -> None:
    report = converters.convert(model(activation="Sigmoid"), tmp_path / "net.fgm")
    assert (report.alpha, report.alpha_reason) == (0.05, "1 of 1 activations are SiLU-like")


def test_all_options_reach_the_file(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    frames = [random.integers(0, 256, (20, 30, 3), np.uint8) for _ in range(2)]
    report = converters.convert(
        model("side"),
        tmp_path / "net.fgm",
        preprocess={"color": "bgr", "mean": 127.5, "std": 128},
        alpha=0.25,
        norm="rms",
        block=4,
        input_threshold=7,
        samples=frames,
        shapes={"x": (1, 3, 12, 16)},
        dump_after="fuse_activation",
    )
    graph = read_model(tmp_path / "net.fgm")
    gate = graph.nodes[0].gate
    assert gate is not None
    assert (gate.alpha, gate.norm, gate.block) == (0.25, GateNorm.RMS, 4)
    assert gate.std > 0
    assert graph.inputs[0].threshold == 7
    assert graph.inputs[0].preprocess is not None
    assert graph.inputs[0].preprocess.channel_order == (2, 1, 0)
    assert graph.values[graph.inputs[0].value].extents == (12, 16, 3)
    assert "-> relu" in report.dump
    assert " hold(" not in report.dump
    assert graph.metadata["gates"] == {"gate": "hold", "alpha": 0.25, "norm": "rms", "block": 4}


def test_without_gates(tmp_path: Path) -> None:
    report = converters.convert(model(), tmp_path / "net.fgm", gate="none", grey_level=1 / 255)
    graph = read_model(tmp_path / "net.fgm")
    assert (report.gated, report.alpha) == (0, None)
    assert graph.inputs[0].grey_level == pytest.approx(1 / 255)


def test_winograd_where_it_pays(tmp_path: Path) -> None:
    weights = np.random.default_rng(0).normal(size=(2, 16, 16, 3, 3)).astype(np.float32)
    parts = [numpy_helper.from_array(each / 12, name) for each, name in zip(weights, ("w1", "w2"), strict=True)]
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["a", "w2"], ["y"], pads=[1, 1, 1, 1]),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 16, 40, 40]) for name in "xy"]
    source = helper.make_model(
        helper.make_graph(nodes, "two", ends[:1], ends[1:], parts),
        opset_imports=[helper.make_opsetid("", 13)],
        ir_version=8,
    )
    auto = converters.convert(source, tmp_path / "auto.fgm", dump_after="use_winograd")
    never = converters.convert(source, tmp_path / "never.fgm", winograd="never", dump_after="use_winograd")
    compact = converters.convert(source, tmp_path / "compact.fgm", winograd="compact", dump_after="use_winograd")
    (note,) = (note for note in auto.notes if "Winograd" in note)
    assert note.startswith("1 convolutions by Winograd's algorithm: 0.03 MB more")
    assert [line.count(" winograd") for line in auto.dump.splitlines() if "= conv2d" in line] == [1, 0]  # heads: no
    assert " winograd" not in never.dump
    assert compact.dump.count(" compact winograd") == 1
    assert "1 convolutions by Winograd's algorithm" in compact.notes
    assert compact.file_bytes == never.file_bytes
    assert (auto.macs, auto.parameters) == (never.macs, never.parameters) == (compact.macs, compact.parameters)
    assert auto.file_bytes - never.file_bytes == pytest.approx((36 - 9) * 16 * 16 * 4, abs=1000)
    assert auto.check is not None
    assert 0 < auto.check < 1e-5
    assert compact.check is not None
    assert 0 < compact.check < 1e-5


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "gate": ({"gate": "soft"}, "gate is 'soft'; possible are hold, none"),
    "alpha": ({"alpha": -1}, "alpha is -1"),
    "norm": ({"norm": "l2"}, "norm is 'l2'; possible are l1, rms, max"),
    "block": ({"block": 3}, "block is 3; possible are 1, 2, 4, 8"),
    "threshold": ({"input_threshold": float("nan")}, "input_threshold is nan"),
    "grey level": ({"grey_level": 0}, "grey_level is 0"),
    "winograd": ({"winograd": "always"}, "winograd is 'always'; possible are auto, compact, transformed, never"),
    "dump": ({"dump_after": "fuse"}, "there is no pass 'fuse'; possible are import, fold_constants"),
    "key": ({"preprocess": {"sizes": 1}}, r"unknown keys \['sizes'\]"),
    "input": ({"preprocess": {"image": {}}}, r"preprocess names inputs \['image'\]; the network has \['x'\]"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_options_write_nothing(tmp_path: Path, name: str) -> None:
    options, message = WRONG[name]
    with pytest.raises(ArgumentError, match=message):
        converters.convert(model(), tmp_path / "net.fgm", **options)
    assert list(tmp_path.iterdir()) == []


def test_missing_source(tmp_path: Path) -> None:
    with pytest.raises(Error, match=r"cannot read .*none\.onnx"):
        converters.convert(tmp_path / "none.onnx", tmp_path / "net.fgm")


def test_a_torch_module_needs_a_shape(tmp_path: Path) -> None:
    module = type("Module", (), {"__module__": "torch.nn.modules.module"})
    with pytest.raises(ArgumentError, match="needs input_shape"):
        converters.convert(type("Net", (module,), {})(), tmp_path / "net.fgm")


def test_compare_sees_a_difference(tmp_path: Path) -> None:
    converters.convert(model(), tmp_path / "net.fgm")
    graph, other = read_model(tmp_path / "net.fgm"), read_model(tmp_path / "net.fgm")
    assert compare(graph, other) == 0
    weights = other.values[str(other.nodes[0].inputs[1])]
    assert weights.data is not None
    weights.data = weights.data * np.float32(1.5)
    assert compare(graph, other) > 0.1


def test_outputs_equal_onnx_runtime(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    source = model(activation="Sigmoid")
    converters.convert(source, tmp_path / "net.fgm")
    graph = read_model(tmp_path / "net.fgm")
    frame = np.random.default_rng(3).normal(size=(8, 8, 3)).astype(np.float32)
    found = evaluate(graph, {"x": frame})[graph.outputs[0].value].transpose(2, 0, 1)[None]
    session = onnxruntime.InferenceSession(source, providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {"x": frame.transpose(2, 0, 1)[None]})
    assert np.linalg.norm(found - expected) <= 1e-6 * np.linalg.norm(expected)


NORM = {"gates": [{"match": "w1", "gate": "norm_input", "eps": 0.5, "reset_interval": 4}]}


def test_skip_convolutions_bring_their_gates(tmp_path: Path) -> None:
    report = converters.convert(model(), tmp_path / "net.fgm", gates=NORM)
    graph = read_model(tmp_path / "net.fgm")
    assert report.check is not None
    assert report.check < 1e-5
    assert [type(node.gate) for node in graph.nodes] == [SkipGate, type(None), type(None)]
    assert graph.inputs[0].threshold == 0
    assert report.skip_gates == {"norm_input eps 0.5, residual, reference last, floor, half, reset every 4": ["w1"]}
    assert graph.metadata["gates"] == {"gate": "none", "alpha": None, "norm": "l1", "block": 1}
    assert graph.metadata["skip_mode"] == "trained"


def test_hold_gates_beside_them_when_asked(tmp_path: Path) -> None:
    gates = {"gates": [{"match": "w2", "gate": "norm_input", "eps": 0.5}]}
    converters.convert(model(), tmp_path / "net.fgm", gates=gates, gate="hold", input_threshold=2)
    graph = read_model(tmp_path / "net.fgm")
    assert [type(node.gate) for node in graph.nodes] == [HoldGate, SkipGate]
    assert graph.inputs[0].threshold == 2


def test_one_switch_closes_the_loop(tmp_path: Path) -> None:
    report = converters.convert(model(), tmp_path / "net.fgm", gates=NORM, skip_mode="closed_loop")
    graph = read_model(tmp_path / "net.fgm")
    gate = graph.nodes[0].gate
    assert isinstance(gate, SkipGate)
    assert (gate.reference, gate.reset, gate.half) == (SkipReference.FIRED, 0, False)
    assert len(graph.nodes) == 2, "an output that is recomputed may have its activation fused"
    assert report.check is not None
    assert report.check < 1e-5
    with pytest.raises(ArgumentError, match="skip_mode is 'open'; possible are trained, closed_loop"):
        converters.convert(model(), tmp_path / "net.fgm", gates=NORM, skip_mode="open")


def test_export_onnx_needs_a_place(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    layer = torch.nn.Conv2d(3, 2, 1)
    gates = {"gates": [{"match": "*", "gate": "norm_input", "eps": 0.5}]}
    assert converters.export_onnx(layer, tmp_path / "net.onnx", (1, 3, 8, 8), gates=gates) == []
    assert converters.convert(tmp_path / "net.onnx", tmp_path / "net.fgm").skip_gates != {}
    with pytest.raises(Error, match="cannot write"):
        converters.export_onnx(layer, tmp_path / "none" / "net.onnx", (1, 3, 8, 8))
