"""The training example: its data, a few steps of it, and the network it made."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import converters
import runtime

ROOT = Path(__file__).parents[1]
TRAINED = ROOT / "examples" / "shapes_skipconv.onnx"


@pytest.fixture
def shapes(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    import shapes

    return shapes


def test_clips_are_still_but_for_the_objects(shapes):
    clips, again, other = (shapes.make_clips(seed, 3, 4) for seed in (7, 7, 8))
    np.testing.assert_array_equal(clips.frames, again.frames)
    assert not np.array_equal(clips.frames, other.frames)
    assert clips.frames.shape == (3, 4, 96, 96, 3)
    assert clips.labels.shape == (3, 4, 24, 24)
    assert set(np.unique(np.concatenate([clips.labels, other.labels]))) == {0, 1, 2, 3}
    still = (clips.labels == 0).all(1)
    change = np.abs(np.diff(clips.frames[:, :, 2::4, 2::4].astype(int), axis=1)).mean(-1)
    assert change[:, 0][still].mean() < 4  # noise
    moved = clips.labels[:, 0] != clips.labels[:, 1]
    assert change[:, 0][moved].mean() > 10


@pytest.mark.slow
def test_the_recipe_runs(tmp_path):
    pytest.importorskip("torch")
    steps = ["--steps", "3", "--gated-steps", "3", "--settle-steps", "2"]
    command = [sys.executable, "examples/train_skipconv.py", *steps, "--clips", "2", "--held-out", "1"]
    result = subprocess.run(
        [*command, "--out", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=600, check=False
    )
    assert result.returncode == 0, result.stderr
    scores = json.loads((tmp_path / "scores.json").read_text())["scores"]
    assert set(scores) == {"dense twin", "gated, as trained", "gated, closed loop"}
    assert scores["dense twin"]["cut"] == 1
    assert (tmp_path / "shapes_skipconv.onnx").stat().st_size < 300_000
    assert "points lost" in result.stdout


@pytest.mark.filterwarnings("ignore:the compiled engine is missing")
def test_the_network_that_is_shipped(shapes, tmp_path):
    pytest.importorskip("onnx")
    assert TRAINED.stat().st_size < 300_000
    clips = shapes.make_clips(1_000_000, 3, 16)
    preprocess = {"resize": "none", "mean": 128.0, "scale": 1 / 64}
    converters.convert(TRAINED, tmp_path / "net.fgm", preprocess=preprocess, skip_mode="closed_loop")
    right = {}
    for gating in (False, True):
        stream = runtime.Stream(tmp_path / "net.fgm", gating=gating, refresh=0, threshold_scale=1.7)
        found, executed, dense = np.empty_like(clips.labels), 0, 0
        for clip, t in np.ndindex(3, 16):
            if t == 0:
                stream.reset()
            result = stream.push(clips.frames[clip, t])
            found[clip, t] = next(iter(result.values()))[0].argmax(0)
            executed, dense = executed + result.macs + stream.stats().macs_gate, dense + result.macs_dense
        moving = clips.labels > 0
        right[gating] = float((found == clips.labels)[moving].mean())
    assert dense / executed > 3  # short clips, whose first frames are dense
    assert right[False] > 0.7
    assert right[True] > right[False] - 0.03
