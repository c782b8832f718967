"""What a user may say about frames."""

from __future__ import annotations

import pytest

from converters.preprocess import parse_preprocess
from runtime.reference.errors import ArgumentError
from runtime.reference.graph import Align, Preprocess, Resize, Value, ValueKind

IMAGE = Value("x", ValueKind.INPUT, 240, 320, 3, shape=(1, 3, 240, 320), pixel_axes=(2, 3))
GREY = Value("x", ValueKind.INPUT, 240, 320, 1, shape=(1, 1, 240, 320), pixel_axes=(2, 3))


def test_defaults() -> None:
    assert parse_preprocess({}, IMAGE, "x") == Preprocess(Resize.STRETCH)
    assert parse_preprocess({}, GREY, "x") == Preprocess(Resize.STRETCH, Align.TOP_LEFT, 0, (0,), (0.0,), (1.0,))


def test_everything() -> None:
    options = {
        "size": [240, 320],
        "resize": "letterbox",
        "align": "center",
        "fill": 114,
        "frame_color": "rgb",
        "color": "bgr",
        "mean": 127,
        "std": [2, 4, 8],
    }
    expected = Preprocess(Resize.LETTERBOX, Align.CENTER, 114, (2, 1, 0), (127.0,) * 3, (0.5, 0.25, 0.125))
    assert parse_preprocess(options, IMAGE, "x") == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"means": 1}, r"unknown keys \['means'\]; possible are size, resize"),
        ({"resize": "crop"}, "resize is 'crop'; possible are stretch, letterbox, none"),
        ({"align": "left"}, "align is 'left'; possible are top_left, center"),
        ({"color": "yuv"}, "color is 'yuv'; possible are rgb, bgr"),
        ({"fill": 300}, "fill is 300; it is a grey level, 0 to 255"),
        ({"size": (1, 2)}, r"size \(1, 2\) is not the size of input 'x', \(240, 320\)"),
        ({"mean": [1, 2]}, r"mean is \[1, 2\]; it is a finite number or 3 of them"),
        ({"scale": "big"}, "scale is 'big'"),
        ({"scale": 1, "std": 1}, "both scale and std"),
        ({"std": 0}, "std has a zero"),
    ],
)
def test_wrong_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        parse_preprocess(options, IMAGE, "x")


def test_only_images() -> None:
    with pytest.raises(ArgumentError, match="no color order"):
        parse_preprocess({"color": "bgr"}, GREY, "x")
    vector = Value("x", ValueKind.INPUT, 1, 1, 10, shape=(1, 10))
    with pytest.raises(ArgumentError, match="is no image of 1 to 4 channels"):
        parse_preprocess({}, vector, "x")
