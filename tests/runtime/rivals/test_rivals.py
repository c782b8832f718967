"""Every rival that is installed against ONNX Runtime's outputs; those that are not say so."""

from __future__ import annotations

import numpy as np
import pytest

from runtime import rivals
from runtime.rivals import litert, ncnn
from runtime.video import MissingPackageError, optional

MODULES = {"ort": "onnxruntime", "openvino": "openvino", "ncnn": "ncnn", "litert": "ai_edge_litert", "mnn": "MNN"}
SHAPE = (1, 3, 16, 24)


@pytest.fixture
def task(tmp_path):
    """Conv 3 x 3 of stride 2 and a ReLU: outputs "map" and "mean"."""
    onnx = pytest.importorskip("onnx")
    weights = np.random.default_rng(1).normal(size=(8, 3, 3, 3)).astype(np.float32)
    nodes = [
        onnx.helper.make_node("Conv", ["x", "w"], ["c"], strides=[2, 2], pads=[1, 1, 1, 1]),
        onnx.helper.make_node("Relu", ["c"], ["map"]),
        onnx.helper.make_node("GlobalAveragePool", ["map"], ["mean"]),
    ]
    values = {"x": SHAPE, "map": (1, 8, 8, 12), "mean": (1, 8, 1, 1), "w": weights.shape}
    infos = {name: onnx.helper.make_tensor_value_info(name, 1, shape) for name, shape in values.items()}
    given = [infos["x"], infos["w"]]  # the weights as an input, as old exporters have it
    constants = [onnx.numpy_helper.from_array(weights, "w")]
    graph = onnx.helper.make_graph(nodes, "net", given, [infos["map"], infos["mean"]], constants)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 11)], ir_version=4)
    onnx.save(model, tmp_path / "net.onnx")
    return rivals.Task(str(tmp_path / "net.onnx"), 1, str(tmp_path / "cache"), SHAPE, ("map", "mean"))


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in rivals.NAMES if name not in ("ort", "litert")])
def test_agrees_with_onnx_runtime(name, task):
    for module in ("onnxruntime", MODULES[name]):
        pytest.importorskip(module)
    x = np.random.default_rng(2).normal(size=SHAPE).astype(np.float32)
    reference, _ = rivals.open_session("ort", task)
    run, version = rivals.open_session(name, task)
    assert version[0].isdigit()
    for scale in (1.0, 0.5):  # a second input: nothing of the first may stay
        distance = rivals.relative_distance(run(x * np.float32(scale)), reference(x * np.float32(scale)))
        assert distance is not None
        assert distance < 1e-4


@pytest.mark.parametrize("name", rivals.NAMES)
def test_absent_rivals_are_named(name, task, monkeypatch):
    monkeypatch.setattr("runtime.video.optional", lambda *names: None)
    with pytest.raises(MissingPackageError, match=r"comparing with .* needs .*framegate\[bench\]"):
        rivals.open_session(name, task)


def test_litert_needs_a_file(task):
    if optional("ai_edge_litert.interpreter") is None:
        pytest.skip("needs ai-edge-litert")
    with pytest.raises(Exception, match="needs the network as a"):
        rivals.open_session("litert", task)


class Interpreter:
    """Stands in for LiteRT's: two outputs in another order than the source network's."""

    def __init__(self, signature):
        self.signature = signature

    def get_signature_list(self):
        return {"serving_default": {"outputs": list(self.signature)}} if self.signature else {}

    def get_signature_runner(self, key):
        assert key == "serving_default"
        return self

    def get_output_details(self):
        plain = [{"name": "Call:10", "index": 5}, {"name": "Call:2", "index": 7}]
        return {name: {"index": index} for name, index in self.signature.items()} if self.signature else plain


def test_litert_finds_outputs_by_name_or_else_by_number():
    assert litert._targets(Interpreter({"b": 3, "a": 4}), ("a", "b")) == [4, 3]
    assert litert._targets(Interpreter({}), ("a", "b")) == [7, 5]


def test_relative_distance():
    a = [np.array([3.0, 4.0], np.float32), np.array([1], np.int64)]
    assert rivals.relative_distance(a, a) == 0
    assert rivals.relative_distance([np.array([[3.0], [4.5]], np.float32), a[1]], a) == pytest.approx(0.1)
    assert rivals.relative_distance(a[:1], a) is None
    assert rivals.relative_distance([a[0][:1], a[1]], a) is None


PARAM = """7767517
8 11
Input in0 0 1 in0
Split splitncnn_0 1 4 in0 1 2 3 4
Tensor.slice s0 1 1 4 5
Tensor.slice s1 1 1 3 6
Tensor.slice s2 1 1 2 7
Tensor.slice s3 1 1 1 8
Concat cat_0 4 1 5 7 6 8 9 0=0
ReLU r 1 1 9 out0
"""
TRACED = "".join(
    f"Tensor.slice s{i} 1 1 0 {i} dims=(2,3) starts=({start}) steps=(2,2) $input=0\n"
    for i, start in enumerate(("0,0", "0,1", "1,0", "1,1"))
)


def test_ncnn_gets_a_focus_stem_from_its_own_layers():
    lines = ncnn.with_focus(PARAM, TRACED).splitlines()
    assert lines[1] == "5 8"
    assert len(lines) == 2 + 5
    assert lines[3] == "Reorg focus 1 1 in0 focus 0=2 1=1"
    assert lines[4].startswith("Slice focus_parts 1 4 focus 5 6 7 8 ")
    assert ncnn.with_focus(PARAM, "") == PARAM


def test_ncnn_is_told_the_parts_of_a_split_without_sizes():
    head, known = "7767517\n3 4\n", "Slice b 1 2 1 3 4 -23300=2,8,-233 1=0\n"
    told = ncnn.with_parts(head + "Slice a 1 3 in0 1 2 3\n" + known)
    assert told == head + "Slice a 1 3 in0 1 2 3 -23300=3,-233,-233,-233 1=0\n" + known
