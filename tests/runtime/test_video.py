"""Frame sources, sinks and drawing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime import video
from runtime.reference.errors import ArgumentError


def moving_square(count: int) -> list[video.Image]:
    images = []
    for i in range(count):
        image = np.full((48, 64, 3), (20, 90, 160), np.uint8)
        image[10:26, 4 + 3 * i : 20 + 3 * i] = (220, 40, 30)
        images.append(image)
    return images


def test_png_folder_comes_back_unchanged(tmp_path: Path) -> None:
    pytest.importorskip("PIL")
    images = moving_square(3)
    with video.Writer(tmp_path / "out") as sink:
        for image in images:
            sink.write(image)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"frame_{i:05}.png" for i in range(3)]
    np.testing.assert_array_equal(list(video.frames(tmp_path / "out")), images)


@pytest.mark.parametrize("decoder", ["av", "cv2"])
def test_video_comes_back_in_colour_and_order(tmp_path: Path, decoder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("av")
    pytest.importorskip(decoder)
    images = moving_square(8)
    with video.Writer(tmp_path / "out" / "clip.mp4", rate=29.97) as sink:
        for image in images:
            sink.write(image)
    if decoder == "cv2":
        known = video.optional
        monkeypatch.setattr(video, "optional", lambda *names: known(*(name for name in names if name != "av")))
    back = list(video.frames(str(tmp_path / "out" / "clip.mp4")))
    assert len(back) == 8
    assert np.abs(np.array(back, int) - np.array(images, int)).mean() < 8


def test_odd_sizes_are_cut_to_even(tmp_path: Path) -> None:
    pytest.importorskip("av")
    with video.Writer(tmp_path / "odd.mp4") as sink:
        sink.write(np.zeros((33, 47, 3), np.uint8))
    assert next(video.frames(tmp_path / "odd.mp4")).shape == (32, 46, 3)


def test_sources_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="no such file"):
        video.frames(tmp_path / "none.mp4")
    with pytest.raises(ArgumentError, match="no images"):
        video.frames(tmp_path)
    (tmp_path / "text.mp4").write_text("not a video at all")
    with pytest.raises(ArgumentError, match=r"text\.mp4: cannot be"):
        list(video.frames(tmp_path / "text.mp4"))
    (tmp_path / "text.png").write_text("not an image")
    with pytest.raises(ArgumentError, match=r"text\.png: not an image"):
        list(video.frames(tmp_path / "text.png"))


def test_missing_packages_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*names: str) -> Any:
        return None

    monkeypatch.setattr(video, "optional", nothing)
    (tmp_path / "clip.mp4").touch()
    with pytest.raises(ImportError, match=r"pip install 'framegate\[video\]'"):
        video.frames(tmp_path / "clip.mp4")
    with pytest.raises(ImportError, match=r"writing a video needs av"):
        video.Writer(tmp_path / "out.mp4")
    with pytest.raises(ImportError, match=r"framegate\[cli\]"):
        next(video.frames("0"))
    panels = video.side_by_side(moving_square(2), ["a", "b"])
    assert panels.shape == (48, 132, 3)  # no captions without Pillow


def test_unknown_container(tmp_path: Path) -> None:
    pytest.importorskip("av")
    with pytest.raises(ArgumentError, match="cannot be written"):
        video.Writer(tmp_path / "out.nonsense")


def test_heat_darkens_and_marks() -> None:
    image = np.full((8, 8, 3), 100, np.uint8)
    amount = np.zeros((2, 2), np.float32)
    amount[0, 0] = 1.0
    picture = video.heat(image, amount)
    assert (picture[:4, :4] == 255).all()
    assert (picture[4:, 4:] == 40).all()
