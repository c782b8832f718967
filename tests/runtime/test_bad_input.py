"""Wrong frames, options and files through the public API: errors name the thing and leave the stream as it was."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import runtime
from converters.writer import to_bytes
from runtime.reference import graph as g

from ..random_graphs import GraphMaker

FRAME = np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.float32)


def model() -> runtime.Model:
    """One convolution of a 20 x 30 image."""
    maker = GraphMaker(0)
    graph = maker.graph = g.Graph()
    graph.values["image"] = g.Value("image", g.ValueKind.INPUT, 20, 30, 3, shape=(1, 3, 20, 30), pixel_axes=(2, 3))
    graph.inputs.append(g.Input("image", "image"))
    maker.add(g.Conv2d(3, 3, pad_top=1), ["image", maker.weights(3, 3, 3, 4), None], (19, 28, 4))
    graph.outputs.append(g.Output("out", graph.nodes[0].output))
    return runtime.Model.from_bytes(to_bytes(graph))


def nan() -> Any:
    frame = FRAME.copy()
    frame[19, 29, 2] = np.nan
    return frame


WRONG = {
    "nothing": (None, "not object"),
    "a list": ([1, 2], "not int64"),
    "text": ("frame", "uint8 or float32"),
    "float64": (FRAME.astype(np.float64), "not float64"),
    "int64": (FRAME.astype(np.int64), "not int64"),
    "grey": (FRAME[..., 0], r"\(20, 30\)"),
    "four channels": (np.zeros((20, 30, 4), np.uint8), r"\(20, 30, 4\)"),
    "other size": (FRAME[1:], r"\(19, 30, 3\)"),
    "empty": (FRAME[:0], r"\(0, 30, 3\)"),
    "NaN": (nan(), "NaN or an infinity"),
    "infinity": (nan() * 0 + np.inf, "NaN or an infinity"),
    "other input": ({"picture": FRAME}, "given were"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_frame_is_named_and_changes_nothing(name: str) -> None:
    frame, message = WRONG[name]
    stream, untouched = runtime.Stream(model()), runtime.Stream(model())
    for each in (stream, untouched):
        each.push(FRAME)
    with pytest.raises(runtime.ArgumentError, match=message):
        stream.push(frame)
    moved = FRAME + np.float32(1)
    after, want = stream.push(moved), untouched.push(moved)
    assert after["out"].tobytes() == want["out"].tobytes()
    assert after.macs == want.macs
    assert stream.stats().frames == 2


@pytest.mark.parametrize("view", [np.s_[::-1], np.s_[:, ::-1], np.s_[..., ::-1], np.s_[:, :, :]])
def test_any_strides_will_do(view: Any) -> None:
    frame = FRAME[view]
    viewed, copied = (runtime.Stream(model()).push(each)["out"] for each in (frame, frame.copy()))
    assert viewed.tobytes() == copied.tobytes()


@pytest.mark.parametrize(
    "option",
    [
        {"threads": 0},
        {"threads": 257},
        {"threads": 1.5},
        {"refresh": -1},
        {"refresh": 2.0},
        {"threshold_scale": float("nan")},
        {"threshold_scale": -1.0},
        {"threshold_scale": float("inf")},
        {"backend": "gpu"},
        {"isa": "sse"},
    ],
)
def test_a_wrong_option_is_named(option: dict[str, Any]) -> None:
    with pytest.raises(runtime.ArgumentError, match=next(iter(option))):
        runtime.Stream(model(), **option)


def test_files_that_are_no_model(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"missing\.fgm"):
        runtime.Stream(tmp_path / "missing.fgm")
    with pytest.raises(OSError, match="directory"):
        runtime.Model.load(tmp_path)
    for content, message in ((b"", "empty"), (b"not a model" * 100, "magic")):
        (tmp_path / "net.fgm").write_bytes(content)
        with pytest.raises(runtime.FormatError, match=message):
            runtime.Model.load(tmp_path / "net.fgm")


def test_asking_too_early_or_for_unknown_names() -> None:
    stream = runtime.Stream(model())
    with pytest.raises(runtime.StateError, match="push a frame first"):
        stream.changed_mask("image")
    assert stream.stats().frames == 0
    stream.push(FRAME)
    for ask in (stream.changed_mask, stream.stats):
        with pytest.raises(runtime.ArgumentError, match="nobody"):
            ask("nobody")


def test_outputs_are_read_only_and_outlive_the_stream() -> None:
    result = runtime.Stream(model()).push(FRAME)
    with pytest.raises(ValueError, match="read-only"):
        result["out"][...] = 0
    assert np.isfinite(result["out"]).all()


def test_two_threads_on_one_stream_are_told_apart() -> None:
    stream, refused = runtime.Stream(model()), []

    def push() -> None:
        for _ in range(200):
            try:
                stream.push(FRAME)
            except runtime.StateError as error:  # noqa: PERF203
                refused.append(str(error))

    threads = [threading.Thread(target=push) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all("another thread" in message for message in refused)
    assert stream.stats().frames == 400 - len(refused)
