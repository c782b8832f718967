"""``framegate bench`` over many networks, with all tables in one.

Run from the repository's root with FRAMEGATE_ASSETS set (docs/networks.md), or with ONNX files of your own:

    python -m tests.networks.bench [--networks yolox_nano ultraface] [--clips webcam] [--onnx FILES]
                                   [--rivals ort,openvino] [--threads 1,2] [--json FILE] [--markdown]
    python -m tests.networks.bench --blocks [--rivals ort,openvino]  small networks of one kind of block each
    python -m tests.networks.bench --read FILE [--markdown]          tables of an earlier run

Networks are converted with the default gates. Files given with ``--onnx`` get grey levels brought to -1 to 1, and a
made clip where there is no other.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import converters
from converters.writer import to_bytes
from runtime import bench, bench_report, controlled, rivals, tables
from runtime.clip import fit, image_input
from runtime.model import Model
from runtime.profile import gemm_gflops

from . import assets, blocks, tasks

DEFAULT_CLIPS = ("webcam", "vtest", "dashcam")
PLAIN = {"resize": "stretch", "mean": 127.5, "std": 127.5}


def made_clip(count: int) -> list[assets.Array]:
    """480 x 640 frames: smooth noise of which a square of 5 % changes from frame to frame."""
    rng = np.random.default_rng(5)
    coarse = rng.integers(0, 256, (15, 20, 3)).astype(np.uint8)
    return list(controlled.frames("square 5 %", coarse.repeat(32, 0).repeat(32, 1), count))


def one(
    path: Path,
    preprocess: Mapping[str, object],
    clips: Mapping[str, Sequence[assets.Array]],
    options: argparse.Namespace,
    name: str,
) -> dict[str, Any]:
    """Converts and measures a network."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / f"{name}.fgm"
        converters.convert(path, target, preprocess=dict(preprocess))
        info = image_input(Model.load(target))
        fitted = {clip: [fit(image, info) for image in frames] for clip, frames in clips.items()}
        task = (lambda: tasks.measure(name)) if tasks.measure(name) else None
        return bench.measure(settings(target, path, options.rows.split(","), options), fitted, bench.say, task)


def block(each: blocks.Block, options: argparse.Namespace) -> dict[str, Any]:
    """Makes, converts and measures a block; its report also tells this machine's peak."""
    with tempfile.TemporaryDirectory() as folder:
        path, target = Path(folder) / "block.onnx", Path(folder) / f"{each.title}.fgm"
        each.write(path)
        converters.convert(path, target)
        chosen = settings(target, path, ["frame"], options)
        report = bench.measure(chosen, {"made": [each.frame()]}, bench.say)
        peak = {str(threads): gemm_gflops(to_bytes, threads) for threads in chosen.threads}
        return {**report, "group": each.group, "peak": peak}


def settings(model: Path, onnx: Path, rows: Sequence[str], options: argparse.Namespace) -> bench.Settings:
    """What the options ask for."""
    tflite = options.tflite / f"{onnx.stem}.tflite" if options.tflite else None
    return bench.Settings(
        model=model,
        onnx=onnx,
        tflite=tflite if tflite and tflite.exists() else None,
        rows=rows,
        rivals=[each for each in options.rivals.split(",") if each],
        threads=[int(word) for word in options.threads.split(",")],
        rounds=options.rounds,
        clip_rounds=options.clip_rounds,
        seconds=options.seconds,
        python=options.python,
    )


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    top = argparse.ArgumentParser(description="framegate and other engines on many networks.")
    top.add_argument("--networks", nargs="*", choices=sorted(assets.NETWORKS), default=None)
    top.add_argument("--clips", nargs="+", choices=sorted(assets.CLIPS), default=list(DEFAULT_CLIPS))
    top.add_argument("--onnx", nargs="+", type=Path, default=[], help="networks of your own")
    top.add_argument(
        "--blocks", nargs="*", metavar="WORD", help="blocks of mobile networks whose title holds a word, or all"
    )
    top.add_argument("--tflite", type=Path, help="a folder with NAME.tflite for NAME.onnx; without: beside the .onnx")
    top.add_argument("--frames", type=int, default=60, help="per clip")
    top.add_argument("--rivals", default=",".join(rivals.NAMES))
    top.add_argument("--rows", default=",".join(bench.ROWS))
    top.add_argument("--threads", default="1")
    top.add_argument("--rounds", type=int, default=7)
    top.add_argument("--clip-rounds", type=int, default=3)
    top.add_argument("--seconds", type=float, default=0.2)
    top.add_argument("--python", default=sys.executable, help="the interpreter that has the other engines")
    top.add_argument("--json", type=Path, help="also write the figures here, after each network")
    top.add_argument("--read", type=Path, help="measure nothing: tables of the figures in this file")
    top.add_argument("--markdown", action="store_true")
    return top


def main() -> None:
    """Prints the tables."""
    options = parser().parse_args()
    if options.read:
        show(json.loads(options.read.read_text()), markdown=options.markdown)
        return
    reports = []
    for report in measured_blocks(options) if options.blocks is not None else measured_networks(options):
        reports.append(report)
        if options.json:
            options.json.write_text(json.dumps(reports, indent=1) + "\n")
    show(reports, markdown=options.markdown)


def measured_blocks(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A report per block."""
    chosen = [
        each for each in blocks.BLOCKS if not options.blocks or any(word in each.title for word in options.blocks)
    ]
    return (block(each, options) for each in chosen)


def chosen_networks(options: argparse.Namespace) -> list[tuple[Path, Mapping[str, object], str]]:
    """ONNX file, preparation and name of each network that ``--networks`` and ``--onnx`` ask for."""
    if assets.folder() is None and not options.onnx:
        sys.exit("FRAMEGATE_ASSETS names no folder (docs/networks.md says what it must hold), and no --onnx is given")
    names = options.networks if options.networks is not None else ([] if options.onnx else list(assets.NETWORKS))
    named = [(assets.model_path(name), assets.NETWORKS[name].preprocess, name) for name in names]
    return named + [(path, PLAIN, path.stem) for path in options.onnx]


def measured_networks(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A report per network."""
    there = assets.folder() is not None
    for path, preprocess, name in chosen_networks(options):
        clips = {clip: assets.clip(clip, options.frames) for clip in options.clips} if there else {}
        yield one(path, preprocess, clips or {"made": made_clip(options.frames)}, options, name)


def show(reports: Sequence[dict[str, Any]], *, markdown: bool) -> None:
    """Prints the tables."""
    if reports and "group" in reports[0]:
        tables.show([blocks.table(reports)], markdown=markdown)
    else:
        bench_report.show(reports, markdown=markdown)


if __name__ == "__main__":
    main()
