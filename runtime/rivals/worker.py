"""One engine in a process of its own: ``python -m runtime.rivals.worker CPUS``, where CPUS are numbers such as 0,1.

Requests and answers are JSON, one line each. An answer with ``error`` means that the request was not done.

- ``{"do": "open", "engine": NAME, ...}``: for "framegate" the arguments of ``OurSession``, for "memcmp" none, for a
  rival those of ``Task`` and, as ``prepare``, of ``Preparation``; answers ``version``.
- ``{"do": "load", "clip": NAME, "file": NPY}``: frames (count, ...).
- ``{"do": "play", "clip": NAME, "count": N, "save": NPZ or null}``: N frames from the clip's start, again and again if
  it is shorter; answers ``seconds``, ``macs`` and ``work`` of each, ``cpu`` and ``wall`` of all. ``save`` keeps
  the last outputs.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any, TextIO

import numpy as np

from . import Array, Run, Task, open_session
from .memcmp import Comparison
from .ours import OurSession
from .prepare import Preparation


class Engine:
    """Answers requests; the clock gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.clock = clock
        self.ours: OurSession | None = None
        self.run: Run | None = None
        self.reset: Callable[[], None] = lambda: None
        self.clips: dict[str, Array] = {}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to one request; exceptions become its ``error``, and ``absent`` if something is not installed."""
        requests: dict[str, Callable[..., dict[str, Any]]] = {
            "open": self._open,
            "load": self._load,
            "play": self._play,
        }
        try:
            return requests[request.pop("do")](**request)
        except Exception as error:  # whatever a rival raises: the others go on
            text = " ".join(str(error).split()) or type(error).__name__
            return {"error": text[:400], "absent": isinstance(error, ImportError)}

    def _open(self, engine: str, **options: Any) -> dict[str, Any]:
        if engine == "framegate":
            self.ours = OurSession(**options)
            self.run, self.reset = self.ours.run, self.ours.reset
            return {"version": self.ours.version}
        if engine == "memcmp":
            comparison = Comparison()
            self.run, self.reset = comparison.run, comparison.reset
            return {"version": comparison.version}
        prepare = Preparation(**options.pop("prepare"))
        run, version = open_session(engine, Task(**options))
        self.run = lambda frame: run(prepare(frame) if frame.dtype == np.uint8 else frame)
        return {"version": version}

    def _load(self, clip: str, file: str) -> dict[str, Any]:
        self.clips[clip] = np.load(file)
        return {}

    def _play(self, clip: str, count: int, save: str | None = None) -> dict[str, Any]:
        run, frames = self.run, self.clips[clip]
        assert run is not None
        self.reset()
        seconds: list[float] = []
        macs: list[int] = []
        work: list[float] = []
        outputs: list[Array] = []
        cpu, begin = time.process_time(), self.clock()
        for index in range(count):
            frame = frames[index % len(frames)]
            start = self.clock()
            outputs = run(frame)
            seconds.append(self.clock() - start)
            if self.ours is not None:
                macs.append(self.ours.macs)
                work.append(self.ours.work)
        wall, cpu = self.clock() - begin, time.process_time() - cpu
        if save is not None:
            np.savez(save, *outputs)
        return {"seconds": seconds, "macs": macs, "work": work, "cpu": cpu, "wall": wall}


def serve(source: TextIO, target: TextIO, engine: Engine) -> None:
    """Answers line by line until the source ends."""
    for line in source:
        print(json.dumps(engine.answer(json.loads(line))), file=target, flush=True)


def main(cpus: str) -> None:
    """Pins this process before an engine starts threads, and keeps what libraries print out of the answers."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(number) for number in cpus.split(",")})
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    serve(sys.stdin, answers, Engine())


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except KeyboardInterrupt:  # the parent got it, too, and says so
        sys.exit(130)
