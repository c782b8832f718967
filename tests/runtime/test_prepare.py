"""Preparation of camera frames in C (src/prepare.c): against its NumPy twin bit for bit, and against OpenCV."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from converters.writer import to_bytes
from runtime import ArgumentError, Model, Stream, engine_available
from runtime.reference.graph import Align, Graph, Input, Node, Output, Preprocess, Resize, Unary, Value, ValueKind
from runtime.reference.prepare import letterbox_box

pytestmark = pytest.mark.skipif(not engine_available(), reason="the engine is not built")

Frame = npt.NDArray[np.uint8]


def network(height: int, width: int, channels: int, threshold: float, preprocess: Preprocess | None) -> Model:
    """Its outputs are the prepared frame and a copy of it."""
    graph = Graph()
    shape = {"shape": (1, channels, height, width), "pixel_axes": (2, 3)}
    graph.values = {
        "image": Value("image", ValueKind.INPUT, height, width, channels, **shape),  # type: ignore[arg-type]
        "copy": Value("copy", ValueKind.NODE, height, width, channels, **shape),  # type: ignore[arg-type]
    }
    graph.nodes = [Node("identity", Unary(), ["image"], "copy")]
    graph.inputs = [Input("image", "image", threshold=threshold, preprocess=preprocess)]
    graph.outputs = [Output("image", "image"), Output("copy", "copy")]
    return Model.from_bytes(to_bytes(graph))


def plain(channels: int, resize: Resize = Resize.STRETCH, **options: Any) -> Preprocess:
    """Preparation that leaves grey levels as they are."""
    return Preprocess(
        resize, channel_order=tuple(range(channels)), mean=(0.0,) * channels, scale=(1.0,) * channels, **options
    )


@st.composite
def cases(draw: st.DrawFn) -> tuple[Model, list[Frame], float]:
    """A network, a clip whose size may change, and a factor of thresholds."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    channels = draw(st.integers(1, 4))
    resize = draw(st.sampled_from(Resize))
    preprocess = Preprocess(
        resize,
        draw(st.sampled_from(Align)) if resize == Resize.LETTERBOX else Align.TOP_LEFT,
        draw(st.integers(0, 255)) if resize == Resize.LETTERBOX else 0,
        tuple(int(c) for c in rng.permutation(channels)),
        tuple(float(v) for v in rng.normal(100, 50, channels).astype(np.float32)),
        tuple(float(v) for v in rng.normal(0, 0.05, channels).astype(np.float32)),
    )
    height, width = draw(st.integers(1, 20)), draw(st.integers(1, 150))
    model = network(height, width, channels, draw(st.sampled_from([0.0, 1.5, 4.0, 300.0])), preprocess)
    frames: list[Frame] = []
    for _ in range(draw(st.integers(1, 5))):
        if frames and draw(st.booleans()):  # the last frame with some noise
            noise = rng.integers(-6, 7, frames[-1].shape) * (rng.random(frames[-1].shape) < 0.1)
            frames.append(np.clip(frames[-1] + noise, 0, 255).astype(np.uint8))
            continue
        fixed = resize == Resize.NONE or draw(st.booleans())
        odd = draw(st.integers(1, 90)), draw(st.integers(1, 200))
        usual = height * draw(st.integers(1, 2)), width * draw(st.integers(1, 2))  # ways of their own for such columns
        size = (height, width) if fixed else draw(st.sampled_from([odd, usual, (odd[0], usual[1])]))
        padded = rng.integers(0, 256, (size[0], size[1] + 3, channels)).astype(np.uint8)
        frames.append(padded[:, : size[1]])  # a row stride of its own
    return model, frames, draw(st.sampled_from([0.0, 0.5, 1.0]))


@given(cases())
@settings(max_examples=150, deadline=None)
def test_engine_equals_its_twin(case: tuple[Model, list[Frame], float]) -> None:
    model, frames, scale = case
    best, scalar = (Stream(model, threshold_scale=scale, isa=isa) for isa in ("best", "ref"))  # type: ignore[arg-type]
    twin = Stream(model, threshold_scale=scale, backend="numpy")
    for frame in frames:
        expected = twin.push(frame)
        for stream in (best, scalar):
            result = stream.push(frame)
            for name in ("image", "copy"):
                assert result[name].tobytes() == expected[name].tobytes()
            np.testing.assert_array_equal(result.changed["image"], expected.changed["image"])


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("size", [(480, 640), (1080, 1920), (120, 160), (241, 319), (240, 320), (1, 1), (7, 500)])
def test_stretch_is_within_one_level_of_opencv(size: tuple[int, int], channels: int) -> None:
    cv2 = pytest.importorskip("cv2")
    frame = np.random.default_rng(1).integers(0, 256, (*size, channels)).astype(np.uint8)
    ours = Stream(network(240, 320, channels, 0.0, plain(channels))).push(frame)["image"][0].transpose(1, 2, 0)
    theirs = cv2.resize(frame, (320, 240), interpolation=cv2.INTER_LINEAR).reshape(240, 320, channels)
    assert np.abs(ours - theirs).max() <= 1


