"""The command line: ``framegate convert | info | run | bench``, also ``python -m runtime``."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from . import __version__
from .bench import bench
from .errors import Error
from .info import info
from .run import run


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

    one = verbs.add_parser("bench", help="time gated against dense frames of a clip")
    one.set_defaults(function=bench)
    _stream_arguments(one)
    one.add_argument("--onnx", metavar="FILE", help="the source network: time ONNX Runtime on the same frames, too")
    one.add_argument("--json", action="store_true", help="print figures as JSON")
    return top


def _stream_arguments(one: argparse.ArgumentParser) -> None:
    one.add_argument("model", metavar="MODEL", help="a .fgm file")
    one.add_argument("source", metavar="SOURCE", help="a video file, a folder of images or a camera's index")
    one.add_argument("--frames", type=_positive, metavar="N", help="stop after N frames")
    one.add_argument("--threads", type=_positive, default=1, metavar="N")
    one.add_argument("--threshold-scale", type=float, default=1.0, metavar="X", help="multiplies thresholds; 0: exact")
    one.add_argument("--refresh", type=int, default=16, metavar="N", help="undo what gates held back every N frames")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not positive")
    return number


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
