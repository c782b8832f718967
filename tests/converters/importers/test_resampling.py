from __future__ import annotations

import numpy as np
import pytest

from converters.importers.resampling import Axis, antialiased, coordinates, cubic, linear, nearest


def test_coordinates():
    np.testing.assert_allclose(coordinates(Axis(4, 8, 2.0), "half_pixel")[:3], [-0.25, 0.25, 0.75])
    np.testing.assert_allclose(coordinates(Axis(4, 8, 2.0), "asymmetric")[:3], [0, 0.5, 1])
    np.testing.assert_allclose(coordinates(Axis(4, 7, 1.75), "align_corners"), np.arange(7) / 2)
    assert coordinates(Axis(4, 1, 0.25), "pytorch_half_pixel")[0] == 0
    with pytest.raises(ValueError, match="sideways"):
        coordinates(Axis(4, 4, 1.0), "sideways")


def test_nearest_breaks_ties_as_told():
    axis = Axis(4, 8, 2.0)
    assert nearest(axis, "asymmetric", "round_prefer_floor")[1] == 0
    assert nearest(axis, "asymmetric", "round_prefer_ceil")[1] == 1
    assert nearest(axis, "asymmetric", "floor")[7] == 3
    assert nearest(axis, "asymmetric", "ceil")[7] == 3
    crop = Axis(4, 3, 1.0, -0.5, 1.5)
    assert nearest(crop, "tf_crop_and_resize", "floor", extrapolate=True).tolist() == [-1, 1, -1]
    with pytest.raises(ValueError, match="up"):
        nearest(axis, "asymmetric", "up")


@pytest.mark.parametrize("table", [linear, lambda a, m: cubic(a, m, -0.75, False), lambda a, m: cubic(a, m, -0.5, True),
                                   lambda a, m: antialiased(a, m, "linear", 0, True),
                                   lambda a, m: antialiased(a, m, "cubic", -0.75, False)])  # fmt: skip
@pytest.mark.parametrize("out", [3, 7, 16])
def test_weights_sum_to_one_inside_the_axis(table, out):
    index, weights = table(Axis(7, out, out / 7), "half_pixel")
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-6)
    assert index.shape == weights.shape
    assert index.min() >= 0
    assert index.max() <= 6
