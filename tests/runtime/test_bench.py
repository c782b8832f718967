"""The benchmark's structure on a small network: rows, counted rivals, skipped ones. Times are not tested."""

from __future__ import annotations

import contextlib
import json

import numpy as np
import pytest

from runtime import bench, engine_available, video
from runtime.__main__ import main
from runtime.bench import Distance, Race, Settings, measure, own_input, source_input, timing
from runtime.bench_report import board_line
from runtime.model import Model
from runtime.rivals.process import Worker

pytestmark = pytest.mark.filterwarnings("ignore:the compiled engine is missing")
needs_engine = pytest.mark.skipif(not engine_available(), reason="slow without the engine")
QUICK = {"rounds": 2, "clip_rounds": 2, "seconds": 0.002}


@pytest.fixture
def model(tmp_path, make_image_model):
    path = tmp_path / "net.fgm"
    path.write_bytes(bytes(make_image_model(prepared=True)._data))
    return path


@pytest.fixture
def frames():
    scene = np.random.default_rng(4).integers(0, 256, (24, 32, 3)).astype(np.uint8)
    return [scene, scene, scene[::-1].copy()]


def test_timing():
    answers = [
        {"seconds": [9.0, 0.001, 0.002], "disturbed": False},
        {"seconds": [9.0, 0.003, 0.002], "disturbed": True},
    ]
    burst = timing(answers, 1)
    assert burst == {"ms": 4.0, "p50": 2.0, "p95": 3.0, "max": 3.0, "bursts": 2, "frames": 4, "disturbed": 0.5}
    assert timing(answers, 1, whole=False)["ms"] == 2.0


@needs_engine
def test_measure_without_rivals(model, frames):
    report = measure(Settings(model, stream={"refresh": 16, "threshold_scale": 0.0}, **QUICK), {"made": frames})
    rows = {row["name"]: row for row in report["rows"]}
    assert set(rows["dense frame"]["engines"]) == {"framegate"}
    clip = rows["made"]
    assert clip["mac_share"] == pytest.approx(2 / 3)
    assert clip["relative_l2"] == clip["largest_difference"] == 0.0
    assert clip["engines"]["gated"]["frames"] == 2 * len(frames)
    assert clip["efficiency"] > 0
    assert rows["still"]["mac_share"] == 0
    assert rows["still"]["efficiency"] is None
    assert rows["all"]["mac_share"] == 1
    assert 0 < rows["square 5 %"]["mac_share"] < rows["square 25 %"]["mac_share"] < 1
    assert {"still, float", "still, 640x480"} <= set(rows)
    compared = {name for name, row in rows.items() if "memcmp" in row["engines"]}
    assert compared == {name for name in rows if name.startswith("still")}
    json.dumps(report)


class Counted:
    """A measure that keeps what it gets."""

    def __init__(self, made):
        self.pairs = []
        made.append(self)

    def add(self, gated, dense):
        self.pairs.append((gated, dense))

    def figures(self):
        return {"agreement": 0.5, "objects": len(self.pairs)}


@needs_engine
def test_a_measure_of_the_task_gets_all_frames_but_the_first(model, frames):
    made = []
    settings = Settings(model, rows=("clip",), **QUICK)
    report = measure(settings, {"a": frames, "b": frames[:2]}, task=lambda: Counted(made))
    assert [row["objects"] for row in report["rows"]] == [2, 1]
    assert {row["agreement"] for row in report["rows"]} == {0.5}
    gated, dense = made[0].pairs[0]
    assert gated.keys() == dense.keys() == {output.name for output in Model.load(model).outputs}


@needs_engine
def test_rivals_that_cannot_start_are_skipped(model, frames, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "net.onnx").write_bytes(b"not a network")
    settings = Settings(model, tmp_path / "net.onnx", rivals=("ort", "litert"), rows=("frame",), **QUICK)
    said = []
    report = measure(settings, {"made": frames}, said.append)
    assert set(report["skipped"]) == {"ort", "litert"}
    assert set(report["rows"][0]["engines"]) == {"framegate"}
    assert any("loading ort" in text for text in said)


@needs_engine
def test_verb(model, tmp_path, frames, capsys):
    with video.Writer(tmp_path / "clip") as sink:
        for frame in frames:
            sink.write(frame)
    words = ["bench", str(model), str(tmp_path / "clip"), "--rounds", "1", "--clip-rounds", "1", "--seconds", "0.001"]
    assert main([*words, "--rows", "frame,clip", "--json", str(tmp_path / "b.json")]) == 0
    text = capsys.readouterr().out
    assert "ours / best" in text
    assert "best / gated" in text
    assert "controlled change" not in text
    (report,) = json.loads((tmp_path / "b.json").read_text())
    assert text.splitlines()[-2:] == ["On a board? Send this line in:", board_line(report)]
    assert [row["kind"] for row in report["rows"]] == ["frame", "clip"]
    assert main([*words, "--rows", "controlled", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["rows"][0]["name"] == "still"


def test_own_and_source_inputs_hold_the_same_numbers(make_image_model, frames):
    model = make_image_model(prepared=True)
    own, source = own_input(frames[0], model), source_input(frames[0], model)
    assert own.shape == (12, 16, 3)
    assert source.shape == (1, 3, 12, 16)
    assert np.array_equal(own, source[0].transpose(1, 2, 0))
    plain = make_image_model()
    assert own_input(frames[0][:12, :16], plain).dtype == np.float32


def test_distance():
    distance = Distance()
    distance.add({"a": np.array([3.0, 5.0], np.float32)}, {"a": np.array([3.0, 4.0], np.float32)})
    assert distance.relative == pytest.approx(0.2)
    assert distance.largest == 1.0


def test_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert bench.cache_folder() == tmp_path / "framegate"


def test_models_load(model):
    assert Model.load(model).inputs[0].resized


@needs_engine
def test_a_rival_that_fails_on_the_way_is_dropped(model, frames, tmp_path):
    """Stands in for a rival: a stream whose file takes no frame of this size."""
    report = {"versions": {}, "skipped": {}}
    with contextlib.ExitStack() as stack:
        race = Race(Settings(model, **QUICK), Model.load(model), 1, tmp_path, stack, report, lambda _: None)
        worker = stack.enter_context(Worker(1, tmp_path / "log"))
        worker.ask("open", engine="framegate", model=str(tmp_path / "plain.fgm"), options={"threads": 1})
        race.rivals["other"] = race.workers["other"] = worker
        row = race.clip("made", frames)
    assert set(row["engines"]) == {"gated", "dense"}
    assert "other" in report["skipped"]
    assert race.rivals == {}
