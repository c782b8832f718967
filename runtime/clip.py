"""A clip as a network takes it, with progress."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from . import video
from .errors import ArgumentError
from .model import InputInfo, Model
from .reference.prepare import resize_linear

GREY = np.array([0.299, 0.587, 0.114], np.float32)


def image_input(model: Model) -> InputInfo:
    """The network's only input.

    Raises:
        ArgumentError: it has several, or one that is not an image.
    """
    if len(model.inputs) != 1 or model.inputs[0].channels not in (1, 3):
        raise ArgumentError(
            "the network must have one input of 1 or 3 channels; use runtime.Stream in Python for others"
        )
    if not model.inputs[0].prepared:
        print("note: this file does not prepare frames, so they go in as grey levels 0 to 255", file=sys.stderr)
    return model.inputs[0]


def fit(image: video.Image, info: InputInfo) -> npt.NDArray[np.uint8]:
    """An RGB image as ``Stream.push`` takes it: grey for one channel, resized where the file does not say how."""
    if info.channels == 1:
        image = np.round(image @ GREY).astype(np.uint8)[:, :, None]
    return image if info.resized else resize_linear(image, info.height, info.width)


def images(source: str, count: int | None) -> Iterator[video.Image]:
    """The first ``count`` images of a source, or all.

    Raises:
        ArgumentError: there are none.
    """
    found = itertools.islice(video.frames(source), count)
    first = next(found, None)
    if first is None:
        raise ArgumentError(f"{source}: no frames")
    return itertools.chain([first], found)


@contextmanager
def progress(total: int | None) -> Iterator[Callable[[str], None]]:
    """A function to call after each frame with what to say about it: a bar on a terminal, else one line per frame."""
    rich: Any = video.optional("rich.progress") if sys.stderr.isatty() else None
    count = itertools.count(1)
    if rich is None:
        yield lambda text: print(f"frame {next(count)}: {text}", file=sys.stderr)
        return
    columns = ("[progress.description]{task.description}", rich.BarColumn(), rich.MofNCompleteColumn())
    with rich.Progress(*columns, rich.TimeElapsedColumn()) as bar:
        task = bar.add_task("starting", total=total)
        yield lambda text: bar.update(task, advance=1, description=text)
