"""The verbs of ``python -m firmware_tests.counting``; what they are for is said in the package's docstring."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

import numpy as np

from . import __doc__ as about
from . import budgets, frames, pipeline, rivals, table
from .counter import CLASSES


def print_rows(rows: dict[str, Counter[str]], top: int) -> None:
    """Prints instructions in millions, by class, the largest rows first."""
    total = sum(each.total() for each in rows.values())
    for name, counts in sorted(rows.items(), key=lambda row: -row[1].total())[:top]:
        cells = "".join(f"{counts[c] / 1e6:9.3f}" for c in CLASSES)
        print(f"    {name:36}{counts.total() / 1e6:10.3f}{counts.total() / total:7.1%} {cells}")


def count_frames(options: argparse.Namespace) -> None:
    """Prints a network's frames by function."""
    picture = np.load(options.picture) if options.picture else None
    program = frames.program(options.target)
    for kind, frame in frames.measure(options.net, options.target, options.cpu, picture).items():
        total = frame.total()
        share, fma = frame.macs / frame.dense_macs, total["fma"] / max(total.total(), 1)
        print(f"{options.net.stem} {kind}: {total.total() / 1e6:.3f} million instructions, {fma:.3f} of them fma; "
              f"{share:.4f} of the work")  # fmt: skip
        print_rows(frame.stretch.by_function(program, options.target), options.top)
    print(" " * 58 + "".join(f"{c:>9}" for c in CLASSES))


def count_rival(options: argparse.Namespace) -> None:
    """Prints another engine's frame by library."""
    picture = np.load(options.picture) if options.picture else None
    print_rows(rivals.measure(options.net, options.source, options.engine, options.cpu, picture), 12)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="firmware_tests.counting", description=about,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    verbs = parser.add_subparsers(required=True)
    verb = verbs.add_parser("frames", help="where a frame's instructions go")
    verb.add_argument("net", type=Path)
    verb.add_argument("--target", default="aarch64", choices=list(frames.CPUS))
    verb.add_argument("--cpu", default="")
    verb.add_argument("--picture", type=Path, help="(H, W, C) uint8, as .npy; default: a made one")
    verb.add_argument("--top", type=int, default=12)
    verb.set_defaults(run=count_frames)
    verb = verbs.add_parser("budgets", help="the networks with frozen budgets")
    verb.add_argument("--update", action="store_true", help="freeze what is executed now")
    verb.set_defaults(run=check_budgets)
    verb = verbs.add_parser("rivals", help="other engines on the same frame")
    rivals.add_arguments(verb)
    verb.set_defaults(run=count_rival)
    verb = verbs.add_parser("table", help="real networks beside all other engines, as in docs/arm.md")
    table.add_arguments(verb)
    verb.set_defaults(run=table.run)
    verb = verbs.add_parser("pipeline", help="llvm-mca on the hot loops")
    verb.set_defaults(run=lambda _: print(*pipeline.report(), sep="\n"))
    options = parser.parse_args()
    options.run(options)


def check_budgets(options: argparse.Namespace) -> None:
    """Prints what differs from the frozen budgets, or freezes anew."""
    if options.update:
        budgets.update()
        return
    _, changed = budgets.compare(json.loads(budgets.FILE.read_text()), budgets.measured())
    print(*changed, sep="\n")


main()
