"""Counts what frames cost the engine: a dense one, one of which a tenth changes, one that is the same again."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from runtime import Model, controlled
from runtime.reference.prepare import resize_linear

from ..tools import FOLDER, build
from .counter import Stretch, count, emulator

CPUS = {"aarch64": "cortex-a72", "armv7": "cortex-a7"}
KINDS = ("dense", "square", "still")


@dataclass
class Frame:
    """One counted push: what was executed and the multiply-accumulates of it, and of a dense frame."""

    stretch: Stretch
    macs: int
    dense_macs: int

    def total(self) -> Counter[str]:
        """Instructions by class."""
        return self.stretch.total()


def program(target: str) -> Path:
    """``frames.c`` with the engine, static: also the C library's part is in its symbols."""
    return build(target, FG_TESTS="ON", CMAKE_EXE_LINKER_FLAGS="-static") / "frames"


def smooth(height: int, width: int, channels: int) -> np.ndarray:
    """(height, width, channels) uint8: a picture with edges of all slopes, the same everywhere."""
    rows, cols, parts = np.mgrid[0:height, 0:width, 0:channels]
    return (((rows * 3 + parts * 50) ^ (cols * 5)) % 256).astype(np.uint8)


def measure(
    net: Path, target: str, cpu: str = "", picture: np.ndarray | None = None, kinds: tuple[str, ...] = KINDS
) -> dict[str, Frame]:
    """A frame of each of ``kinds``: gating off; a compact tenth of the picture repainted; nothing changed.

    ``picture`` is (H, W, C) uint8 and resized to the network's own size, so that no frame is resized while counting.
    """
    info = Model.load(net).inputs[0]
    size = (info.height, info.width, info.channels)
    scene = smooth(*size) if picture is None else resize_linear(picture, info.height, info.width)
    first, second = controlled.frames("square 10 %", scene, 2)
    path = FOLDER / f"{net.stem}.frames"
    shape = ["u8" if info.prepared else "f32", *map(str, size)]
    on = emulator(target, cpu or CPUS[target])
    frames = {}
    for gating, made in ((0, {"dense": 0}), (1, {"square": 1, "still": 2})):
        wanted = {kind: index for kind, index in made.items() if kind in kinds}
        if not wanted:
            continue
        pushed = [first, second, second][: 1 + max(wanted.values())]
        np.stack(pushed).astype(np.uint8 if info.prepared else np.float32).tofile(path)
        marks, _, said = count(on, program(target), net, path, *shape, str(gating))
        macs = [(int(a), int(b)) for a, b in re.findall(r"macs (\d+) of (\d+)", said)]
        frames |= {kind: Frame(marks[index], *macs[index]) for kind, index in wanted.items()}
    return frames
