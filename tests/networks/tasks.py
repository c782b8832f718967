"""What a user of a network sees of its outputs, and how far two runs agree on it.

Detectors: boxes of gated and dense outputs of the same frame are matched, one to one, same class, intersection over
union of at least 0.5. *Agreement* is the F1 score of all frames together: 2 matched / (gated + dense boxes). It
tolerates a margin, because boxes on the score threshold flip at any disturbance, noise of one grey level included: a
matched pair counts where one of the two reaches the threshold, an unmatched box only where it exceeds the threshold by
MARGIN. Pose networks: the share of keypoints within 3 pixels of the network's input; those count that the dense run
sees (`seen`).
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Outputs = Mapping[str, Array]

MARGIN = 0.05
OVERLAP = 0.5  # intersection over union, of boxes that are the same
SUPPRESSION = 0.5
NEAR = 3.0  # pixels of the network's input


@dataclass(frozen=True)
class Boxes:
    """``corners`` (n, 4): x0, y0, x1, y1 in pixels; ``scores`` (n,); ``classes`` (n,)."""

    corners: Array
    scores: Array
    classes: Array

    def __getitem__(self, chosen: Any) -> Boxes:
        return Boxes(self.corners[chosen], self.scores[chosen], self.classes[chosen])


Decode = Callable[[Outputs], Boxes]


def best_of_each(boxes: Boxes, threshold: float) -> Boxes:
    """Boxes that reach the threshold, without those that overlap a better one of their class."""
    import cv2

    boxes = boxes[boxes.scores >= threshold]
    x, y, right, bottom = boxes.corners.astype(np.float64).T.reshape(4, -1)
    kept = cv2.dnn.NMSBoxesBatched(
        np.stack([x, y, right - x, bottom - y], 1).tolist(),
        boxes.scores.tolist(),
        boxes.classes.tolist(),
        threshold,
        SUPPRESSION,
    )
    return boxes[np.asarray(kept, int).reshape(-1)]


def overlaps(a: Boxes, b: Boxes) -> Array:
    """Intersection over union of all pairs, 0 between classes: (len(a), len(b))."""
    first, second = a.corners[:, None].astype(np.float64), b.corners[None].astype(np.float64)
    size = np.minimum(first[..., 2:], second[..., 2:]) - np.maximum(first[..., :2], second[..., :2])
    common = np.clip(size, 0, None).prod(-1)
    areas = [np.clip(corners[..., 2:] - corners[..., :2], 0, None).prod(-1) for corners in (first, second)]
    return common / np.maximum(areas[0] + areas[1] - common, 1e-9) * (a.classes[:, None] == b.classes[None])


def matches(overlap: Array) -> list[tuple[int, int]]:
    """Pairs of rows and columns, each once, the largest overlap first."""
    left, pairs = overlap.copy(), []
    while left.size and left.max() >= OVERLAP:
        row, column = map(int, np.unravel_index(left.argmax(), left.shape))
        pairs.append((row, column))
        left[row, :] = left[:, column] = 0
    return pairs


@dataclass
class Detections:
    """Counts over frames of how gated boxes match dense ones."""

    decode: Decode
    threshold: float
    both: int = 0
    alone: int = 0
    overlap: list[float] = field(default_factory=list)

    def add(self, gated: Outputs, dense: Outputs) -> None:
        """Takes one frame's outputs."""
        ours, theirs = (best_of_each(self.decode(each), self.threshold - MARGIN) for each in (gated, dense))
        overlap = overlaps(ours, theirs)
        pairs = matches(overlap)
        for row, column in pairs:
            if max(ours.scores[row], theirs.scores[column]) >= self.threshold:
                self.both += 1
                self.overlap.append(float(overlap[row, column]))
        for boxes, matched in ((ours, {row for row, _ in pairs}), (theirs, {column for _, column in pairs})):
            sure = np.flatnonzero(boxes.scores >= self.threshold + MARGIN)
            self.alone += len(set(sure.tolist()) - matched)

    def figures(self) -> dict[str, float]:
        """``agreement`` (F1), how many ``objects`` it is of, mean overlap of the pairs."""
        found = 2 * self.both + self.alone
        return {
            "agreement": 2 * self.both / found if found else 1.0,
            "objects": self.both + self.alone,
            "overlap": float(np.mean(self.overlap)) if self.overlap else 1.0,
        }


@dataclass
class Keypoints:
    """Distances over frames between keypoints of heat maps (1, K, rows, cols); ``step``: input pixels per cell."""

    step: float
    seen: float
    near: list[bool] = field(default_factory=list)
    visible: list[bool] = field(default_factory=list)

    def add(self, gated: Outputs, dense: Outputs) -> None:
        """Takes one frame's outputs."""
        (ours, _), (theirs, scores) = (peaks(next(iter(each.values()))[0]) for each in (gated, dense))
        self.near += (np.hypot(*(ours - theirs).T) * self.step < NEAR).tolist()
        self.visible += (scores >= self.seen).tolist()

    def figures(self) -> dict[str, float]:
        """``agreement`` of the keypoints that are seen, how many these ``objects`` are, and the agreement of all."""
        near, visible = np.array(self.near), np.array(self.visible)
        return {
            "agreement": float(near[visible].mean()) if visible.any() else 1.0,
            "objects": int(visible.sum()),
            "agreement_of_all": float(near.mean()),
        }


