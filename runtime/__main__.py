"""The command line: ``framegate VERB``, also ``python -m runtime``; ``parser`` lists the verbs."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from . import __version__, rivals
from .bench import ROWS, bench
from .compare import Tools, compare
from .errors import Error
from .info import info
from .profile import profile
from .reference.graph import Graph
from .run import run
from .tune import tune


def parser() -> argparse.ArgumentParser:
    """The arguments of all verbs but ``convert``, which parses its own."""
    top = argparse.ArgumentParser(prog="framegate", description="Run video CNNs, recomputing only what changed.")
    top.add_argument("--version", action="version", version=f"framegate {__version__}")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    verbs.add_parser("convert", help="turn an ONNX network into a .fgm file", add_help=False)

    one = verbs.add_parser("info", help="show what a .fgm file holds and needs")
    one.set_defaults(function=info)
    one.add_argument("model", metavar="MODEL")

    one = verbs.add_parser("run", help="stream a clip through a network and show what was recomputed")
    one.set_defaults(function=run)
    _stream_arguments(one)
    one.add_argument("--gating", choices=("on", "off"), default="on", help="off: compute every frame dense")
    one.add_argument("--out", metavar="PATH", help="annotated pictures: a .mp4 file, or a folder for PNG images")

    one = verbs.add_parser("bench", help="time dense and gated frames, and other engines on the same frames")
    one.set_defaults(function=bench)
    _stream_arguments(one, threads=False)
    _bench_arguments(one)

    one = verbs.add_parser("profile", help="show where the time of a push goes, node by node")
    one.set_defaults(function=_profile)
    _stream_arguments(one)
    one.add_argument("--gating", choices=("on", "off"), default="on", help="off: compute every frame dense")
    _output_arguments(one)

    one = verbs.add_parser("tune", help="fit a network's gates to your own footage, without labels")
    one.set_defaults(function=_tune)
    _tune_arguments(one)

    one = verbs.add_parser("compare", help="run a clip under several gates: work, agreement, drift")
    one.set_defaults(function=_compare)
    one.add_argument("model", metavar="MODEL", help="a .fgm file with gates")
    one.add_argument("--video", required=True, metavar="SOURCE", help="a video file or a folder of images")
    one.add_argument("--frames", type=_positive, metavar="N", help="stop after N frames")
    one.add_argument("--threads", type=_positive, default=1, metavar="N")
    _agreement_arguments(one)
    _output_arguments(one)
    return top


def _tune_arguments(one: argparse.ArgumentParser) -> None:
    one.add_argument("model", metavar="MODEL", help="a .fgm file with hold gates")
    one.add_argument("--video", required=True, metavar="SOURCE", help="footage: a video file or a folder of images")
    one.add_argument("-o", "--output", required=True, metavar="FILE", help="the tuned .fgm file to write")
    one.add_argument("--frames", type=_positive, metavar="N", help="of the footage; half tunes, half is held out")
    one.add_argument("--target", type=float, default=0.99, metavar="X", help="agreement to aim at (default: 0.99)")
    one.add_argument("--passes", type=_positive, default=2, metavar="N", help="over all thresholds (default: 2)")
    one.add_argument("--weights", type=int, default=0, metavar="STEPS", help="then fine-tune weights, too (torch)")
    _agreement_arguments(one)
    _output_arguments(one)


def _agreement_arguments(one: argparse.ArgumentParser) -> None:
    one.add_argument("--agreement", default="values", metavar="NAME", help="values, classes or FILE.py:FUNCTION")
    one.add_argument("--refresh", type=int, default=32, metavar="N", help="undo what gates held back every N frames")


def _bench_arguments(one: argparse.ArgumentParser) -> None:
    one.add_argument("--onnx", metavar="FILE", help="the source network: time other engines on it")
    one.add_argument("--rivals", type=_names(rivals.NAMES), metavar="NAMES", help=f"some of {','.join(rivals.NAMES)}")
    one.add_argument("--tflite", metavar="FILE", help="the network for LiteRT (default: beside the source network)")
    one.add_argument("--python", metavar="FILE", help="the interpreter that has the other engines (default: this one)")
    one.add_argument("--rows", type=_names(ROWS), metavar="NAMES", help=f"what to measure: some of {','.join(ROWS)}")
    one.add_argument("--threads", type=_numbers, default=[1], metavar="N,N", help="numbers of threads (default: 1)")
    one.add_argument("--rounds", type=_positive, default=7, metavar="N", help="bursts per engine (default: 7)")
    one.add_argument("--clip-rounds", type=_positive, default=3, metavar="N", help="runs of the clip (default: 3)")
    one.add_argument("--seconds", type=float, default=0.2, metavar="S", help="how long a burst takes (default: 0.2)")
    _output_arguments(one)


def _output_arguments(one: argparse.ArgumentParser) -> None:
    one.add_argument("--markdown", action="store_true", help="print tables in Markdown")
    one.add_argument("--json", metavar="FILE", help="write figures as JSON; -: print them instead of tables")


def _profile(options: argparse.Namespace) -> int:
    """The verb, with the writer that only the converters have."""
    return profile(options, importlib.import_module("converters.writer").to_bytes)


def _tune(options: argparse.Namespace) -> int:
    """The verb, with the writer and the training that only the converters have."""

    def distill(graph: Graph, frames: Sequence[Any], steps: int, progress: Callable[[str], None]) -> Graph:
        tuning = importlib.import_module("converters.tuning")
        tuned: Graph = tuning.distill(graph, frames, tuning.Settings(steps=steps), progress)
        return tuned

    return tune(options, importlib.import_module("converters.writer").to_bytes, distill)


def _compare(options: argparse.Namespace) -> int:
    """The verb, with what only the converters have."""
    variants, skip_gates, writer = (
        importlib.import_module(f"converters.{name}") for name in ("variants", "skip_gates", "writer")
    )
    tools = Tools(writer.to_bytes, skip_gates.close_loops, variants.hold_gated, variants.norm_gated)
    return compare(options, tools)


def _stream_arguments(one: argparse.ArgumentParser, *, threads: bool = True) -> None:
    one.add_argument("model", metavar="MODEL", help="a .fgm file")
    one.add_argument("source", metavar="SOURCE", help="a video file, a folder of images or a camera's index")
    one.add_argument("--frames", type=_positive, metavar="N", help="stop after N frames")
    if threads:
        one.add_argument("--threads", type=_positive, default=1, metavar="N")
    one.add_argument("--threshold-scale", type=float, default=1.0, metavar="X", help="multiplies thresholds; 0: exact")
    one.add_argument("--refresh", type=int, default=32, metavar="N", help="undo what gates held back every N frames")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not positive")
    return number


def _numbers(text: str) -> list[int]:
    return [_positive(word) for word in text.split(",")]


def _names(allowed: Sequence[str]) -> Callable[[str], list[str]]:
    """A parser of names between commas."""

    def names(text: str) -> list[str]:
        for word in text.split(","):
            if word not in allowed:
                raise argparse.ArgumentTypeError(f"{word!r} is none of {', '.join(allowed)}")
        return text.split(",")

    return names


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point.

    Returns:
        0, or 2 after an error (one line on standard error), or 130 after Ctrl-C.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        if arguments[:1] == ["convert"]:
            return int(importlib.import_module("converters.__main__").main(arguments[1:]) or 0)
        options = parser().parse_args(arguments)
        return int(options.function(options))
    except KeyboardInterrupt:
        print("framegate: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # as in `framegate info net.fgm | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (Error, OSError, ImportError, MemoryError) as error:
        print("framegate:", _one_line(error), file=sys.stderr)
        return 2


def _one_line(error: BaseException) -> str:
    """What went wrong; further lines of a message, such as a list of operators, are indented."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return "\n  ".join(str(error).splitlines()) or type(error).__name__


if __name__ == "__main__":
    sys.exit(main())
