"""``framegate bench``: dense and gated frames, and other engines on them. docs/performance.md has the method."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import hashlib
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from . import bench_report, board, controlled, rivals
from .clip import fit, image_input, images
from .errors import ArgumentError
from .model import Model
from .reference.prepare import fit as fit_frame
from .reference.prepare import normalize, resize_linear
from .rivals.ours import without_preparation
from .rivals.prepare import Preparation
from .rivals.process import Worker, WorkerError, interleave
from .stream import Array, Stream

FRAMES = 120
CONTROLLED_FRAMES = 9
MOST_REPETITIONS = 500
ROWS = ("frame", "clip", "controlled")


@dataclass
class Distance:
    """How far one network's float outputs are from another's, over all frames, in float64."""

    squares: float = 0.0
    reference_squares: float = 0.0
    largest: float = 0.0
    per_frame: list[float] = field(default_factory=list)

    def add(self, outputs: dict[str, Array], reference: dict[str, Array]) -> None:
        """Takes one frame's outputs by name."""
        squares = reference_squares = 0.0
        for name, expected in reference.items():
            if expected.dtype == np.float32:
                difference = outputs[name].astype(np.float64) - expected
                squares += float((difference**2).sum())
                reference_squares += float((expected.astype(np.float64) ** 2).sum())
                self.largest = max(self.largest, float(np.abs(difference).max(initial=0.0)))
        self.squares += squares
        self.reference_squares += reference_squares
        self.per_frame.append((squares / max(reference_squares, 1e-300)) ** 0.5)

    @property
    def relative(self) -> float:
        """Relative L2 distance over all frames."""
        return float((self.squares / max(self.reference_squares, 1e-300)) ** 0.5)


class Measure(Protocol):
    """How far outputs agree by a measure of the network's task, over all frames."""

    def add(self, gated: dict[str, Array], dense: dict[str, Array]) -> None:
        """Takes one frame's outputs by name."""

    def figures(self) -> dict[str, float]:
        """``agreement`` from 0 to 1, of how many ``objects``, and what else there is to keep."""


@dataclass(frozen=True)
class Settings:
    """What to measure, and how long.

    Attributes:
        rows: which of ROWS.
        rivals: names from ``rivals.NAMES``; they need ``onnx``, the source network.
        rounds, seconds: bursts of the dense frame and of controlled clips per engine, and how long a burst takes.
        clip_rounds: runs of a whole clip per engine.
        stream: options of gated streams.
        python: the interpreter that has the rivals.
    """

    model: Path
    onnx: Path | None = None
    tflite: Path | None = None
    rows: Sequence[str] = ROWS
    rivals: Sequence[str] = ()
    threads: Sequence[int] = (1,)
    rounds: int = 7
    clip_rounds: int = 3
    seconds: float = 0.2
    stream: Mapping[str, Any] = field(default_factory=dict)
    python: str = sys.executable


def bench(options: argparse.Namespace) -> int:
    """Runs the verb; prints tables to standard output, or JSON with ``--json -``."""
    model = Model.load(options.model)
    info = image_input(model)
    if options.rivals and not options.onnx:
        raise ArgumentError("other engines need the source network: --onnx NET.onnx")
    for path in filter(None, (options.onnx, options.tflite)):
        if not Path(path).is_file():
            raise ArgumentError(f"{path}: no such file")
    frames = [fit(image, info) for image in images(options.source, options.frames or FRAMES)]
    if len(frames) < 2:
        raise ArgumentError(f"{options.source}: at least two frames are needed")
    settings = Settings(
        model=Path(options.model),
        onnx=Path(options.onnx) if options.onnx else None,
        tflite=Path(options.tflite) if options.tflite else None,
        rows=options.rows or ROWS,
        rivals=(options.rivals or rivals.NAMES) if options.onnx else (),
        threads=options.threads,
        rounds=options.rounds,
        clip_rounds=options.clip_rounds,
        seconds=options.seconds,
        stream={"threshold_scale": options.threshold_scale, "refresh": options.refresh},
        python=options.python or sys.executable,
    )
    report = measure(settings, {Path(options.source).name: frames}, say)
    if options.json:
        text = json.dumps([report], indent=1)
        print(text) if options.json == "-" else Path(options.json).write_text(text + "\n", "utf-8")
    if options.json != "-":
        bench_report.show([report], markdown=options.markdown)
        print(f"\nOn a board? Send this line in:\n{bench_report.board_line(report)}")
    return 0


