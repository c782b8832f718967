"""framegate behind the rivals' interface."""

from __future__ import annotations

import numpy as np
import pytest

from runtime import Model
from runtime.rivals.ours import OurSession, without_preparation

pytestmark = pytest.mark.filterwarnings("ignore:the compiled engine is missing")


def test_without_preparation(make_image_model):
    prepared = make_image_model(prepared=True)
    plain = Model.from_bytes(without_preparation(bytes(prepared._data)))
    assert prepared.inputs[0].prepared
    assert not plain.inputs[0].prepared
    assert plain.graph.inputs[0].preprocess is None
    assert [node.name for node in plain.nodes] == [node.name for node in prepared.nodes]
    assert plain.graph.inputs[0].threshold == prepared.graph.inputs[0].threshold


def test_session(tmp_path, image_model_bytes):
    (tmp_path / "net.fgm").write_bytes(image_model_bytes)
    session = OurSession(str(tmp_path / "net.fgm"), {"threads": 1})
    frame = np.ones((12, 16, 3), np.float32)
    assert [out.shape for out in session.run(frame)] == [(1, 4, 12, 16), (192, 4), (1, 4)]
    first = session.macs
    assert session.work == 1
    session.run(frame)
    assert session.macs == session.work == 0
    session.reset()
    session.run(frame)
    assert session.macs == first > 0
    assert session.version
