"""The bench of blocks from its options to its table, our engine alone. Times are not tested."""

from __future__ import annotations

import json
import sys

import pytest

from runtime import engine_available

from . import bench

pytestmark = pytest.mark.skipif(not engine_available(), reason="slow without the engine")


def test_blocks(tmp_path, monkeypatch, capsys):
    path = tmp_path / "blocks.json"
    words = ["--blocks", "960x7x7", "--rivals", "", "--rounds", "1", "--seconds", "0.001", "--json", str(path)]
    monkeypatch.setattr(sys, "argv", ["bench", *words])
    bench.main()
    assert "dw 3x3 960x7x7" in capsys.readouterr().out
    (report,) = json.loads(path.read_text())
    assert report["group"] == "depthwise 3x3"
    assert report["mmacs"] == pytest.approx(8 * 960 * 49 * 9 / 1e6)
    assert report["peak"]["1"] > 0
    monkeypatch.setattr(sys, "argv", ["bench", "--read", str(path), "--markdown"])
    bench.main()
    assert "| dw 3x3 960x7x7 | 1 | - | - |" in capsys.readouterr().out


def test_a_folder_of_tflite_files(tmp_path):
    (tmp_path / "a.tflite").touch()
    options = bench.parser().parse_args(["--tflite", str(tmp_path)])
    for name, found in (("a", tmp_path / "a.tflite"), ("b", None)):
        assert bench.settings(tmp_path / "net.fgm", tmp_path / f"{name}.onnx", ["frame"], options).tflite == found
