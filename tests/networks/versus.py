"""Two or more builds of the engine on the same frames, in turns frame by frame, in one process.

What a change of a kernel gives is often less than what a neighbour on the machine takes. Here a neighbour meets all
builds alike, within milliseconds: a build against itself is 0.98 to 1.02 after five rounds, where bursts that take
turns (``bench``) differ by 5 to 10 %.

    cmake -S . -B build/now -DFG_SHARED=ON && cmake --build build/now
    python -m tests.networks.versus before/libframegate.so build/now/libframegate.so [--networks yolox_nano]
                                    [--clips webcam all] [--onnx FILES] [--gating on,off,both] [--rounds 5] [--markdown]

Each round is a process of its own, since where memory comes to lie matters too, and the builds' order rotates. A
network's figure is the median over rounds of the mean ratio (geometric, without the outer eighths) of a frame's time
to the first build's. The first frame of a round is left out. One thread, pinned; needs FRAMEGATE_ASSETS for networks
by name (docs/networks.md).

Gating ``both`` compares every build with gates to the first one without: what gates cost where nothing can be saved
(clip ``all``) and what they gain elsewhere, though the dense frames in between leave a gated stream's memory colder
than it is by itself. Beside the ratio stand the work executed, as a share of a dense frame's, and the efficiency, that
share over the ratio (docs/performance.md). Clips are real ones, or those of ``runtime/controlled.py`` made of a real
one's first frame.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from cffi import FFI

import converters
from cffi_build.generate import HEADER, region
from runtime import controlled, tables
from runtime._binding import address, aligned_bytes
from runtime.clip import fit, image_input
from runtime.model import InputInfo, Model
from runtime.reference.prepare import resize_linear

from . import assets
from .bench import chosen_networks, made_clip

Contestant = tuple[Path, bool]  # a shared library, and whether its stream has gates


class Build:
    """A shared library of the engine with a stream of its own."""

    def __init__(self, ffi: FFI, path: Path, model: Any, gating: bool) -> None:
        self.lib = ffi.dlopen(str(path))
        self.keep: list[Any] = []
        self.error = self.new(ffi, "fg_error *")
        self.model = self.new(ffi, "fg_model *")
        config, plan, memory = (self.new(ffi, f"fg_{name} *") for name in ("config", "plan", "memory"))
        stream = self.new(ffi, "fg_stream **")
        self.check(self.lib.fg_model_open(self.model, ffi.from_buffer(model), len(model), self.error))
        self.lib.fg_config_init(config)
        config.gating = gating
        self.check(self.lib.fg_plan_memory(self.model, config, plan, self.error))
        for name in ("state", "scratch"):
            size = getattr(plan, f"{name}_bytes")
            block = aligned_bytes(size)  # as the runtime has it: NumPy asks for large pages
            self.keep.append(block)
            setattr(memory, name, ffi.cast("void *", address(block)))
            setattr(memory, f"{name}_bytes", size)
        self.check(self.lib.fg_stream_init(stream, self.model, config, memory, self.error))
        self.stream = stream[0]
        self.stats = self.new(ffi, "fg_stats *")

    def new(self, ffi: FFI, kind: str, *size: int) -> Any:
        """Memory that lives as long as the build."""
        self.keep.append(ffi.new(kind, *size))
        return self.keep[-1]

    def check(self, status: int) -> None:
        """Ends the process with the engine's message."""
        if status:
            raise SystemExit(bytes(self.error.message).split(b"\0")[0].decode())

    def work(self) -> tuple[int, int]:
        """Multiply-accumulates the kernels executed in the last push, and in a dense one."""
        self.check(self.lib.fg_stream_stats(self.stream, self.lib.FG_NONE, self.stats))
        return self.stats.work, self.stats.work_dense

    def push(self, frame: Any) -> int:
        """Nanoseconds of a push."""
        start = time.perf_counter_ns()
        status = self.lib.fg_stream_push(self.stream, frame, 1, self.error)
        taken = time.perf_counter_ns() - start
        self.check(status)
        return taken


def round_of(
    contestants: Sequence[Contestant], model_path: Path, frames_path: Path
) -> tuple[list[list[int]], list[float]]:
    """Per contestant the nanoseconds of each frame and the share of the dense work in all, the first frame left out.

    Runs in a process of its own.
    """
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    ffi = FFI()
    ffi.cdef(region(HEADER.read_text(encoding="utf-8")))
    model, frames = bytearray(model_path.read_bytes()), np.load(frames_path)
    builds = [Build(ffi, library, model, gating) for library, gating in contestants]
    _, height, width, channels = frames.shape
    frame = ffi.new("fg_frame *", {"row_stride_bytes": width * channels, "height": height, "width": width,
                                   "channels": channels, "dtype": builds[0].lib.FG_DTYPE_U8})  # fmt: skip
    times: list[list[int]] = [[] for _ in builds]
    works: list[list[tuple[int, int]]] = [[] for _ in builds]
    for number, image in enumerate(frames):
        frame.data = ffi.from_buffer(image)
        for k in range(len(builds)):
            which = (k + number) % len(builds)
            times[which].append(builds[which].push(frame))
            works[which].append(builds[which].work())
    shares = [sum(done for done, _ in each[1:]) / sum(dense for _, dense in each[1:]) for each in works]
    return [each[1:] for each in times], shares


