"""How much gating saves on real networks and footage, and how far outputs move.

Run from the repository's root with FRAMEGATE_ASSETS set (docs/networks.md):

    python -m tests.networks.report [--networks yolox_nano ultraface] [--clips vtest] [--frames 40] [--json FILE]

Networks are converted with the default gates and their own preprocessing. *share*: executed of dense
multiply-accumulates, the first frame left out. *error*: relative L2 distance of all float outputs from the dense ones
of the same frame, mean over the frames but the first. Beside them, where there is one, the result of a numerical
simulation of the same policy made before the engine existed; it computed whole key frames where the engine refreshes
only what was held back.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import converters
import runtime
from runtime.bench import Distance

from . import assets

REFRESHES = (0, 16)
FRAMES = 40
DEFAULT_CLIPS = ("vtest", "webcam", "highway")


@dataclass(frozen=True)
class Figures:
    """Share of multiply-accumulates and relative error of the outputs."""

    share: float
    error: float

    def __str__(self) -> str:
        return f"{self.share:.3f} / {self.error:.3f}"


@dataclass(frozen=True)
class Simulated:
    """A simulation of ``frames`` frames, for each of REFRESHES."""

    frames: int
    figures: tuple[Figures, Figures]


SIMULATED = {
    ("yolox_nano", "vtest"): Simulated(40, (Figures(0.22, 0.150), Figures(0.247, 0.116))),
    ("yolox_nano", "webcam"): Simulated(40, (Figures(0.19, 0.167), Figures(0.211, 0.112))),
    ("yolox_nano", "highway"): Simulated(40, (Figures(0.30, 0.248), Figures(0.314, 0.178))),
    ("ultraface", "webcam"): Simulated(100, (Figures(0.13, 0.183), Figures(0.166, 0.127))),
}


@dataclass(frozen=True)
class Row:
    """One network on one clip; ``measured`` and ``simulated`` for each of REFRESHES, no simulation: empty."""

    network: str
    clip: str
    alpha: float | None
    frames: int
    measured: tuple[Figures, ...]
    simulated: tuple[Figures, ...]
    simulated_frames: int


def measure(model: runtime.Model, frames: tuple[assets.Array, ...]) -> tuple[Figures, ...]:
    """Pushes the frames through a dense stream and one per refresh interval."""
    dense = runtime.Stream(model, gating=False)
    gated = [runtime.Stream(model, refresh=refresh) for refresh in REFRESHES]
    distances = [Distance() for _ in gated]
    macs = [0] * len(gated)
    for index, frame in enumerate(frames):
        reference = dict(dense.push(frame).items())
        for i, stream in enumerate(gated):
            result = stream.push(frame)
            if index:
                macs[i] += result.macs
                distances[i].add(dict(result.items()), reference)
    whole = model.macs * (len(frames) - 1)
    return tuple(
        Figures(executed / whole, float(np.mean(distance.per_frame)))
        for executed, distance in zip(macs, distances, strict=True)
    )


def rows_of(network: str, clips: list[str], count: int | None) -> list[Row]:
    """Converts a network and measures it on each clip; ``count`` None: as many frames as simulated, else FRAMES."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.fgm"
        preprocess = assets.NETWORKS[network].preprocess
        report = converters.convert(assets.model_path(network), path, preprocess=preprocess)
        model = runtime.Model.load(path)
        for clip in clips:
            simulated = SIMULATED.get((network, clip))
            frames = assets.clip(clip, count or (simulated.frames if simulated else FRAMES))
            known = (simulated.figures, simulated.frames) if simulated else ((), 0)
            rows.append(Row(network, clip, report.alpha, len(frames), measure(model, frames), *known))
            print(line(rows[-1]), flush=True)
    return rows


def line(row: Row) -> str:
    """A row of the table."""
    cells = [f"{row.network:18}", f"{row.clip:9}", f"{row.alpha or 0:5g}", f"{row.frames:6}", *map(str, row.measured)]
    if row.simulated:
        cells += [*map(str, row.simulated)]
        cells += [f"({row.simulated_frames} frames)"] if row.simulated_frames != row.frames else []
    return "  ".join(cells)


def main() -> None:
    """Prints the table; writes it as JSON where asked to."""
    parser = argparse.ArgumentParser(description="Share of work executed and error of outputs, on real networks.")
    parser.add_argument("--networks", nargs="+", choices=sorted(assets.NETWORKS), default=list(assets.NETWORKS))
    parser.add_argument("--clips", nargs="+", choices=sorted(assets.CLIPS), default=list(DEFAULT_CLIPS))
    parser.add_argument("--frames", type=int, help=f"per clip (default: as many as simulated, else {FRAMES})")
    parser.add_argument("--json", type=Path, help="also write the rows here")
    options = parser.parse_args()
    if assets.folder() is None:
        sys.exit("FRAMEGATE_ASSETS names no folder; docs/networks.md says what it must hold")
    if options.frames is not None and options.frames < 2:
        parser.error("--frames must be at least 2")
    titles = [f"refresh {refresh:<5}" for refresh in REFRESHES]
    print("share / error".rjust(59))
    simulated = ["simulated".ljust(13)] * len(REFRESHES)
    print("  ".join([f"{'network':18}", f"{'clip':9}", "alpha", "frames", *titles, *simulated]), flush=True)
    rows = [row for network in options.networks for row in rows_of(network, options.clips, options.frames)]
    if options.json is not None:
        options.json.write_text(json.dumps([dataclasses.asdict(row) for row in rows], indent=2) + "\n")


if __name__ == "__main__":
    main()
