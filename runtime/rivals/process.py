"""The workers of a comparison: started, asked in turn, stopped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from ..errors import Error

FOREIGN = {1: 0.35}  # CPUs that others may use during a burst before it counts as disturbed; with more threads:
FOREIGN_THREADED = 0.12
PAUSE = {1: 0.004}  # seconds between bursts; pools of several threads spin for tens of ms after their work
PAUSE_THREADED = 0.06


class WorkerError(Error):
    """A worker could not do what it was asked; ``absent`` if a package is not installed."""

    def __init__(self, message: str, *, absent: bool = False) -> None:
        super().__init__(message)
        self.absent = absent


class Worker:
    """A process that holds one engine, pinned to as many CPUs as it has threads.

    Args:
        threads: CPUs it may use, and threads that common libraries are told to use.
        log: file that takes what libraries print.
        python: the interpreter; rivals may be installed in another environment than this one.
    """

    def __init__(self, threads: int, log: Path, python: str = sys.executable) -> None:
        available = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else range(threads)
        root = str(Path(__file__).resolve().parents[2])
        variables = {
            "PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH")))),
            "OMP_NUM_THREADS": str(threads),
            "OPENBLAS_NUM_THREADS": str(threads),
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }
        self.threads = threads
        self._log = log
        with log.open("w") as errors:
            self._process = subprocess.Popen(
                [python, "-m", f"{__package__}.worker", ",".join(map(str, available[:threads]))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, **variables},
            )

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Sends a request and waits for the answer.

        Raises:
            WorkerError: it could not be done, or the process ended.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            print(json.dumps({"do": do, **arguments}), file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            last = self._log.read_text(errors="replace").strip().splitlines()[-1:]
            raise WorkerError(
                f"the process ended with {self._process.wait()}{': ' if last else ''}{''.join(last)[:300]}"
            )
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise WorkerError(answer["error"], absent=answer["absent"])
        return answer

    def close(self) -> None:
        """Ends the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.close()
            self._process.wait(10)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def machine_seconds() -> float | None:
    """CPU seconds that the whole machine has spent working, or None where it does not tell."""
    try:
        words = Path("/proc/stat").read_text().split(maxsplit=9)[1:9]
    except OSError:
        return None
    user, nice, system, _idle, _wait, irq, soft, stolen = map(int, words)
    return (user + nice + system + irq + soft + stolen) / os.sysconf("SC_CLK_TCK")


def disturbed(answer: Mapping[str, Any], machine: float | None, threads: int) -> bool:
    """Whether other processes used much of the machine during a burst that took ``machine`` CPU seconds in all."""
    if machine is None:
        return False
    foreign = (machine - answer["cpu"]) / max(answer["wall"], 1e-9)
    return bool(foreign > FOREIGN.get(threads, FOREIGN_THREADED))


def interleave(
    workers: Mapping[str, Worker],
    clip: str,
    counts: Mapping[str, int],
    rounds: int,
    sleep: Callable[[float], object] = time.sleep,
) -> dict[str, list[dict[str, Any]]]:
    """Bursts A B C ... A B C ...: per worker the answers of its ``rounds`` plays of a clip, each with ``disturbed``.

    ``counts`` are frames per burst; ``sleep`` takes seconds and lets the pool of the engine before stop spinning.
    """
    answers: dict[str, list[dict[str, Any]]] = {name: [] for name in workers}
    for _ in range(rounds):
        for name, worker in workers.items():
            sleep(PAUSE.get(worker.threads, PAUSE_THREADED))
            before = machine_seconds()
            answer = worker.ask("play", clip=clip, count=counts[name])
            after = machine_seconds()
            spent = None if before is None or after is None else after - before
            answers[name].append({**answer, "disturbed": disturbed(answer, spent, worker.threads)})
    return answers