def ratio(times: Sequence[int], first: Sequence[int]) -> float:
    """The geometric mean of a frame's ratios, without the outer eighths."""
    ratios = sorted(a / b for a, b in zip(times, first, strict=True))
    cut = len(ratios) // 8
    return statistics.geometric_mean(ratios[cut : len(ratios) - cut])


def compare(
    contestants: Sequence[Contestant], model: Path, frames: Path, rounds: int
) -> tuple[list[float], list[float], list[float]]:
    """Milliseconds a frame and ratio to the first, medians over the rounds, and share of the dense work, each."""
    milliseconds: list[list[float]] = [[] for _ in contestants]
    ratios: list[list[float]] = [[] for _ in contestants]
    shares = [0.0 for _ in contestants]
    for number in range(rounds):
        order = [(k + number) % len(contestants) for k in range(len(contestants))]
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            times, works = pool.submit(round_of, [contestants[k] for k in order], model, frames).result()
        first = times[order.index(0)]
        for k, each, share in zip(order, times, works, strict=True):
            milliseconds[k].append(statistics.mean(each) * 1e-6)
            ratios[k].append(ratio(each, first))
            shares[k] = share
    return [statistics.median(each) for each in milliseconds], [statistics.median(each) for each in ratios], shares


def cell(milliseconds: float, ratio: float, share: float, gating: str) -> str:
    """A build's figures; beside a dense stream also what it executed, and how much of what that saves is saved time."""
    text = f"{milliseconds:.2f} ms, {ratio:.3f}"
    return f"{text}, work {share:.3f}, efficiency {share / ratio:.2f}" if gating == "both" else text


def contestants_of(libraries: Sequence[Path], gating: str) -> list[Contestant]:
    """Who takes turns; ratios are to the first, which ``both`` puts in front of the builds."""
    if gating == "both":
        return [(libraries[0], False), *((library, True) for library in libraries)]
    return [(library, gating == "on") for library in libraries]


def images_of(clip: str | None, count: int, info: InputInfo) -> list[assets.Array]:
    """``count`` frames of a clip as a network takes them; None: the made one."""
    if clip not in controlled.CLIPS:
        return [fit(image, info) for image in (assets.clip(clip, count) if clip else made_clip(count))]
    image = assets.clip("webcam", 1)[0] if assets.folder() is not None else made_clip(1)[0]
    return list(controlled.frames(clip, fit(resize_linear(image, info.height, info.width), info), count))


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description="Builds of the engine, in turns frame by frame.")
    parser.add_argument("libraries", nargs="+", type=Path, help="shared libraries; ratios are to the first")
    parser.add_argument("--networks", nargs="*", choices=sorted(assets.NETWORKS), default=None)
    clips = [*sorted(assets.CLIPS), *controlled.CLIPS]
    parser.add_argument("--clips", nargs="+", choices=clips, default=None, help="default: webcam")
    parser.add_argument("--onnx", nargs="+", type=Path, default=[], help="networks of your own")
    parser.add_argument("--gating", default="off,on", help="off, on, both: several with commas between them")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args()
    there = assets.folder() is not None
    if not there and set(options.clips or ()) - set(controlled.CLIPS):
        parser.error("FRAMEGATE_ASSETS names no folder with clips (docs/networks.md): only controlled ones can be had")
    libraries = [path.resolve() for path in options.libraries]
    rows, all_ratios = [], []
    with tempfile.TemporaryDirectory() as folder:
        model, frames = Path(folder) / "net.fgm", Path(folder) / "frames.npy"
        for path, preprocess, name in chosen_networks(options):
            converters.convert(path, model, preprocess=dict(preprocess))
            info = image_input(Model.load(model))
            for clip in options.clips or (["webcam"] if there else [None]):
                np.save(frames, np.stack(images_of(clip, options.frames, info)))
                for word in options.gating.split(","):
                    figures = compare(contestants_of(libraries, word), model, frames, options.rounds)
                    figures = tuple(each[-len(libraries) :] for each in figures)
                    all_ratios.append(figures[1])
                    cells = [cell(*each, word) for each in zip(*figures, strict=True)]
                    rows.append([name, clip or "made", word, *cells])
                    print(*rows[-1], sep="  ", file=sys.stderr)
    means = [statistics.geometric_mean(each) for each in zip(*all_ratios, strict=True)]
    rows.append(["geometric mean", "", "", *(f"{each:.3f}" for each in means)])
    head = ["network", "clip", "gating", *(f"build {k}" for k in range(len(libraries)))]
    tables.show(
        [tables.Table("milliseconds a frame, ratio to build 0 (both: without gates)", head, rows, labels=3)],
        markdown=options.markdown,
    )


if __name__ == "__main__":
    main()
