"""The Python API: frames in, views and masks out, on both backends."""

from __future__ import annotations

import gc
import threading

import numpy as np
import pytest

import runtime
from runtime import _binding
from runtime.model import InputInfo
from runtime.stream import prepare_frame

SHAPE = (12, 16, 3)
IMAGE = InputInfo("frame", 12, 16, 3, False, False, (1, 3, 12, 16), (2, 3))


def frames_of(rng, count=3):
    """A random frame, and then ones of which each differs from the last in a 2 x 3 spot."""
    frame = rng.integers(0, 9, SHAPE).astype(np.uint8)
    yield frame
    for index in range(1, count):
        frame = frame.copy()
        frame[3 + index : 5 + index, 4:7] += 1
        yield frame


def dense_map(model, frame):
    """The "map" output of a fresh dense stream."""
    return runtime.Stream(model, gating=False).push(frame)["map"].copy()


def test_outputs_are_read_only_views_in_the_source_shape(image_model, backend, rng):
    stream = runtime.Stream(image_model, backend=backend)
    result = stream.push(next(frames_of(rng)))
    assert stream.backend == backend
    assert list(result) == ["map", "flat", "mean"]
    assert len(result) == 3
    assert result.outputs["map"] is result["map"]
    assert {name: array.shape for name, array in result.items()} == {
        "map": (1, 4, 12, 16),
        "flat": (192, 4),
        "mean": (1, 4),
    }
    assert result["map"].dtype == np.float32
    assert np.array_equal(result["flat"].reshape(12, 16, 4), result["map"][0].transpose(1, 2, 0))
    assert np.array_equal(result["mean"], result["map"].sum((2, 3)))
    with pytest.raises(ValueError, match="read-only"):
        result["map"][0, 0, 0, 0] = 1


