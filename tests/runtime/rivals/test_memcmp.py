"""What still frames are measured beside."""

from __future__ import annotations

import numpy as np

from runtime.rivals.memcmp import Comparison


def test_a_clip_is_compared_with_its_first_frame():
    comparison = Comparison()
    first, other = np.zeros((4, 4, 3), np.uint8), np.ones((4, 4, 3), np.uint8)
    assert [comparison.run(frame)[0] for frame in (first, first.copy(), other)] == [0, 0, 1]
    comparison.reset()
    assert comparison.run(other)[0] == 0
