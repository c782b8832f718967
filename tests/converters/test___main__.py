"""The command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from converters.__main__ import main, parse_pairs, parse_shapes
from runtime.reference.errors import ArgumentError
from runtime.reference.reader import read_model


@pytest.fixture
def source(tmp_path: Path) -> Path:
    weights = numpy_helper.from_array(np.ones((2, 3, 1, 1), np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"])],
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, "height", "width"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [weights],
    )
    path = tmp_path / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


def test_convert(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = source.with_suffix(".fgm")
    arguments = [str(source), "-o", str(target), "--shape", "x=1,3,6,4", "--report", "json", "--gate", "none"]
    assert main([*arguments, "--preprocess", "mean=1,2,3", "resize=none"]) == 0
    assert json.loads(capsys.readouterr().out)["macs"] == 24 * 6
    prepare = read_model(target).inputs[0].preprocess
    assert prepare is not None
    assert prepare.mean == (1.0, 2.0, 3.0)


def test_dump(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = source.with_suffix(".fgm")
    assert main([str(source), "-o", str(target), "--shape", "x=1,3,6,4", "--dump-after", "import"]) == 0
    assert "= conv2d(" in capsys.readouterr().out


def test_errors_are_one_message(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = source.with_suffix(".fgm")
    assert main([str(source), "-o", str(target)]) == 2
    captured = capsys.readouterr()
    assert "--shape" in captured.err
    assert captured.out == ""
    assert not target.exists()


def test_shapes() -> None:
    assert parse_shapes(["a=1,3,2,2", "b=1x4"]) == {"a": (1, 3, 2, 2), "b": (1, 4)}
    assert parse_shapes(None) is None
    with pytest.raises(ArgumentError, match="expected NAME=1,3,240,320"):
        parse_shapes(["a=big"])


def test_pairs() -> None:
    assert parse_pairs(['{"mean": [1, 2, 3]}']) == {"mean": [1, 2, 3]}
    assert parse_pairs(["mean=1,2.5,3", "resize=none", "size=240,320"]) == {
        "mean": [1, 2.5, 3],
        "resize": "none",
        "size": [240, 320],
    }
    with pytest.raises(ArgumentError, match="expected KEY=VALUE"):
        parse_pairs(["mean"])
    with pytest.raises(ArgumentError, match="is not JSON"):
        parse_pairs(["{mean"])


def test_gates_and_mode(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target, gates = source.with_suffix(".fgm"), source.with_suffix(".json")
    gates.write_text(json.dumps({"gates": [{"match": "w", "gate": "norm_input", "eps": 0.5}]}))
    arguments = [str(source), "-o", str(target), "--shape", "x=1,3,6,4", "--gates", str(gates)]
    assert main(arguments) == 0
    assert "skip gates  norm_input eps 0.5, residual, reference last, floor, half: w\n" in capsys.readouterr().out
    assert main([*arguments, "--skip-mode", "closed_loop"]) == 0
    assert "skip gates  norm_input eps 0.5, recompute, reference fired: w\n" in capsys.readouterr().out
