"""Controlled clips change exactly what they say."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from runtime import controlled

SCENE = np.random.default_rng(1).integers(0, 256, (120, 160, 3)).astype(np.uint8)


@pytest.mark.parametrize("name", controlled.CLIPS)
def test_share(name):
    share = controlled.CLIPS[name][1]
    frames = list(controlled.frames(name, SCENE, 4))
    assert len(frames) == 4
    assert np.array_equal(frames[0], SCENE)
    for before, after in itertools.pairwise(frames):
        changed = (before != after).any(axis=2)
        assert changed.mean() == pytest.approx(share, abs=0.004)
        if name.startswith("square"):
            rows, cols = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
            assert changed[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1].all()


def test_the_same_every_time_and_the_scene_is_left_alone():
    scene = SCENE.copy()
    first, again = (list(controlled.frames("blocks 5 %", scene, 3)) for _ in range(2))
    assert np.array_equal(first, again)
    assert np.array_equal(scene, SCENE)


def test_every_changed_pixel_moves_by_half_the_range():
    first, second = controlled.frames("all", SCENE, 2)
    assert (np.abs(first.astype(int) - second) == 128).all()


def test_squares_larger_than_a_side_become_rectangles():
    mask = controlled.square(np.random.default_rng(0), 10, 100, 0.5)
    assert mask.sum() == 500