@pytest.mark.parametrize("align", Align)
@pytest.mark.parametrize("size", [(480, 640), (640, 480), (100, 1000), (5, 5)])
def test_letterbox_keeps_proportions_and_fills(size: tuple[int, int], align: Align) -> None:
    cv2 = pytest.importorskip("cv2")
    frame = np.random.default_rng(2).integers(0, 256, (*size, 3)).astype(np.uint8)
    model = network(96, 128, 3, 0.0, plain(3, Resize.LETTERBOX, align=align, fill=114))
    ours = Stream(model).push(frame)["image"][0].transpose(1, 2, 0)
    top, left, rows, cols = letterbox_box(96, 128, size, align)
    assert math.isclose(rows / cols, size[0] / size[1], rel_tol=0.1)
    theirs = np.full((96, 128, 3), 114, np.uint8)
    theirs[top : top + rows, left : left + cols] = cv2.resize(frame, (cols, rows), interpolation=cv2.INTER_LINEAR)
    assert np.abs(ours - theirs).max() <= 1


@pytest.mark.parametrize("prepared", [True, False], ids=["prepared", "as it is"])
def test_threads_share_the_rows_of_a_frame(prepared: bool) -> None:
    """Rows differ in how much of them changes; after a still frame one thread takes them all."""
    height, width = 301, 200
    model = network(height, width, 3, 4.0, plain(3, Resize.LETTERBOX, fill=7) if prepared else None)
    rng = np.random.default_rng(5)
    size = (240, 400) if prepared else (height, width)
    clip = [rng.integers(0, 256, (*size, 3)).astype(np.uint8 if prepared else np.float32)]
    for rows in (slice(0, 0), slice(0, 30), slice(37, 38), slice(0, 0), slice(0, 0), slice(200, None), slice(None)):
        frame = clip[-1].copy()
        frame[rows, 50:90] = rng.integers(0, 256, frame[rows, 50:90].shape)
        clip.append(frame)
    for gating in (True, False):
        streams = [Stream(model, gating=gating, threads=threads) for threads in (1, 2, 7)]
        for frame in clip:
            one, *others = [stream.push(frame) for stream in streams]
            for result in others:
                assert result["copy"].tobytes() == one["copy"].tobytes()
                assert np.array_equal(result.changed["image"], one.changed["image"])


def test_small_changes_add_up() -> None:
    """The gate compares with what the network has seen, not with the last frame."""
    stream = Stream(network(4, 4, 3, 4.0, plain(3, Resize.NONE)), refresh=0)
    seen = []
    for level in (10, 12, 14, 15, 16):
        stream.push(np.full((4, 4, 3), level, np.uint8))
        seen.append(float(stream.push(np.full((4, 4, 3), level, np.uint8))["image"][0, 0, 0, 0]))
    assert seen == [10.0, 10.0, 10.0, 15.0, 15.0]


def test_state_does_not_depend_on_the_camera() -> None:
    stream = Stream(network(8, 8, 3, 4.0, plain(3)))
    before = stream.state_bytes
    for size in ((4, 4), (2000, 3000), (1, 9000)):
        stream.push(np.zeros((*size, 3), np.uint8))
    assert stream.state_bytes == before


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (np.zeros((8, 8, 4), np.uint8), "3"),
        (np.zeros((8, 8, 3), np.float32), "uint8"),
        (np.zeros((0, 8, 3), np.uint8), "shape"),
        (np.zeros((1, 65537, 3), np.uint8), "65536"),
    ],
)
def test_wrong_frames_are_refused_and_the_stream_goes_on(frame: npt.NDArray[Any], message: str) -> None:
    stream = Stream(network(8, 8, 3, 4.0, plain(3)))
    good = np.full((16, 16, 3), 9, np.uint8)
    stream.push(good)
    with pytest.raises(ArgumentError, match=message):
        stream.push(frame)
    result = stream.push(good)
    assert not result.changed["image"].any()
    assert (result["image"] == 9).all()
