"""Builds in turns: the tool runs and a build beside itself is itself. Times are not tested."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from . import versus
from .blocks import Block, silu

LIBRARY = Path(__file__).parents[2] / "build" / "c" / "libframegate.so"


def test_ratio_is_to_the_first_without_the_outer_eighths():
    first = [100] * 16
    times = [200] * 12 + [1, 1, 100_000, 100_000]
    assert versus.ratio(times, first) == pytest.approx(2.0)


@pytest.mark.skipif(not LIBRARY.exists(), reason="python build.py test builds the shared library")
def test_a_build_beside_itself(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("FRAMEGATE_ASSETS", raising=False)
    path = tmp_path / "net.onnx"
    Block("SiLU", "3x3 + SiLU", 3, 32, silu(3)).write(path)
    words = [str(LIBRARY), str(LIBRARY), "--onnx", str(path), "--frames", "9", "--rounds", "1", "--markdown"]
    monkeypatch.setattr(sys, "argv", ["versus", *words])
    versus.main()
    out = capsys.readouterr().out
    assert "| net | made | off |" in out
    assert "| net | made | on |" in out
    assert "1.000 |" in out  # the first build to itself


@pytest.mark.skipif(not LIBRARY.exists(), reason="python build.py test builds the shared library")
def test_gates_beside_none(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("FRAMEGATE_ASSETS", raising=False)
    path = tmp_path / "net.onnx"
    Block("SiLU", "3x3 + SiLU", 3, 32, silu(3)).write(path)
    words = [str(LIBRARY), "--onnx", str(path), "--frames", "9", "--rounds", "1", "--markdown"]
    monkeypatch.setattr(sys, "argv", ["versus", *words, "--gating", "both", "--clips", "still"])
    versus.main()
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("| net | still | both |"))
    assert float(row.split(", ")[1].split()[0]) < 1.0
    assert "work 0.000, efficiency 0.00" in row  # still frames execute nothing


def test_efficiency_is_the_work_left_over_the_time_left():
    assert versus.cell(2.5, 0.25, 0.2, "both") == "2.50 ms, 0.250, work 0.200, efficiency 0.80"
    assert versus.cell(2.5, 0.25, 0.2, "on") == "2.50 ms, 0.250"


def test_both_is_to_the_first_build_without_gates():
    libraries = [Path("a.so"), Path("b.so")]
    assert versus.contestants_of(libraries, "both") == [
        (libraries[0], False),
        (libraries[0], True),
        (libraries[1], True),
    ]
    assert versus.contestants_of(libraries, "on") == [(each, True) for each in libraries]


def test_real_clips_need_assets(monkeypatch, capsys):
    monkeypatch.delenv("FRAMEGATE_ASSETS", raising=False)
    monkeypatch.setattr(sys, "argv", ["versus", "a.so", "--onnx", "net.onnx", "--clips", "webcam"])
    with pytest.raises(SystemExit):
        versus.main()
    assert "FRAMEGATE_ASSETS" in capsys.readouterr().err
