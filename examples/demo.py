"""What ``python build.py demo`` runs: a trained network on real clips, dense against gated, and what was recomputed.

The network and the clips come from PyPI packages (see assets.py). Without a network connection the demo falls back to a
network and a clip made here, and says so. Pictures and videos go to demo_out/.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import assets
import numpy as np
import numpy.typing as npt
import shapes

import converters
import runtime
from runtime import video
from runtime.bench import Distance
from runtime.clip import progress
from runtime.run import picture
from runtime.work_map import WorkMap

Array = npt.NDArray[np.generic]
Boxes = npt.NDArray[np.float32]


@dataclass
class Scene:
    """A converted network's path, a clip, and how to read detections from outputs (None: it detects nothing)."""

    name: str
    about: str
    model: Path
    frames: Callable[[], Iterable[video.Image]]
    detect: Callable[[Mapping[str, Array]], Boxes] | None = None


@dataclass
class Outcome:
    """What was measured: milliseconds per push, executed share of the MACs, distance of outputs, detections."""

    dense: list[float] = field(default_factory=list)
    gated: list[float] = field(default_factory=list)
    executed: list[float] = field(default_factory=list)
    distance: Distance = field(default_factory=Distance)
    found: int = 0
    matched: int = 0


def faces(outputs: Mapping[str, Array]) -> Boxes:
    """Boxes (n, 4) of faces, x0, y0, x1, y1 from 0 to 1, out of the face detector's rows (no face, face, box)."""
    rows = np.asarray(next(iter(outputs.values())), np.float32).reshape(-1, 6)
    rows = rows[rows[:, 1] > 0.7]
    kept: list[npt.NDArray[np.float32]] = []
    for row in rows[np.argsort(-rows[:, 1])]:
        if not kept or overlap(row[2:], np.array(kept)).max() < 0.3:
            kept.append(row[2:])
    return np.array(kept, np.float32).reshape(-1, 4)


def overlap(box: npt.NDArray[np.float32], others: Boxes) -> npt.NDArray[np.float32]:
    """Intersection over union of a box (4,) with others (n, 4)."""
    size = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    common = np.prod(np.maximum(size, 0), axis=1)
    areas = np.prod(others[:, 2:] - others[:, :2], axis=1) + np.prod(box[2:] - box[:2])
    shares: npt.NDArray[np.float32] = common / np.maximum(areas - common, 1e-9)
    return shares


def scenes(offline: bool, folder: Path) -> list[Scene]:
    """What to show: the face detector on two clips, or the stand-ins."""
    if not offline:
        try:
            network = assets.fetch(assets.FACE_DETECTOR)
            clips = [(asset, assets.fetch(asset)) for asset in (assets.FACE_CLIP, assets.CAR_CLIP)]
        except assets.FetchError as error:
            print(f"nothing from PyPI ({error})")
        else:
            model = convert(network, folder / "faces.fgm", shapes={"args_0": (1, 240, 320, 3)})
            return [
                Scene(path.stem, asset.about, model, lambda path=path: video.frames(path), faces)
                for asset, path in clips
            ]
    print("STAND-INS: a small network with random weights and a made clip; they show the mechanism, not a use")
    assets.make_network(folder / "stand_in.onnx")
    model = convert(folder / "stand_in.onnx", folder / "stand_in.fgm")
    return [Scene("made", "a made clip: a disc moves through a still, noisy scene", model, assets.make_clip)]


def convert(network: Path, target: Path, shapes: dict[str, tuple[int, ...]] | None = None) -> Path:
    """Converts a network with the default gates and says how large it is."""
    preprocess = {"resize": "stretch", "color": "rgb", "mean": 127.0, "scale": 1 / 128}
    converters.convert(str(network), str(target), preprocess=preprocess, shapes=shapes)
    model = runtime.Model.load(target)
    print(f"converted {network.name}: {len(model.nodes)} nodes, {model.macs / 1e6:.0f} million MACs per frame")
    return target


