"""Command line of the converters: ``python -m converters SOURCE -o MODEL``, also ``framegate convert``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from runtime.reference.errors import ArgumentError, Error

from .conversion import STAGES, WINOGRAD, convert
from .skip_gates import MODES

PREPROCESS_HELP = (
    "how uint8 frames become the input: JSON, or key=value with size, resize, align, fill, frame_color, color, mean, "
    "scale, std; for example: resize=letterbox fill=114 mean=127 scale=0.0078125"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Converts one file and prints the report; returns 0, or 2 after an error, which is one message on stderr."""
    options = _parser().parse_args(argv)
    try:
        report = convert(
            options.source,
            options.output,
            preprocess=parse_pairs(options.preprocess),
            gate=options.gate,
            alpha=options.alpha,
            norm=options.norm,
            block=options.block,
            input_threshold=options.input_threshold,
            grey_level=options.grey_level,
            gates=options.gates,
            skip_mode=options.skip_mode,
            winograd=options.winograd,
            shapes=parse_shapes(options.shape),
            dump_after=options.dump_after,
        )
    except Error as error:
        print(f"framegate convert: {error}", file=sys.stderr)
        return 2
    if report.dump:
        print(report.dump)
    print(report.to_json() if options.report == "json" else report)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="framegate convert", description="Convert an ONNX network to a .fgm file.")
    parser.add_argument("source", help="ONNX file")
    parser.add_argument("-o", "--output", required=True, metavar="MODEL", help=".fgm file to write")
    parser.add_argument("--shape", action="append", metavar="NAME=1,3,240,320", help="shape of an input, repeatable")
    parser.add_argument(
        "--gate", choices=("hold", "none"), help="gate values (default: hold; none where there are skip gates)"
    )
    parser.add_argument("--alpha", type=float, help="threshold in standard deviations (default: 0.1, 0.05 for SiLU)")
    parser.add_argument("--norm", default="l1", choices=("l1", "rms", "max"), help="distance over channels")
    parser.add_argument("--block", default=1, type=int, choices=(1, 2, 4, 8), help="side of gated blocks of pixels")
    parser.add_argument(
        "--input-threshold", type=float, metavar="LEVELS", help="grey levels (default: 4; 0 where there are skip gates)"
    )
    parser.add_argument("--grey-level", type=float, metavar="SIZE", help="one grey level in float frames, e.g. 0.0039")
    parser.add_argument("--gates", metavar="JSON", help="gates of Skip-Convolutions, see docs/skipconv.md")
    parser.add_argument(
        "--skip-mode", default="trained", choices=MODES, help="Skip-Convolutions as they say, or in a closed loop"
    )
    parser.add_argument(
        "--winograd",
        default="auto",
        choices=WINOGRAD,
        help="Winograd's algorithm for 3x3 convolutions where it pays; compact: without larger files",
    )
    parser.add_argument("--preprocess", nargs="+", metavar="KEY=VALUE", help=PREPROCESS_HELP)
    parser.add_argument(
        "--dump-after", choices=STAGES, metavar="PASS", help=f"print the graph after: {', '.join(STAGES)}"
    )
    parser.add_argument("--report", default="text", choices=("text", "json"), help="form of the report")
    return parser


def parse_shapes(items: Sequence[str] | None) -> dict[str, tuple[int, ...]] | None:
    """Shapes by input name from texts like ``name=1,3,240,320``."""
    if not items:
        return None
    shapes = {}
    for item in items:
        name, _, sides = item.rpartition("=")
        try:
            shapes[name] = tuple(int(side) for side in sides.replace("x", ",").split(","))
        except ValueError:
            raise ArgumentError(f"--shape {item}: expected NAME=1,3,240,320") from None
    return shapes


def parse_pairs(items: Sequence[str] | None) -> dict[str, Any] | None:
    """Options from one JSON object or from texts like ``key=value``; a value may be a list joined by commas."""
    if items is None:
        return None
    if len(items) == 1 and items[0].lstrip().startswith("{"):
        try:
            parsed = json.loads(items[0])
        except ValueError as error:
            raise ArgumentError(f"--preprocess is not JSON: {error}") from error
        return dict(parsed)
    pairs: dict[str, Any] = {}
    for item in items:
        key, separator, text = item.partition("=")
        if not separator:
            raise ArgumentError(f"--preprocess {item}: expected KEY=VALUE or one JSON object")
        parts = [_literal(part) for part in text.split(",")]
        pairs[key] = parts if len(parts) > 1 else parts[0]
    return pairs


def _literal(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text.strip()


if __name__ == "__main__":
    sys.exit(main())