def test_output_is_a_convolution(image_model, backend, rng):
    frame = next(frames_of(rng))
    weights = image_model.graph.values["w"].data
    padded = np.pad(frame, ((1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (0, 1))  # (12, 16, 3, 3, 3): C, kh, kw last
    expected = np.maximum(np.einsum("yxcij,ijco->oyx", windows, weights), 0)[np.newaxis]
    assert np.array_equal(runtime.Stream(image_model, backend=backend).push(frame)["map"], expected)


def test_changed_is_where_outputs_differ(image_model, backend, rng):
    stream = runtime.Stream(image_model, backend=backend)
    last = None
    for frame in frames_of(rng, 4):
        result = stream.push(frame)
        current = result["map"].copy()
        assert result.changed["map"].shape == (12, 16)
        assert result.changed["map"].dtype == np.bool_
        if last is None:
            assert result.changed["map"].all()
        else:
            assert np.array_equal(result.changed["map"], (current != last).any((0, 1)))
            assert 0 < result.macs < result.macs_dense
        assert result.changed["flat"].shape == ()
        assert result.changed["flat"]
        last = current
        assert np.array_equal(current, dense_map(image_model, frame))


def test_still_frame_executes_nothing(image_model, backend, rng):
    stream = runtime.Stream(image_model, backend=backend, refresh=2)
    frame = next(frames_of(rng))
    first = stream.push(frame)
    assert first.macs == first.macs_dense == image_model.macs
    assert first.skipped == 0
    for _ in range(5):
        result = stream.push(frame)
        assert result.macs == 0
        assert result.skipped == 1
        assert not any(mask.any() for mask in result.changed.values())


def test_dense_stream_skips_nothing(image_model, backend, rng):
    stream = runtime.Stream(image_model, backend=backend, gating=False)
    frame = next(frames_of(rng))
    assert [stream.push(frame).skipped for _ in range(3)] == [0, 0, 0]


def test_threshold_scale(make_image_model, backend, rng):
    model = make_image_model(alpha=1e6)
    frames = list(frames_of(rng))
    held = runtime.Stream(model, backend=backend, refresh=0)
    exact = runtime.Stream(model, backend=backend, refresh=0, threshold_scale=0.0)
    first = held.push(frames[0])["map"].copy()
    exact.push(frames[0])
    for frame in frames[1:]:
        assert np.array_equal(held.push(frame)["map"], first)
        assert np.array_equal(exact.push(frame)["map"], dense_map(model, frame))


def test_stats_and_masks(image_model, backend, rng):
    stream = runtime.Stream(image_model, backend=backend)
    frames = list(frames_of(rng, 2))
    for frame in frames:
        result = stream.push(frame)
    conv, whole = stream.stats("conv"), stream.stats()
    assert conv.frames == whole.frames == 2
    assert conv.macs == whole.macs == result.macs
    assert conv.macs_total == conv.macs + conv.macs_dense
    assert conv.pixels == 12 * 16
    assert conv.computed == 4 * 5
    assert conv.skipped == result.skipped == 1 - result.macs / result.macs_dense
    assert np.array_equal(stream.changed_mask("frame"), (frames[0] != frames[1]).any(2))
    assert np.array_equal(stream.changed_mask("conv"), result.changed["map"])
    assert conv.changed == stream.changed_mask("conv").sum()
    for call in (stream.stats, stream.changed_mask):
        with pytest.raises(runtime.ArgumentError, match="nonesuch"):
            call("nonesuch")


def test_reset_forgets(image_model, backend, rng):
    stream = runtime.Stream(image_model, backend=backend)
    frame = next(frames_of(rng))
    before = stream.push(frame)["map"].copy()
    stream.reset()
    assert stream.stats().frames == 0
    result = stream.push(frame)
    assert result.skipped == 0
    assert np.array_equal(result["map"], before)


def test_memory_is_told(image_model, backend):
    stream = runtime.Stream(image_model, backend=backend)
    assert stream.state_bytes >= 12 * 16 * 7 * 4
    assert stream.scratch_bytes >= 0


def test_outputs_keep_the_memory_alive(image_model, rng):
    frame = next(frames_of(rng))
    view = runtime.Stream(image_model).push(frame)["map"]
    gc.collect()
    assert np.array_equal(view, dense_map(image_model, frame))


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_do_not_change_a_bit(image_model, rng, threads):
    one, many = runtime.Stream(image_model), runtime.Stream(image_model, threads=threads)
    for frame in frames_of(rng, 6):
        assert one.push(frame)["map"].tobytes() == many.push(frame)["map"].tobytes()


def test_isa_does_not_change_a_bit(image_model, rng):
    best, ref = runtime.Stream(image_model), runtime.Stream(image_model, isa="ref")
    assert ref.isa != ""
    for frame in frames_of(rng, 3):
        assert best.push(frame)["map"].tobytes() == ref.push(frame)["map"].tobytes()


def test_row_strides_need_no_copy():
    image = np.zeros((20, 40, 3), np.uint8)
    view = image[4:16, 8:24]
    assert np.shares_memory(prepare_frame(view, IMAGE), image)
    for other in (
        image[:12, :32:2],
        image[11::-1, :16],
        image[:12, :16, ::-1],
        np.zeros((3, 12, 16)).transpose(1, 2, 0),
    ):
        array = prepare_frame(other.astype(np.uint8) if other.dtype != np.uint8 else other, IMAGE)
        assert array.strides == (48, 3, 1)
        assert np.array_equal(array, other)


def test_axes_of_size_1_may_have_any_stride(vectors_model):
    stream = runtime.Stream(vectors_model)
    column = np.arange(5, dtype=np.float32)[:, None]
    assert column.T.strides[0] < 20
    result = stream.push({"a": np.zeros((1, 5, 7), np.float32), "b": column.T})
    assert np.array_equal(result["sum"], -np.repeat(column[None], 7, 2))


def test_strided_frames_give_the_same(image_model, backend, rng):
    frame = next(frames_of(rng))
    wide = np.zeros((14, 30, 3), np.uint8)
    wide[1:13, 5:21] = frame
    expected = dense_map(image_model, frame)
    for each in (wide[1:13, 5:21], np.asfortranarray(frame), frame.astype(np.float32), frame[::-1].copy()[::-1]):
        assert np.array_equal(runtime.Stream(image_model, backend=backend).push(each)["map"], expected)


def test_layouts_may_change_from_push_to_push(image_model, backend, rng):
    stream = runtime.Stream(image_model, backend=backend, threshold_scale=0)
    for frame in frames_of(rng, 5):
        wide = np.zeros((SHAPE[0], 2 * SHAPE[1], SHAPE[2]), np.uint8)
        wide[:, : SHAPE[1]] = frame
        mirrored = np.ascontiguousarray(frame[:, ::-1])
        for layout in (frame, frame.copy(), wide[:, : SHAPE[1]], mirrored[:, ::-1], frame.astype(np.float32), frame):
            want = dense_map(image_model, frame)
            np.testing.assert_array_equal(stream.push(layout)["map"], want)
            with pytest.raises(runtime.ArgumentError):
                stream.push(layout[:-1])


def test_camera_size_may_change(make_image_model, backend, rng):
    stream = runtime.Stream(make_image_model(prepared=True), backend=backend)
    for size in ((12, 16), (48, 64), (7, 9), (480, 640)):
        frame = np.full((*size, 3), 7, np.uint8)
        result = stream.push(frame)
    assert result.macs == 0  # the same picture, however large


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (np.zeros(SHAPE), r"float64: convert with frame\.astype\(np\.float32\)"),
        (np.zeros(SHAPE, int), r"int64: convert with frame\.astype\(np\.uint8\)"),
        (np.zeros(SHAPE, np.float16), r"float16"),
        (np.zeros(SHAPE, bool), "bool"),
        (np.zeros((3, 12, 16), np.uint8), r"channels come last, so use frame\.transpose\(1, 2, 0\)"),
        (np.zeros((1, 3, 12, 16), np.uint8), r"frame\[0\]\.transpose"),
        (np.zeros((12, 17, 3), np.uint8), r"\(12, 16, 3\) is needed, not \(12, 17, 3\)"),
        (np.zeros((12, 16), np.uint8), r"not \(12, 16\)"),
        (np.zeros((12, 16, 4), np.uint8), r"not \(12, 16, 4\)"),
        (np.zeros((0, 16, 3), np.uint8), r"not \(0, 16, 3\)"),
        (np.full(SHAPE, np.nan, np.float32), "(?i)nan"),
        (np.full(SHAPE, np.inf, np.float32), "(?i)inf"),
        ({"other": np.zeros(SHAPE, np.uint8)}, r"\['frame'\].*\['other'\]"),
    ],
)
def test_wrong_frames_leave_the_stream_usable(image_model, backend, frame, message, rng):
    stream = runtime.Stream(image_model, backend=backend)
    good = next(frames_of(rng))
    before = stream.push(good)["map"].copy()
    with pytest.raises(runtime.ArgumentError, match=message):
        stream.push(frame)
    result = stream.push(good)
    assert result.macs == 0
    assert np.array_equal(result["map"], before)