def say(text: str) -> None:
    """Progress, to standard error."""
    print(text, file=sys.stderr, flush=True)


def measure(
    settings: Settings,
    clips: Mapping[str, Sequence[Array]],
    progress: Callable[[str], None] = lambda _: None,
    task: Callable[[], Measure] | None = None,
) -> dict[str, Any]:
    """Measures one network.

    Args:
        settings: what and how long.
        clips: uint8 frames (H, W, C) by the clip's name, as ``Stream.push`` takes them; the first is the scene of the
            dense frame and of controlled clips.
        progress: takes a line of text.
        task: makes a measure, one per clip, of how gated outputs agree with dense ones.

    Returns:
        A report for ``bench_report`` and JSON: ``rows`` with milliseconds by engine, ``skipped`` engines and why.
    """
    model = Model.load(settings.model)
    report: dict[str, Any] = {
        "model": settings.model.stem,
        "mmacs": model.macs / 1e6,
        "board": board.describe(),
        "settings": {
            **dataclasses.asdict(settings),
            **{k: str(v) for k, v in vars(settings).items() if isinstance(v, Path)},
        },
        "versions": {},
        "skipped": {},
        "rows": [],
    }
    distances = {}
    if "clip" in settings.rows:
        for name, frames in clips.items():
            distances[name] = gated_distance(model, frames, settings.stream, task() if task else None)
    for threads in settings.threads:
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="framegate-bench-")))
            race = Race(settings, model, threads, folder, stack, report, progress)
            if "frame" in settings.rows:
                report["rows"].append(race.frame(next(iter(clips.values()))))
            if "clip" in settings.rows:
                report["rows"] += [{**race.clip(name, frames), **distances[name]} for name, frames in clips.items()]
            if "controlled" in settings.rows:
                report["rows"] += race.controlled(next(iter(clips.values()))[0])
    return report


