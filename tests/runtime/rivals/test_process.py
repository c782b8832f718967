"""Workers in turn, and what counts as a disturbed burst."""

from __future__ import annotations

import sys

import pytest

from runtime.rivals import process


class FakeWorker:
    """Takes a millisecond per frame on a clock of its own."""

    def __init__(self, name, log, threads=1):
        self.name, self.log, self.threads = name, log, threads

    def ask(self, do, clip, count):
        self.log.append((self.name, clip, count))
        return {"seconds": [0.001] * count, "macs": [], "cpu": 0.001 * count, "wall": 0.001 * count}


def test_bursts_are_interleaved_with_pauses():
    log, pauses = [], []
    workers = {name: FakeWorker(name, log, threads) for name, threads in (("a", 1), ("b", 2))}
    answers = process.interleave(workers, "clip", {"a": 3, "b": 5}, 2, pauses.append)
    assert log == [("a", "clip", 3), ("b", "clip", 5)] * 2
    assert pauses == [process.PAUSE[1], process.PAUSE_THREADED] * 2
    assert [len(each["seconds"]) for each in answers["b"]] == [5, 5]
    assert all("disturbed" in each for each in answers["a"])


def test_disturbed():
    answer = {"cpu": 1.0, "wall": 1.0}
    assert not process.disturbed(answer, None, 1)
    assert not process.disturbed(answer, 1.2, 1)
    assert process.disturbed(answer, 1.5, 1)
    assert process.disturbed(answer, 1.2, 2)


def test_a_worker_answers_errors_and_says_when_it_ends(tmp_path):
    with process.Worker(1, tmp_path / "log") as worker:
        with pytest.raises(process.WorkerError, match="nothing"):
            worker.ask("play", clip="nothing", count=1)
        with pytest.raises(process.WorkerError, match="No such file"):
            worker.ask("load", clip="a", file=str(tmp_path / "none.npy"))
        worker._process.kill()
        with pytest.raises(process.WorkerError, match="ended with -9"):
            worker.ask("load", clip="a", file="b")


def test_a_python_without_the_worker(tmp_path):
    with process.Worker(1, tmp_path / "log", sys.executable) as worker:
        with pytest.raises(process.WorkerError) as failed:
            worker.ask("open", engine="nonsense", prepare={}, model="")
        assert not failed.value.absent or "nonsense" in str(failed.value)
