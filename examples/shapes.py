"""A made data set: discs, squares and triangles move over a still, textured scene, seen by a noisy camera.

Everything follows from a seed, so training and held-out clips need no files. ``score`` plays a converted network on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import runtime

SIDE = 96  # of a frame, pixels
CELL = 4  # side of the cells that are labelled
CLASSES = ("background", "disc", "square", "triangle")
NOISE = 2.0  # standard deviation of the camera's noise, grey levels
OBJECTS = 3  # at most
CLOSED_LOOP = {"refresh": 0}  # of the stream
PREPROCESS = {"resize": "none", "mean": 128.0, "scale": 1 / 64}

Frames = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Clips:
    """``frames`` (clips, T, SIDE, SIDE, 3) RGB; ``labels`` (clips, T, SIDE / CELL, SIDE / CELL), indices of CLASSES."""

    frames: Frames
    labels: Labels


def make_clips(seed: int, clips: int, length: int) -> Clips:
    """Random clips; the same for the same arguments."""
    rng = np.random.default_rng(seed)
    scene = backgrounds(rng, clips)[:, None].repeat(length, 1)
    classes = np.zeros((clips, length, SIDE, SIDE), np.int64)
    rows, cols = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
    for clip in range(clips):
        for _ in range(int(rng.integers(1, OBJECTS + 1))):
            kind = int(rng.integers(1, len(CLASSES)))
            radius = rng.uniform(7, 13)
            colour = rng.uniform(20, 235, 3).astype(np.float32)
            stripes = rng.uniform(0.3, 1.2, 2)
            for t, (row, col) in enumerate(path(rng, length, radius)):
                y, x = rows - row, cols - col
                mask = inside(kind, y, x, radius)
                shade = 25 * np.sin(stripes[0] * y + stripes[1] * x)[mask, None]
                scene[clip, t][mask] = colour + shade
                classes[clip, t][mask] = kind
    noisy = scene + np.float32(NOISE) * rng.standard_normal(scene.shape, np.float32)
    frames = np.clip(np.round(noisy), 0, 255).astype(np.uint8)
    return Clips(frames, classes[:, :, CELL // 2 :: CELL, CELL // 2 :: CELL])


def backgrounds(rng: np.random.Generator, count: int) -> Floats:
    """(count, SIDE, SIDE, 3): random textures of four scales around a random colour."""
    total = np.empty((count, SIDE, SIDE, 3), np.float32)
    total[:] = rng.uniform(70, 180, (count, 1, 1, 3))
    for cells, strength in ((3, 25), (8, 15), (24, 10), (SIDE, 6)):
        coarse = rng.normal(0, strength, (count, cells, cells, 3)).astype(np.float32)
        total += coarse.repeat(SIDE // cells, 1).repeat(SIDE // cells, 2)
    return total


def path(rng: np.random.Generator, length: int, radius: float) -> npt.NDArray[np.float64]:
    """(length, 2): centres of an object that moves evenly and bounces at the borders; one in four stands still."""
    start = rng.uniform(radius, SIDE - radius, 2)
    angle, speed = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 2.5) * (rng.random() < 0.75)
    way = start + np.arange(length)[:, None] * speed * np.array([np.sin(angle), np.cos(angle)])
    room = SIDE - 2 * radius
    centres: npt.NDArray[np.float64] = radius + room - np.abs((way - radius) % (2 * room) - room)
    return centres


def inside(kind: int, y: Floats, x: Floats, radius: float) -> npt.NDArray[np.bool_]:
    """Mask of an object of a class around the origin."""
    if kind == 1:
        return np.asarray(y * y + x * x < radius * radius)
    if kind == 2:
        return np.asarray(np.maximum(np.abs(y), np.abs(x)) < 0.85 * radius)
    return np.asarray((y < 0.8 * radius) & (y > 2 * np.abs(x) - radius))


@dataclass(frozen=True)
class Score:
    """Mean intersection over union of the classes, all frames and the last quarter; dense over executed MACs."""

    overlap: float
    late_overlap: float
    cut: float


def score(path: Path, clips: Clips, **options: Any) -> Score:
    """Plays every clip from its start through the engine."""
    stream = runtime.Stream(path, **options)
    found, executed, dense = np.empty_like(clips.labels), 0, 0
    for clip in range(clips.frames.shape[0]):
        stream.reset()
        for t, frame in enumerate(clips.frames[clip]):
            result = stream.push(frame)
            found[clip, t] = next(iter(result.values()))[0].argmax(0)
            executed += result.macs + stream.stats().macs_gate
            dense += result.macs_dense
    quarter = clips.labels.shape[1] // 4
    late = overlap(found[:, -quarter:], clips.labels[:, -quarter:])
    return Score(overlap(found, clips.labels), late, dense / max(executed, 1))


def overlap(found: Labels, labels: Labels) -> float:
    """Intersection over union, mean over the classes."""
    shares = []
    for index in range(len(CLASSES)):
        a, b = found == index, labels == index
        shares.append(np.sum(a & b) / max(1, np.sum(a | b)))
    return float(np.mean(shares))