def peaks(maps: Array) -> tuple[Array, Array]:
    """Of heat maps (K, rows, cols) the peaks (K, 2) as x, y in cells, a quarter towards the larger neighbour, and
    their scores (K,)."""
    (count, _, cols), flat = maps.shape, maps.reshape(len(maps), -1)
    y, x = np.divmod(flat.argmax(1), cols)
    padded = np.pad(maps, ((0, 0), (1, 1), (1, 1)), mode="reflect")  # no lean at the border
    k = np.arange(count)
    across = np.sign(padded[k, y + 1, x + 2] - padded[k, y + 1, x])
    down = np.sign(padded[k, y + 2, x + 1] - padded[k, y, x + 1])
    return np.stack([x + across / 4, y + down / 4], 1), flat.max(1)


def yolox(outputs: Outputs, side: int = 416) -> Boxes:
    """Rows of centre (cell and stride), log size, objectness and classes: Ge et al., "YOLOX", 2021."""
    (rows,) = next(iter(outputs.values()))
    cells, strides = grid(side, side, (8, 16, 32), (1, 1, 1))
    centre, size = (rows[:, :2] + cells) * strides, np.exp(np.clip(rows[:, 2:4], -20, 8)) * strides
    scores = rows[:, 4:5] * rows[:, 5:]
    return Boxes(np.hstack([centre - size / 2, centre + size / 2]), scores.max(1), scores.argmax(1))


def anchored(boxes: Array, scores: Array, anchors: Array) -> Boxes:
    """SSD's code (n, 4) of boxes with variances 0.1 and 0.2, against anchors (n, 4) of centre and size in pixels."""
    centre = boxes[:, :2] * 0.1 * anchors[:, 2:] + anchors[:, :2]
    size = np.exp(np.clip(boxes[:, 2:] * 0.2, -10, 10)) * anchors[:, 2:]
    return Boxes(np.hstack([centre - size / 2, centre + size / 2]), scores, np.zeros(len(scores), int))


def ultraface(outputs: Outputs) -> Boxes:
    """Anchors of the 320 x 240 network."""
    sizes = ((10, 16, 24), (32, 48), (64, 96), (128, 192, 256))
    return anchored(outputs["boxes"][0], outputs["scores"][0, :, 1], anchors(240, 320, (8, 16, 32, 64), sizes))


def retinaface(outputs: Outputs) -> Boxes:
    """Anchors of the 640 x 640 network; outputs are boxes, scores, landmarks."""
    boxes, scores = (next(each[0] for each in outputs.values() if each.shape[-1] == width) for width in (4, 2))
    return anchored(boxes, scores[:, 1], anchors(640, 640, (8, 16, 32), ((16, 32), (64, 128), (256, 512))))


@functools.cache
def grid(rows: int, cols: int, strides: Sequence[int], counts: Sequence[int]) -> tuple[Array, Array]:
    """Columns and rows (n, 2) of cells and their strides (n, 1); each cell of a stride as often as its count says."""
    cells, steps = [], []
    for stride, count in zip(strides, counts, strict=True):
        y, x = np.mgrid[: -(-rows // stride), : -(-cols // stride)]
        cells.append(np.stack([x, y], 2).reshape(-1, 2).repeat(count, 0))
        steps.append(np.full((len(cells[-1]), 1), stride))
    return np.concatenate(cells), np.concatenate(steps)


@functools.cache
def anchors(rows: int, cols: int, strides: Sequence[int], sizes: Sequence[Sequence[int]]) -> Array:
    """Squares of some sizes in the middle of every cell: (n, 4), centre and size, no number outside the picture."""
    cells, steps = grid(rows, cols, tuple(strides), tuple(map(len, sizes)))
    sides = itertools.chain.from_iterable(
        np.tile(each, -(-rows // stride) * -(-cols // stride)) for stride, each in zip(strides, sizes, strict=True)
    )
    size = np.array(list(sides), float)[:, None].repeat(2, 1)
    return np.clip(np.hstack([(cells + 0.5) * steps, size]), 0, [cols, rows, cols, rows])


def measure(network: str) -> Detections | Keypoints | None:
    """A fresh measure of a network of ``assets.NETWORKS``, or None. Thresholds are those of common demos."""
    detectors: dict[str, tuple[Decode, float]] = {
        "yolox_nano": (yolox, 0.35),
        "ultraface": (ultraface, 0.5),
        "ultraface_bn": (ultraface, 0.5),
        "retinaface": (retinaface, 0.5),
    }
    if network == "tinypose":
        return Keypoints(step=4, seen=0.2)
    return Detections(*detectors[network]) if network in detectors else None