def play(scene: Scene, count: int, sink: video.Writer | None, still: Path) -> Outcome:
    """Pushes the clip through a dense and a gated stream, taking turns."""
    model = runtime.Model.load(scene.model)
    dense, gated = runtime.Stream(model, gating=False), runtime.Stream(model)
    work = WorkMap(gated)
    outcome = Outcome()
    best = 1.0
    with progress(count) as step:
        for index, frame in enumerate(itertools.islice(scene.frames(), count)):
            results = {}
            for name, stream in sorted((("dense", dense), ("gated", gated)), reverse=index % 2 == 1):
                start = time.perf_counter()
                results[name] = stream.push(frame)
                getattr(outcome, name).append(1e3 * (time.perf_counter() - start))
            executed = 1.0 - results["gated"].skipped
            outcome.executed.append(executed)
            outcome.distance.add(results["gated"].outputs, results["dense"].outputs)
            text = f"{1 - executed:6.1%} of MACs skipped, {outcome.dense[-1]:5.1f} -> {outcome.gated[-1]:5.1f} ms"
            step(f"{scene.name}: {text}")
            boxes = None
            if scene.detect is not None:
                expected, boxes = scene.detect(results["dense"]), scene.detect(results["gated"])
                outcome.found += max(len(expected), len(boxes))
                outcome.matched += sum(len(boxes) > 0 and overlap(box, boxes).max() > 0.5 for box in expected)
            if sink is not None:
                image = picture(frame if boxes is None else outlined(frame, boxes), work, text)
                sink.write(image)
                if index and abs(executed - 0.2) < best:  # a frame on which part of the work is done
                    best = abs(executed - 0.2)
                    video.write_png(still, image)
    return outcome


def outlined(image: video.Image, boxes: Boxes) -> video.Image:
    """A copy of the image with green outlines of boxes."""
    image = image.copy()
    rows, cols = image.shape[:2]
    line = max(1, rows // 180)
    for x0, y0, x1, y1 in np.clip(boxes * [cols, rows, cols, rows], 0, [cols, rows, cols, rows]).astype(int):
        inside = image[y0 + line : y1 - line, x0 + line : x1 - line].copy()
        image[y0:y1, x0:x1] = (60, 230, 90)
        image[y0 + line : y1 - line, x0 + line : x1 - line] = inside
    return image


def report(scene: Scene, outcome: Outcome) -> str:
    """The figures of one clip; the first frame, which is dense in any case, is left out."""
    dense, gated = statistics.median(outcome.dense[1:]), statistics.median(outcome.gated[1:])
    executed, distance = statistics.fmean(outcome.executed[1:]), outcome.distance
    lines = [
        f"{scene.name}: {scene.about}; {len(outcome.dense)} frames",
        f"  time per frame   dense {dense:.2f} ms, gated {gated:.2f} ms ({gated / dense:.0%}; medians, taking turns)",
        f"  work             {1 - executed:.1%} of the MACs skipped (mean; median of frames "
        f"{1 - statistics.median(outcome.executed[1:]):.1%})",
        f"  outputs moved    relative L2 {distance.relative:.2g}, largest difference {distance.largest:.2g}",
    ]
    if scene.detect is not None:
        lines.append(
            f"  detections       {outcome.matched} of {outcome.found} agree with the dense network's (IoU > 0.5)"
        )
    return "\n".join(lines)


def learned_gates(folder: Path) -> str:
    """The network of train_skipconv.py, whose gates were learned, on made clips it has not seen."""
    clips = shapes.make_clips(seed=3_000_000, clips=4, length=32)
    path = folder / "shapes.fgm"
    source = str(Path(__file__).with_name("shapes_skipconv.onnx"))
    converters.convert(source, str(path), preprocess=shapes.PREPROCESS, skip_mode="closed_loop")
    dense = shapes.score(path, clips, gating=False)
    gated = shapes.score(path, clips, **shapes.CLOSED_LOOP)
    return (
        "learned gates: a Skip-Convolution network (docs/skipconv.md) labels moving shapes; 4 clips of 32 frames\n"
        f"  work             1/{gated.cut:.1f} of the MACs, each clip's first frame included\n"
        f"  labels           intersection over union {gated.overlap:.1%}, dense {dense.overlap:.1%}"
    )


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=90, help="at most this many per clip")
    parser.add_argument("--out", type=Path, default=Path("demo_out"))
    parser.add_argument("--offline", action="store_true", help="use the made network and clip")
    parser.add_argument("--bench", action="store_true", help="figures only, no pictures")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    outcomes = []
    for scene in scenes(options.offline, options.out):
        moving = video.optional("av") is not None
        clip = options.out / (f"{scene.name}.mp4" if moving else scene.name)
        sink = None if options.bench else video.Writer(clip)
        try:
            outcomes.append((scene, play(scene, options.frames, sink, options.out / f"{scene.name}.png")))
        finally:
            if sink is not None:
                sink.close()
    print(*(report(scene, outcome) for scene, outcome in outcomes), learned_gates(options.out), sep="\n\n")
    if not options.bench:
        names = ", ".join(sorted(path.name for path in options.out.iterdir() if path.suffix in (".png", ".mp4")))
        print(f"\nwhat was recomputed, beside the camera's image: {options.out}/ ({names})")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
