"""``framegate run``: stream a clip through a network, say and show what was recomputed."""

from __future__ import annotations

import argparse
import contextlib
import statistics
import time

import numpy as np

from . import video
from .clip import fit, image_input, images, progress
from .model import Model
from .reference.graph import Resize
from .reference.prepare import letterbox_box
from .stream import Stream
from .work_map import WorkMap

PANEL_HEIGHT = 360


def run(options: argparse.Namespace) -> int:
    """Runs the verb; prints a summary to standard output."""
    model = Model.load(options.model)
    info = image_input(model)
    stream = Stream(
        model,
        threads=options.threads,
        gating=options.gating == "on",
        threshold_scale=options.threshold_scale,
        refresh=options.refresh,
    )
    work = WorkMap(stream) if options.out else None
    times: list[float] = []
    skipped: list[float] = []
    with contextlib.ExitStack() as stack:
        source = images(options.source, options.frames)
        sink = stack.enter_context(video.Writer(options.out)) if options.out else None
        step = stack.enter_context(progress(options.frames))
        for image in source:
            frame = fit(image, info)
            start = time.perf_counter()
            result = stream.push(frame)
            times.append(1e3 * (time.perf_counter() - start))
            skipped.append(result.skipped)
            text = f"{result.skipped:6.1%} of MACs skipped, {times[-1]:6.1f} ms"
            step(text)
            if sink is not None and work is not None:
                sink.write(picture(image, work, text))
    later = slice(1 if len(times) > 1 else 0, None)  # the first frame is computed whole
    print(
        f"{len(times)} frames: median {statistics.median(times[later]):.2f} ms (first {times[0]:.2f} ms), "
        f"{statistics.fmean(skipped[later]):.1%} of {model.macs / 1e6:.1f} MMACs skipped, "
        f"{stream.stats().refreshes} refreshes; {stream.isa}, {options.threads} thread(s)"
    )
    if sink is not None:
        print(f"wrote {sink.count} pictures to {sink.path}")
    return 0


def picture(image: video.Image, work: WorkMap, text: str) -> video.Image:
    """The camera's image, the input pixels that changed and the share of the work done at each place, side by side.

    The maps are those of the network's input where the image lies in it: without a letterbox's border.
    """
    info, item = work.stream.model.inputs[0], work.stream.model.graph.inputs[0]
    width = max(1, image.shape[1] * PANEL_HEIGHT // image.shape[0])
    panel = np.ascontiguousarray(video.stretch(image, PANEL_HEIGHT, width)).astype(np.uint8)
    changed = work.stream.changed_mask(info.name).astype(np.float32)
    computed = work.shares(info.height, info.width)
    if item.preprocess is not None and item.preprocess.resize == Resize.LETTERBOX:
        box = letterbox_box(info.height, info.width, image.shape[:2], item.preprocess.align)
        inside = np.s_[box[0] : box[0] + box[2], box[1] : box[1] + box[3]]
        changed, computed = changed[inside], computed[inside]
    return video.side_by_side(
        [panel, video.heat(panel, changed), video.heat(panel, computed)],
        ["camera", f"changed pixels: {changed.mean():.1%}", f"work done: {text}"],
    )
