"""Camera frames for engines that do not prepare them: OpenCV resizes, NumPy normalises, as their users do it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import video
from ..model import InputInfo
from ..reference.graph import Preprocess, Resize
from ..reference.prepare import letterbox_box
from . import Array


class Preparation:
    """From uint8 frames (H, W, C) to the source network's float32 input, in one buffer that every call fills anew.

    Args:
        extents: height, width, channels of the network's input.
        shape, pixel_axes: of the source model's tensor, as in ``InputInfo``.
        preprocess: fields of ``Preprocess``, or None where grey levels go in as they are.
    """

    def __init__(
        self,
        extents: tuple[int, int, int],
        shape: tuple[int, ...],
        pixel_axes: tuple[int, ...],
        preprocess: Mapping[str, Any] | None,
    ) -> None:
        self.height, self.width, self.channels = extents
        self.recipe = Preprocess(**preprocess) if preprocess else Preprocess()
        self.tensor = np.empty(shape, np.float32)
        rest = [axis for axis in range(len(shape)) if axis not in pixel_axes]
        stored = self.tensor.transpose(*pixel_axes, *rest)
        # A view (H, W, C) of the tensor; axes of size 1 go, so that no copy is made.
        single = tuple(axis for axis in range(stored.ndim) if stored.shape[axis] == 1 and axis >= len(pixel_axes))
        self.pixels = stored.squeeze(single) if self.channels > 1 else stored.squeeze(single)[..., None]
        assert self.pixels.shape == tuple(extents)

    @staticmethod
    def options(info: InputInfo, preprocess: Preprocess | None) -> dict[str, Any]:
        """The arguments of the class, ready for JSON."""
        return {
            "extents": (info.height, info.width, info.channels),
            "shape": info.shape,
            "pixel_axes": info.pixel_axes,
            "preprocess": None if preprocess is None else vars(preprocess),
        }

    def __call__(self, frame: Array) -> Array:
        """The network's input of a frame; valid until the next call."""
        if self.recipe.resize != Resize.NONE:
            frame = self._resized(frame)
        for channel in range(self.channels):
            plane = self.pixels[..., channel]
            grey = frame[..., self.recipe.channel_order[channel]]
            np.subtract(grey, np.float32(self.recipe.mean[channel]), out=plane, dtype=np.float32)
            np.multiply(plane, np.float32(self.recipe.scale[channel]), out=plane)
        return self.tensor

    def _resized(self, frame: Array) -> Array:
        cv2 = video.required("bench", "resizing frames for other engines", "cv2")
        top, left, rows, cols = 0, 0, self.height, self.width
        if self.recipe.resize == Resize.LETTERBOX:
            top, left, rows, cols = letterbox_box(self.height, self.width, frame.shape[:2], self.recipe.align)
        picture: Array = cv2.resize(frame, (cols, rows), interpolation=cv2.INTER_LINEAR)
        picture = picture.reshape(rows, cols, self.channels)
        if (rows, cols) == (self.height, self.width):
            return picture
        out = np.full((self.height, self.width, self.channels), self.recipe.fill, np.uint8)
        out[top : top + rows, left : left + cols] = picture
        return out
