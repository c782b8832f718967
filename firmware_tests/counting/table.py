"""Executed instructions of real networks beside other engines, as docs/arm.md shows them.

Networks and how frames are prepared come from tests/networks/assets.py; FRAMEGATE_ASSETS names the folder. The others'
files are converted and kept as ``framegate bench`` does, which takes ``pip install 'framegate[bench]'``; a `.tflite`
is looked for in ``--tflite`` under the ONNX file's name (docs/performance.md says how to make one). Figures are kept in
``table.json`` beside this file: ``--engines framegate --update`` counts ours alone again and renews docs/arm.md.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import converters
from runtime import Error, Model
from runtime.bench import cache_folder
from runtime.rivals import Task, mnn, ncnn
from tests.networks import assets

from ..tools import ROOT
from . import frames, rivals

FILE = Path(__file__).with_name("table.json")
DOCUMENT = ROOT / "docs" / "arm.md"
NAMES = ("ultraface", "yolox_nano", "fastestdet", "tinypose", "posenet", "retinaface", "efficientnet_lite0")
TITLES = {"ncnn": "ncnn", "ort": "ONNX Runtime", "mnn": "MNN", "litert": "LiteRT"}
Figures = dict[str, dict[str, dict[str, float]]]  # network, CPU or OURS, what: millions of instructions, or a share
OURS = "framegate"  # on every CPU the same kernels are chosen (part linux), so one CPU is counted
SAME = 0.001  # CPU models whose counts differ by less share a row, the first one's


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's command line."""
    parser.add_argument("--networks", nargs="+", default=list(NAMES), choices=sorted(assets.NETWORKS))
    parser.add_argument("--engines", nargs="+", default=[OURS, *TITLES], choices=[OURS, *TITLES])
    parser.add_argument("--cpus", nargs="+", default=list(rivals.PARTS), choices=list(rivals.PARTS))
    parser.add_argument("--update", action="store_true", help="put the table into docs/arm.md")
    parser.add_argument("--tflite", type=Path, default=Path(), help="the folder with .tflite files")


def ours(name: str) -> dict[str, float]:
    """Millions of instructions of a dense frame of the network's own input and, with the camera's uint8 frame, of a
    compact tenth repainted and of the dense frame to compare that with; the executed share of the work."""
    onnx, network = assets.model_path(name), assets.NETWORKS[name]
    plain, camera = (rivals.ROOT / f"{name}{suffix}.fgm" for suffix in ("", "-camera"))
    converters.convert(str(onnx), str(plain))
    converters.convert(str(onnx), str(camera), preprocess=network.preprocess)
    dense = frames.measure(plain, "aarch64", kinds=("dense",))["dense"]
    prepared = frames.measure(camera, "aarch64", kinds=("dense", "square"))
    millions = {kind: frame.total().total() / 1e6 for kind, frame in prepared.items()}
    share = prepared["square"].macs / prepared["square"].dense_macs
    return {OURS: dense.total().total() / 1e6, "fma": dense.total()["fma"] / 1e6, "square": millions["square"],
            "square / dense": millions["square"] / millions["dense"], "work": share}  # fmt: skip


def theirs(engine: str, name: str, cpu: str, tflite: Path) -> dict[str, float]:
    """Millions of instructions of another engine's second frame."""
    onnx, net = assets.model_path(name), rivals.ROOT / f"{name}.fgm"
    converters.convert(str(onnx), str(net))
    model = Model.load(net)
    cache = cache_folder() / hashlib.sha256(onnx.read_bytes()).hexdigest()[:16]
    outputs = tuple(output.name for output in model.outputs)
    task = Task(str(onnx.resolve()), 1, str(cache), model.inputs[0].shape, outputs)
    sources: dict[str, Callable[[], Path]] = {
        "ort": lambda: onnx,
        "ncnn": lambda: ncnn.converted(task),
        "mnn": lambda: mnn.converted(task),
        "litert": lambda: tflite / f"{onnx.stem}.tflite",
    }
    source = sources[engine]()
    if not source.exists():
        raise Error(f"there is no {source}")
    files = rivals.measure(net, source, engine, cpu)
    return {engine: sum(counts.total() for counts in files.values()) / 1e6}


def rows(figures: Figures, name: str) -> Iterator[tuple[list[str], dict[str, float]]]:
    """(CPU models, their common figures) of a network."""
    found: list[tuple[list[str], dict[str, float]]] = []
    for cpu in sorted(figures[name].keys() - {OURS}):
        row = figures[name].get(OURS, {}) | figures[name][cpu]
        for cpus, known in found:
            if all(abs(row[key] - known[key]) <= SAME * known[key] for key in row.keys() & known.keys()):
                cpus.append(cpu)
                known |= row | known
                break
        else:
            found.append(([cpu], row))
    yield from found


def report(figures: Figures) -> Iterator[str]:
    """The lines of the table."""
    yield (
        "| network | CPU | framegate | of them fma | "
        + " | ".join(TITLES.values())
        + (" | dense / ncnn | dense / best | 10 % changed | of own dense | of the work | 10 % / ncnn | 10 % / best |")
    )
    yield "|---|---|" + "---:|" * (len(TITLES) + 9)
    for name in (name for name in assets.NETWORKS if name in figures):
        for cpus, row in rows(figures, name):
            known = [row[engine] for engine in TITLES if engine in row]
            best, other = min(known, default=0), row.get("ncnn", 0)
            cells = [row.get(key, 0) for key in (OURS, "fma", *TITLES)]
            words = [f"{cell:.1f}" if cell else "-" for cell in cells]
            dense, square = row.get(OURS, 0), row.get("square", 0)
            ratios = [(dense, other), (dense, best)], [(square, other), (square, best)]
            first, last = ([f"{a / b:.2f}" if a and b else "-" for a, b in pairs] for pairs in ratios)
            middle = [f"{square:.1f}", *(f"{row.get(key, 0):.3f}" for key in ("square / dense", "work"))]
            models = ", ".join(cpu.removeprefix("cortex-").upper() for cpu in cpus)
            yield f"| {name} | {models} | " + " | ".join([*words, *first, *middle, *last]) + " |"


def renewed(text: str, lines: list[str]) -> str:
    """A document with these lines in the place of its own table."""
    return re.sub(r"(?m)^\| network \| CPU \|.*\n(\|.*\n)*", "".join(f"{line}\n" for line in lines), text, count=1)


def run(options: argparse.Namespace) -> None:
    """Counts what is asked for and prints all that is known."""
    if assets.folder() is None:
        sys.exit("FRAMEGATE_ASSETS names no folder; docs/networks.md says what it must hold")
    figures: Figures = json.loads(FILE.read_text()) if FILE.exists() else {}
    rivals.ROOT.mkdir(parents=True, exist_ok=True)
    for name, engine in itertools.product(options.networks, options.engines):
        for cpu in [OURS] if engine == OURS else options.cpus:
            row = figures.setdefault(name, {}).setdefault(cpu, {})
            try:
                row |= ours(name) if engine == OURS else theirs(engine, name, cpu, options.tflite)
            except (Error, AssertionError, OSError) as error:
                print(f"{name}, {engine}, {cpu}: {str(error)[-300:]}", file=sys.stderr, flush=True)
            FILE.write_text(json.dumps(figures, indent=1) + "\n")
    lines = list(report(figures))
    print(*lines, sep="\n")
    if options.update:
        DOCUMENT.write_text(renewed(DOCUMENT.read_text(), lines))
