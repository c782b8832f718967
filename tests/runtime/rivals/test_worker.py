"""The worker's requests, in this process and with a made clock."""

from __future__ import annotations

import io
import itertools
import json

import numpy as np
import pytest

from runtime.rivals.worker import Engine, serve

pytestmark = pytest.mark.filterwarnings("ignore:the compiled engine is missing")


@pytest.fixture
def image_file(tmp_path, image_model_bytes):
    path = tmp_path / "image.fgm"
    path.write_bytes(image_model_bytes)
    return str(path)


def test_play_times_every_frame_and_saves_the_last_outputs(tmp_path, image_file):
    ticks = itertools.count()
    engine = Engine(clock=lambda: float(next(ticks)))
    opened = engine.answer({"do": "open", "engine": "framegate", "model": image_file, "options": {"threads": 1}})
    assert "version" in opened
    frames = np.zeros((2, 12, 16, 3), np.float32)
    frames[1] += 1
    np.save(tmp_path / "frames.npy", frames)
    assert engine.answer({"do": "load", "clip": "a", "file": str(tmp_path / "frames.npy")}) == {}
    save = str(tmp_path / "outputs.npz")
    answer = engine.answer({"do": "play", "clip": "a", "count": 3, "save": save})
    assert answer["seconds"] == [1.0] * 3
    assert answer["wall"] == 7.0
    assert answer["macs"][0] == answer["macs"][1] > 0
    assert len(np.load(save).files) == 3
    again = engine.answer({"do": "play", "clip": "a", "count": 1})
    assert again["macs"] == answer["macs"][:1], "a play starts from a reset stream"


def test_memcmp_reads_whole_frames(tmp_path):
    engine = Engine()
    assert engine.answer({"do": "open", "engine": "memcmp"})["version"]
    np.save(tmp_path / "frames.npy", np.zeros((2, 480, 640, 3), np.uint8))
    engine.answer({"do": "load", "clip": "a", "file": str(tmp_path / "frames.npy")})
    answer = engine.answer({"do": "play", "clip": "a", "count": 3})
    assert len(answer["seconds"]) == 3
    assert min(answer["seconds"]) > 0
    assert answer["macs"] == []


def test_errors_are_answers(tmp_path):
    answers = io.StringIO()
    requests = [{"do": "open", "engine": "framegate", "model": str(tmp_path / "none.fgm"), "options": {}}]
    serve(io.StringIO("".join(json.dumps(each) + "\n" for each in requests)), answers, Engine())
    answer = json.loads(answers.getvalue())
    assert "none.fgm" in answer["error"]
    assert answer["absent"] is False