def test_prepared_input_takes_uint8_only(make_image_model, backend):
    stream = runtime.Stream(make_image_model(prepared=True), backend=backend)
    with pytest.raises(runtime.ArgumentError, match=r"uint8, .*not float32"):
        stream.push(np.zeros(SHAPE, np.float32))


def test_inputs_that_are_no_images(vectors_model, backend, rng):
    stream = runtime.Stream(vectors_model, backend=backend)
    a, b = rng.random((1, 5, 7), np.float32), rng.random((1, 5), np.float32)
    result = stream.push({"a": a, "b": b})
    assert np.array_equal(result["sum"], -(a + b[:, :, np.newaxis]))
    assert result.changed["sum"].shape == (7,)
    a[0, 2, 3] += 1
    result = stream.push({"a": a[0], "b": b[0]})
    assert np.array_equal(result["sum"], -(a + b[:, :, np.newaxis]))
    assert np.array_equal(result.changed["sum"], np.arange(7) == 3)
    with pytest.raises(runtime.ArgumentError, match="several inputs"):
        stream.push(a)


def test_one_channel_needs_no_channel_axis():
    info = InputInfo("frame", 12, 16, 1, False, False, (1, 1, 12, 16), (2, 3))
    assert prepare_frame(np.zeros((12, 16), np.uint8), info).shape == (12, 16, 1)


@pytest.mark.parametrize(
    "options",
    [
        {"threads": 0},
        {"threads": 1000},
        {"threshold_scale": -1.0},
        {"threshold_scale": float("nan")},
        {"threshold_scale": float("inf")},
        {"refresh": -1},
        {"backend": "gpu"},
        {"isa": "sse"},
    ],
)
def test_wrong_options(image_model, options):
    with pytest.raises(runtime.ArgumentError, match=next(iter(options))):
        runtime.Stream(image_model, **options)


def test_two_threads_in_one_stream(image_model):
    stream = runtime.Stream(image_model)
    stream._impl = Blocking(stream._impl)
    worker = threading.Thread(target=stream.push, args=(np.zeros(SHAPE, np.uint8),))
    worker.start()
    assert stream._impl.entered.wait(10)
    with pytest.raises(runtime.StateError, match="another thread"):
        stream.push(np.zeros(SHAPE, np.uint8))
    stream._impl.release.set()
    worker.join()
    assert stream.push(np.zeros(SHAPE, np.uint8)).macs == 0


class Blocking:
    """A backend whose push waits."""

    def __init__(self, impl):
        self.impl, self.entered, self.release = impl, threading.Event(), threading.Event()

    def __getattr__(self, name):
        return getattr(self.impl, name)

    def push(self, frames):
        self.entered.set()
        self.release.wait(10)
        self.impl.push(frames)


def test_missing_engine_is_said_aloud(image_model, monkeypatch):
    monkeypatch.setattr(_binding, "IMPORT_ERROR", ImportError("no _engine"))
    model = runtime.Model.from_bytes(bytes(image_model._data))
    with pytest.warns(RuntimeWarning, match=r"python build\.py develop.*no _engine"):
        stream = runtime.Stream(model)
    assert stream.backend == "numpy"
    assert stream.push(np.zeros(SHAPE, np.uint8)).skipped == 0