class Race:
    """All engines at one number of threads, each in its own process, and the rows they give."""

    def __init__(
        self,
        settings: Settings,
        model: Model,
        threads: int,
        folder: Path,
        stack: contextlib.ExitStack,
        report: dict[str, Any],
        progress: Callable[[str], None],
    ) -> None:
        self.settings, self.model, self.threads, self.folder = settings, model, threads, folder
        self._stack, self._report, self._progress = stack, report, progress
        plain = folder / "plain.fgm"
        plain.write_bytes(without_preparation(settings.model.read_bytes()))
        gated: dict[str, Any] = {"threads": threads, **settings.stream}
        dense = {**gated, "gating": False}
        self.workers: dict[str, Worker] = {}
        for name, path, choices in (
            ("framegate", plain, dense),
            ("dense", settings.model, dense),
            ("gated", settings.model, gated),
            ("gated float", plain, gated),
        ):
            self._start(name, engine="framegate", model=str(path), options=choices)
        if "controlled" in settings.rows:
            self._start("memcmp", engine="memcmp")
        self.ours = dict(self.workers)
        for name in settings.rivals:
            progress(f"{settings.model.stem}, {threads} thread(s): loading {name}")
            try:
                self._start(name, **self._rival(name))
            except WorkerError as error:
                report["skipped"][name] = f"{'not installed: ' if error.absent else ''}{error}"
        self.rivals = {name: worker for name, worker in self.workers.items() if name not in self.ours}

    def _start(self, name: str, **arguments: Any) -> None:
        log = self.folder / f"{name.replace(' ', '-')}.log"
        python = sys.executable if arguments["engine"] in ("framegate", "memcmp") else self.settings.python
        worker = self._stack.enter_context(Worker(self.threads, log, python))
        self._report["versions"][arguments["engine"]] = worker.ask("open", **arguments)["version"]
        self.workers[name] = worker

    def _rival(self, name: str) -> dict[str, Any]:
        onnx = self.settings.onnx
        assert onnx is not None
        beside = onnx.with_suffix(".tflite")
        tflite = self.settings.tflite or (beside if beside.exists() else None)
        info, record = self.model.inputs[0], self.model.graph.inputs[0]
        return {
            "engine": name,
            "onnx": str(onnx.resolve()),
            "threads": self.threads,
            "cache": str(cache_folder() / hashlib.sha256(onnx.read_bytes()).hexdigest()[:16]),
            "shape": info.shape,
            "outputs": [output.name for output in self.model.outputs],
            "tflite": None if tflite is None else str(tflite),
            "prepare": Preparation.options(info, record.preprocess),
        }

    def frame(self, frames: Sequence[Array]) -> dict[str, Any]:
        """One prepared float frame, dense: every engine gets the network's own input."""
        frame = frames[len(frames) // 2]
        contestants = {"framegate": self.workers["framegate"], **self.rivals}
        self._load("frame", {"framegate": own_input(frame, self.model)[None]})
        self._load("frame", dict.fromkeys(self.rivals, source_input(frame, self.model)[None]))
        files = {name: self.folder / f"{name}.npz" for name in contestants}
        outputs, counts, differences = {}, {}, {}
        for name, seconds in self._warm(contestants, "frame", 3, files).items():
            counts[name] = 1 + min(MOST_REPETITIONS, max(1, round(self.settings.seconds / max(min(seconds), 1e-6))))
            with np.load(files[name]) as saved:
                outputs[name] = [saved[key] for key in saved.files]
            if name != "framegate":
                differences[name] = rivals.relative_distance(outputs[name], outputs["framegate"])
        self._progress(f"{self.settings.model.stem}, {self.threads} thread(s): dense frame")
        answers = interleave(contestants, "frame", counts, self.settings.rounds)
        engines = {name: timing(each, 1, whole=False) for name, each in answers.items()}
        return self._row("frame", "dense frame", engines, differences=differences)

    def clip(self, name: str, frames: Sequence[Array]) -> dict[str, Any]:
        """A whole clip of uint8 frames: ours prepare them in the engine, for others OpenCV and NumPy do."""
        self._progress(f"{self.settings.model.stem}, {self.threads} thread(s): {name}")
        contestants = {"gated": self.workers["gated"], "dense": self.workers["dense"], **self.rivals}
        self._load(name, dict.fromkeys(contestants, np.stack(frames)))
        self._warm(contestants, name, 2)
        answers = interleave(contestants, name, dict.fromkeys(contestants, len(frames)), self.settings.clip_rounds)
        engines = {each: timing(given, 0) for each, given in answers.items()}
        return self._row("clip", name, engines, counts=(answers["gated"][0], 0))

    def controlled(self, image: Array) -> list[dict[str, Any]]:
        """The clips of ``controlled`` at the network's own size, without the first frame, which is computed whole."""
        info = self.model.inputs[0]
        scene = resize_linear(image, info.height, info.width)
        made = {name: ("gated", list(controlled.frames(name, scene, CONTROLLED_FRAMES))) for name in controlled.CLIPS}
        made["still, float"] = ("gated float", [own_input(scene, self.model)] * CONTROLLED_FRAMES)
        if info.resized:
            made["still, 640x480"] = ("gated", [resize_linear(image, 480, 640)] * CONTROLLED_FRAMES)
        rows = []
        for name, (gated, frames) in made.items():
            dense = "dense" if gated == "gated" else "framegate"
            roles = {"gated": gated, "dense": dense} | ({"memcmp": "memcmp"} if name.startswith("still") else {})
            self._progress(f"{self.settings.model.stem}, {self.threads} thread(s): {name}")
            self._load(name, dict.fromkeys(roles.values(), np.stack(frames)))
            contestants = {role: self.workers[worker] for role, worker in roles.items()}
            answers = interleave(contestants, name, dict.fromkeys(contestants, len(frames)), self.settings.rounds)
            engines = {role: timing(given, 1) for role, given in answers.items()}
            rows.append(self._row("controlled", name, engines, counts=(answers["gated"][0], 1)))
        return rows

    def _load(self, clip: str, frames: Mapping[str, Array]) -> None:
        for name, array in frames.items():
            file = self.folder / "frames.npy"
            np.save(file, array)
            self.workers[name].ask("load", clip=clip, file=str(file))

    def _warm(
        self, contestants: dict[str, Worker], clip: str, count: int, save: Mapping[str, Path] | None = None
    ) -> dict[str, list[float]]:
        """Plays the clip's start once, untimed, and drops rivals that fail; seconds of the others' frames."""
        seconds = {}
        for name, worker in list(contestants.items()):
            try:
                answer = worker.ask("play", clip=clip, count=count, save=str(save[name]) if save else None)
                seconds[name] = answer["seconds"]
            except WorkerError as error:  # noqa: PERF203 (the others go on)
                if name in self.ours:
                    raise
                self._report["skipped"][name] = str(error)
                del contestants[name], self.rivals[name]
        return seconds

    def _row(
        self,
        kind: str,
        name: str,
        engines: dict[str, Any],
        *,
        counts: tuple[Mapping[str, Any], int] | None = None,
        **more: Any,
    ) -> dict[str, Any]:
        """``counts``: an answer whose ``macs`` and ``work`` count, and its first frame that does."""
        row: dict[str, Any] = {"kind": kind, "name": name, "threads": self.threads, "engines": engines, **more}
        if counts is not None and self.model.macs:
            macs, work = (counts[0][key][counts[1] :] for key in ("macs", "work"))
            row["mac_share"] = sum(macs) / (self.model.macs * len(macs))
            row["work_share"] = sum(work) / len(work)
            speedup = engines["dense"]["ms"] / max(engines["gated"]["ms"], 1e-9)
            row["efficiency"] = speedup * row["work_share"] if row["work_share"] else None
        return row


def timing(answers: Sequence[Mapping[str, Any]], first: int, *, whole: bool = True) -> dict[str, Any]:
    """Milliseconds of bursts without their ``first`` frames: ``ms`` of a burst (or of a frame), spread of frames."""
    bursts = [[1e3 * second for second in answer["seconds"][first:]] for answer in answers]
    every = sorted(value for burst in bursts for value in burst)
    p50 = statistics.median(every)
    return {
        "ms": statistics.median(map(sum, bursts)) if whole else p50,
        "p50": p50,
        "p95": every[min(len(every) - 1, int(0.95 * len(every)))],
        "max": every[-1],
        "bursts": len(bursts),
        "frames": len(every),
        "disturbed": statistics.fmean(answer["disturbed"] for answer in answers),
    }


def gated_distance(
    model: Model, frames: Sequence[Array], options: Mapping[str, Any], task: Measure | None = None
) -> dict[str, float]:
    """How far a gated stream's outputs are from a dense one's on a clip; nothing is timed.

    The measure of the task does not get the first frame, which is dense in any case.
    """
    gated, dense = Stream(model, **options), Stream(model, gating=False)
    distance = Distance()
    for index, frame in enumerate(frames):
        outputs, reference = gated.push(frame).outputs, dense.push(frame).outputs
        distance.add(outputs, reference)
        if task and index:
            task.add(outputs, reference)
    figures = task.figures() if task else {}
    return {"relative_l2": distance.relative, "largest_difference": distance.largest, **figures}


def own_input(frame: Array, model: Model) -> Array:
    """A uint8 frame as a file that does not prepare frames takes it: (H, W, C) float32."""
    record, info = model.graph.inputs[0], model.inputs[0]
    if record.preprocess is None:
        return frame.astype(np.float32)
    return normalize(fit_frame(frame, info.height, info.width, record.preprocess), record.preprocess)


def source_input(frame: Array, model: Model) -> Array:
    """A uint8 frame as the source model takes it, float32."""
    info = model.inputs[0]
    axes = [*info.pixel_axes, *(axis for axis in range(len(info.shape)) if axis not in info.pixel_axes)]
    stored = own_input(frame, model).reshape([info.shape[axis] for axis in axes])
    return np.ascontiguousarray(stored.transpose(np.argsort(axes)))


def cache_folder() -> Path:
    """Where networks converted for other engines are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "framegate"
