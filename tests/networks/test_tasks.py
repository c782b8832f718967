"""Agreement on made outputs, each with one thing changed."""

from __future__ import annotations

import numpy as np
import pytest

from . import assets, tasks

cv2 = pytest.importorskip("cv2")


def boxes(*rows):
    """Rows of x0, y0, x1, y1, score and class."""
    table = np.array(rows, float).reshape(-1, 6)
    return tasks.Boxes(table[:, :4], table[:, 4], table[:, 5].astype(int))


FAR = (100, 100, 120, 120, 0.9, 0)


def figures(ours, theirs):
    measure = tasks.Detections(lambda outputs: outputs["boxes"], threshold=0.5)
    measure.add({"boxes": boxes(*ours)}, {"boxes": boxes(*theirs)})
    return measure.figures()


@pytest.mark.parametrize(
    ("ours", "agreement", "objects"),
    [
        ([(0, 0, 10, 10, 0.9, 0), FAR], 1, 2),
        ([(1, 0, 11, 10, 0.9, 0), FAR], 1, 2),  # nearly there
        ([(5, 0, 15, 10, 0.9, 0), FAR], 1 / 2, 3),  # a third in common
        ([(0, 0, 10, 10, 0.9, 1), FAR], 1 / 2, 3),  # another class
        ([FAR], 2 / 3, 2),
        ([(0, 0, 10, 10, 0.46, 0), FAR], 1, 2),  # one of the two reaches the threshold
        ([(0, 0, 10, 10, 0.44, 0), FAR], 2 / 3, 2),
        ([(0, 0, 10, 10, 0.9, 0), FAR, (50, 50, 60, 60, 0.54, 0)], 1, 2),  # within the margin
        ([(0, 0, 10, 10, 0.9, 0), FAR, (50, 50, 60, 60, 0.56, 0)], 4 / 5, 3),
        ([(0, 0, 10, 10, 0.9, 0), (0, 0, 10, 11, 0.8, 0), FAR], 1, 2),  # suppressed
    ],
)
def test_detections(ours, agreement, objects):
    found = figures(ours, [(0, 0, 10, 10, 0.9, 0), FAR])
    assert found["agreement"] == pytest.approx(agreement)
    assert found["objects"] == objects
    assert figures([(0, 0, 10, 10, 0.9, 0), FAR], ours)["agreement"] == pytest.approx(agreement)


def test_nothing_seen_agrees_about_no_objects():
    assert figures([], []) == {"agreement": 1.0, "objects": 0, "overlap": 1.0}


def test_overlap_is_that_of_the_pairs():
    assert figures([(0, 0, 10, 8, 0.9, 0), FAR], [(0, 0, 10, 10, 0.9, 0), FAR])["overlap"] == pytest.approx(0.9)


def maps(*points, height=1.0):
    made = np.zeros((1, len(points), 16, 12), np.float32)
    for k, (x, y) in enumerate(points):
        made[0, k, y, x] = height
    return {"maps": made}


def test_keypoints():
    measure = tasks.Keypoints(step=4, seen=0.2)
    measure.add(maps((3, 4), (5, 6)), maps((3, 4), (6, 6)))  # a cell is 4 pixels
    assert measure.figures() == {"agreement": 0.5, "objects": 2, "agreement_of_all": 0.5}
    measure.add(maps((3, 4), (5, 6)), maps((3, 4), (6, 6), height=0.1))  # not seen
    assert measure.figures() == {"agreement": 0.5, "objects": 2, "agreement_of_all": 0.5}


def test_peaks_lean_to_the_larger_neighbour():
    made = maps((3, 4), (0, 15))["maps"][0]
    made[0, 4, 4], made[0, 3, 3] = 0.5, 0.5
    points, scores = tasks.peaks(made)
    assert points.tolist() == [[3.25, 3.75], [0, 15]]
    assert scores.tolist() == [1, 1]


def test_yolox_decodes_cells_and_strides():
    rows = np.zeros((1, 52 * 52 + 26 * 26 + 13 * 13, 85), np.float32)
    rows[0, 52 * 52 + 26 + 2, :5] = 0.5, 0.25, np.log(2), np.log(3), 0.8  # stride 16, row 1, column 2
    rows[0, 52 * 52 + 26 + 2, 5 + 7] = 0.5
    found = tasks.best_of_each(tasks.yolox({"output": rows}), 0.3)
    assert found.corners.tolist() == [pytest.approx([40 - 16, 20 - 24, 40 + 16, 20 + 24], abs=1e-4)]
    assert found.scores.tolist() == [pytest.approx(0.4)]
    assert found.classes.tolist() == [7]


@pytest.mark.parametrize(
    ("network", "count", "index", "centre", "size"),
    [
        ("ultraface", 4420, 3 * (40 + 1) + 2, (12, 12), 24),  # stride 8, row 1, column 1, the third of three
        ("ultraface", 4420, 4419, (288, 224), 240),  # the last, cut to the picture
        ("retinaface", 16800, 16799, (624, 624), 512),
        ("retinaface", 16800, 2 * 80 * 80 + 1, (8, 8), 128),
    ],
)
def test_anchors(network, count, index, centre, size):
    scores, where = np.zeros((1, count, 2), np.float32), np.zeros((1, count, 4), np.float32)
    scores[0, index, 1] = 1
    outputs = {"boxes": where, "scores": scores, "points": np.zeros((1, count, 10), np.float32)}
    found = tasks.best_of_each(getattr(tasks, network)(outputs), 0.5)
    ((x0, y0, x1, y1),) = found.corners.tolist()
    assert ((x0 + x1) / 2, (y0 + y1) / 2) == pytest.approx(centre)
    assert y1 - y0 == pytest.approx(size)


def test_every_measure_belongs_to_a_network():
    measured = [name for name in assets.NETWORKS if tasks.measure(name)]
    assert measured == ["yolox_nano", "tinypose", "retinaface", "ultraface", "ultraface_bn"]
