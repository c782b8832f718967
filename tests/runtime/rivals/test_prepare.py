"""OpenCV and NumPy prepare frames as the engine's specification does, within a grey level of resizing."""

from __future__ import annotations

import numpy as np
import pytest

from runtime.reference.graph import Align, Preprocess, Resize
from runtime.reference.prepare import fit, normalize
from runtime.rivals.prepare import Preparation

FRAME = np.random.default_rng(2).integers(0, 256, (45, 70, 3)).astype(np.uint8)


@pytest.mark.parametrize("resize", list(Resize))
@pytest.mark.parametrize("first", [True, False])
def test_as_specified(resize, first):
    if resize != Resize.NONE:
        pytest.importorskip("cv2")
    recipe = Preprocess(resize, Align.CENTER, 114, (2, 1, 0), (1.0, 2.0, 3.0), (0.5, 0.25, 2.0))
    height, width = (45, 70) if resize == Resize.NONE else (24, 32)
    shape, axes = ((1, 3, height, width), (2, 3)) if first else ((1, height, width, 3), (1, 2))
    prepare = Preparation((height, width, 3), shape, axes, vars(recipe))
    tensor = prepare(FRAME)
    assert tensor.shape == shape
    assert tensor.flags.c_contiguous
    expected = normalize(fit(FRAME, height, width, recipe), recipe)
    found = tensor[0].transpose(1, 2, 0) if first else tensor[0]
    assert np.abs(found - expected).max() <= (0 if resize == Resize.NONE else 2.0)


def test_grey_levels_as_they_are_and_one_channel():
    frame = FRAME[:, :, :1]
    tensor = Preparation((45, 70, 1), (1, 1, 45, 70), (2, 3), None)(frame)
    assert np.array_equal(tensor[0, 0], frame[..., 0].astype(np.float32))
