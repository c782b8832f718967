"""Clips with a known changed share, from one picture: the same on every machine and in every run."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

Frame = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

FLIP = np.uint8(128)  # moves every grey level by exactly 128
BLOCK = 8


def square(rng: np.random.Generator, height: int, width: int, share: float) -> Mask:
    """(height, width): one compact square of ``share`` of the pixels, anywhere; a rectangle where it must be."""
    rows = min(height, max(1, round((height * width * share) ** 0.5)))
    cols = min(width, max(1, round(height * width * share / rows)))
    top, left = rng.integers(height - rows + 1), rng.integers(width - cols + 1)
    mask = np.zeros((height, width), np.bool_)
    mask[top : top + rows, left : left + cols] = True
    return mask


def blocks(rng: np.random.Generator, height: int, width: int, share: float) -> Mask:
    """(height, width): blocks of 8 x 8 pixels, ``share`` of them, scattered."""
    rows, cols = -(-height // BLOCK), -(-width // BLOCK)
    chosen = np.zeros(rows * cols, np.bool_)
    chosen[rng.choice(rows * cols, max(1, round(rows * cols * share)), replace=False)] = True
    return chosen.reshape(rows, cols).repeat(BLOCK, 0).repeat(BLOCK, 1)[:height, :width]


def still(rng: np.random.Generator, height: int, width: int, share: float) -> Mask:  # noqa: ARG001
    """(height, width): nothing."""
    return np.zeros((height, width), np.bool_)


Choice = Callable[[np.random.Generator, int, int, float], Mask]

CLIPS: dict[str, tuple[Choice, float]] = {"still": (still, 0.0)}
CLIPS |= {f"square {share} %": (square, share / 100) for share in (1, 5, 10, 25)}
CLIPS |= {f"blocks {share} %": (blocks, share / 100) for share in (1, 5)}
CLIPS |= {"all": (square, 1.0)}


def frames(name: str, scene: Frame, count: int) -> Iterator[Frame]:
    """``count`` frames (H, W, C) that start with ``scene``; each repaints what the clip of that name says.

    Changes stay, so that exactly the clip's share differs between one frame and the next.
    """
    choose, share = CLIPS[name]
    rng = np.random.default_rng(7)
    current = scene.copy()
    for index in range(count):
        if index:
            current[choose(rng, scene.shape[0], scene.shape[1], share)] ^= FLIP
        yield current.copy()
