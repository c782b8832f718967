"""The training example: its data, a few steps of it, and the network it made."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

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
    command = [sys.executable, "examples/train_skipconv.py", "--steps", "6", "--clips", "2", "--held-out", "1"]
    result = subprocess.run(
        [*command, "--out", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=600, check=False
    )
    assert result.returncode == 0, result.stderr
    scores = json.loads((tmp_path / "scores.json").read_text())["scores"]
    assert set(scores) == {"dense twin", "gated, as trained", "gated, closed loop"}
    assert scores["dense twin"]["cut"] == 1
    assert (tmp_path / "shapes_skipconv.onnx").stat().st_size < 300_000
    assert "points lost" in result.stdout
