"""The way from a source network to a checked `.fgm` file."""

from __future__ import annotations

import dataclasses
import functools
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from runtime.reference.errors import ArgumentError, Error
from runtime.reference.graph import CompactWinogradConv2d, GateNorm, Graph, Input, WinogradConv2d
from runtime.reference.prepare import normalize
from runtime.reference.reader import read_model

from .evaluate import Floats, evaluate, macs
from .importers.skip import Description, Gates
from .measure import measure_gates
from .passes import PIPELINE, GatePolicy, Pass, choose_alpha
from .passes.place_gates import place_gates
from .passes.use_winograd import RULES, use_winograd, winograd_form
from .preprocess import parse_preprocess
from .report import Report, describe
from .skip_gates import MODES, close_loops, skip_gated, skip_notes
from .text import to_text
from .verify import check_numbers, verify
from .writer import to_bytes, write_model

CHECK_LIMIT = 2_000_000_000  # MACs; a NumPy frame of more takes too long to be worth it
WINOGRAD = (*RULES, "never")
STAGES = ("import", *(function.__name__ for function in PIPELINE), use_winograd.__name__)
NORMS = {norm.name.lower(): norm for norm in GateNorm}
ADVICE = "networks that regress landmarks usually want alpha 0.01 to 0.02"


def convert(
    source: Any,
    destination: str | os.PathLike[str],
    *,
    preprocess: Mapping[str, Any] | None = None,
    gate: str | None = None,
    alpha: float | None = None,
    norm: str = "l1",
    block: int = 1,
    input_threshold: float | None = None,
    grey_level: float | None = None,
    samples: Iterable[Any] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    input_shape: Sequence[int] | Sequence[Sequence[int]] | None = None,
    gates: Gates | None = None,
    skip_mode: str = "trained",
    winograd: str = "auto",
    dump_after: str | None = None,
) -> Report:
    """Converts a network to a `.fgm` file, checks what was written, and reports.

    Args:
        source: an ONNX file, its bytes or a loaded model; or a ``torch.nn.Module``, with ``input_shape``.
        destination: the file to write; it is replaced whole, or left alone on an error.
        preprocess: how uint8 camera frames become the network's input (see ``parse_preprocess``), for several inputs
            by input name; None: frames are the network's own input.
        gate: "hold", which keeps values until they moved by more than a threshold, or "none"; None: "hold" for plain
            networks, "none" for those with Skip-Convolutions, whose gates are their own.
        alpha: the threshold in standard deviations; None: 0.1, or 0.05 for mostly SiLU-like networks.
        norm: distance over a pixel's channels: "l1" (mean), "rms" or "max".
        block: side of the blocks of pixels that are gated together: 1, 2, 4 or 8.
        input_threshold: grey levels of an 8-bit frame by which a pixel must change to count; None: 4 for plain
            networks, 0 for those with Skip-Convolutions.
        grey_level: size of one grey level in float frames, such as 1 / 255; None: they count where a bit differs.
        samples: frames from which the standard deviations are taken; None: each stream measures its own.
        shapes: shapes of inputs by name, for networks with dynamic ones.
        input_shape: shape of a torch module's input.
        gates: gates of convolutions that the source does not tell, a JSON file or its content (docs/skipconv.md).
        skip_mode: "trained" runs Skip-Convolutions as they say, "closed_loop" lets them keep what they hold back.
        winograd: "auto" computes 3x3 convolutions by Winograd's algorithm where that is faster, dense and gated, with
            a little more rounding. Weights of large maps are stored transformed, four times as many; the engine
            transforms those of small maps. "compact": all of them, for small memories; "transformed": none, for slow
            processors with large memories; "never": no Winograd.
        dump_after: a pass's name, or "import": its graph as text becomes the report's ``dump``.

    Raises:
        ArgumentError: an option is wrong; FormatError, UnsupportedError: the source cannot be converted;
        Error: the file cannot be written.
    """
    policy = _policy(gate or "hold", alpha, norm, block)
    _check_names(skip_mode, winograd, dump_after)
    imported = verify(_import(source, shapes, input_shape, gates), "import")
    skips = any(True for _ in skip_gated(imported))
    if skips and gate is None:
        policy = dataclasses.replace(policy, hold=False)
    if input_threshold is None:
        input_threshold = 0 if skips else 4
    _set_inputs(imported, preprocess, input_threshold, grey_level)
    if skip_mode == "closed_loop":
        imported = close_loops(imported)
    graph, passes, dumps = run_passes(imported, policy)
    check_numbers(graph)  # of the source, or folded from it
    chosen, why = choose_alpha(graph) if alpha is None else (alpha, "as given")
    notes = [*(str(note) for note in _listed(imported.metadata.get("notes"))), *skip_notes(graph)]
    if policy.hold:
        notes.append(ADVICE)
        if samples is not None:
            graph, count = measure_gates(graph, samples)
            notes.append(f"standard deviations of the gates from {count} sample frames")
    graph, by_winograd = _transform(graph, winograd)  # last: in NumPy it is slow
    notes += by_winograd
    passes.append((use_winograd.__name__, len(graph.nodes), len(graph.nodes)))
    dumps[use_winograd.__name__] = to_text(graph)
    used: dict[str, Any] = {"gate": "hold", "alpha": chosen} if policy.hold else {"gate": "none", "alpha": None}
    graph.metadata["gates"] = {**used, "norm": norm, "block": block}
    graph.metadata.update({"skip_mode": skip_mode} if skips else {})
    file_bytes, written = _write(graph, destination)
    return Report(
        network=_name(source, imported),
        file=os.fspath(destination),
        file_bytes=file_bytes,
        **describe(written),
        alpha=used["alpha"],
        alpha_reason=why if policy.hold else "no gates",
        passes=passes,
        check=compare(imported, written) if macs(imported) <= CHECK_LIMIT else None,
        notes=notes,
        dump=dumps[dump_after] if dump_after is not None else "",
    )


def _check_names(skip_mode: str, winograd: str, dump_after: str | None) -> None:
    if skip_mode not in MODES:
        raise ArgumentError(f"skip_mode is {skip_mode!r}; possible are {', '.join(MODES)}")
    if winograd not in WINOGRAD:
        raise ArgumentError(f"winograd is {winograd!r}; possible are {', '.join(WINOGRAD)}")
    if dump_after is not None and dump_after not in STAGES:
        raise ArgumentError(f"there is no pass {dump_after!r}; possible are {', '.join(STAGES)}")


def _transform(graph: Graph, winograd: str) -> tuple[Graph, list[str]]:
    """The graph with Winograd where it is wanted, and a note on how many nodes and what that takes."""
    if winograd == "never":
        return graph, []
    graph = use_winograd(graph, lambda graph, node: winograd_form(graph, node, RULES[winograd]))
    graph = verify(graph, use_winograd.__name__)
    nodes = [node for node in graph.nodes if isinstance(node.attributes, WinogradConv2d)]
    larger = [node for node in nodes if not isinstance(node.attributes, CompactWinogradConv2d)]
    weights = [graph.values[name].data for name in {str(node.inputs[1]) for node in larger}]
    more = sum(data.nbytes for data in weights if data is not None) * 3 / 4  # 36 numbers for 9
    note = f"{len(nodes)} convolutions by Winograd's algorithm"
    if more:
        note += f": {more / 1e6:.2f} MB more weights (winograd=compact: none)"
    return graph, [note] if nodes else []


def _write(graph: Graph, destination: str | os.PathLike[str]) -> tuple[int, Graph]:
    """Writes the file; its bytes, and the graph that is read back from it."""
    file_bytes = write_model(graph, destination)
    written = read_model(destination)
    if to_bytes(written) != Path(destination).read_bytes():
        raise Error(f"{destination} does not read back as it was written; please report this")
    return file_bytes, written


def export_onnx(
    module: Any,
    destination: str | os.PathLike[str],
    input_shape: Sequence[int] | Sequence[Sequence[int]],
    *,
    gates: Gates | None = None,
) -> list[str]:
    """Writes a torch module as an ONNX file in which Skip-Convolutions keep their gates (docs/skipconv.md).

    Args:
        module: the ``torch.nn.Module``.
        destination: the .onnx file to write.
        input_shape: shape of the module's input.
        gates: as in ``convert``.

    Returns:
        Notes on the network's Skip-Convolutions.

    Raises:
        ArgumentError, UnsupportedError: as ``convert``; Error: the file cannot be written.
    """
    from .importers.torch import export_torch

    data, notes = export_torch(module, input_shape, gates=None if gates is None else Description.read(gates))
    try:
        Path(destination).write_bytes(data)
    except OSError as error:
        raise Error(f"cannot write {destination}: {error.strerror or error}") from error
    return notes


def run_passes(graph: Graph, policy: GatePolicy) -> tuple[Graph, list[tuple[str, int, int]], dict[str, str]]:
    """The graph after all passes, (pass, nodes before, nodes after), and the text of each stage."""
    counts = []
    dumps = {"import": to_text(graph)}
    for function in PIPELINE:
        apply: Pass = functools.partial(place_gates, policy=policy) if function is place_gates else function
        name, before = function.__name__, len(graph.nodes)
        graph = verify(apply(graph), name)
        counts.append((name, before, len(graph.nodes)))
        dumps[name] = to_text(graph)
    return graph, counts, dumps


def compare(before: Graph, after: Graph) -> float:
    """The largest relative L2 error of an output for one random frame."""
    random = np.random.default_rng(0)
    frame = {item.name: _random_frame(before, item, random) for item in before.inputs}
    expected, found = evaluate(before, frame), evaluate(after, frame)
    worst = 0.0
    for a, b in zip(before.outputs, after.outputs, strict=True):
        x, y = (values[item.value].astype(np.float64).reshape(-1) for values, item in ((expected, a), (found, b)))
        error = float(np.linalg.norm(np.nan_to_num(x - y)))
        size = float(np.linalg.norm(np.nan_to_num(x)))
        worst = max(worst, error / size if size else error)
    return worst


def _random_frame(graph: Graph, item: Input, random: np.random.Generator) -> Floats:
    extents = graph.values[item.value].extents
    grey = random.integers(0, 256, extents, np.uint8)
    if item.preprocess is not None:
        frame: Floats = normalize(grey, item.preprocess)
        return frame
    scaled: Floats = grey.astype(np.float32) * np.float32(item.grey_level or 1 / 255)
    return scaled


def _import(source: Any, shapes: Mapping[str, Sequence[int]] | None, input_shape: Any, gates: Gates | None) -> Graph:
    description = None if gates is None else Description.read(gates)
    if any(cls.__name__ == "Module" and cls.__module__.startswith("torch.") for cls in type(source).__mro__):
        if input_shape is None:
            raise ArgumentError("a torch module needs input_shape, such as input_shape=(1, 3, 240, 320)")
        from .importers.torch import import_torch

        return import_torch(source, input_shape, gates=description)
    try:
        from .importers.onnx import import_onnx
    except ModuleNotFoundError as error:
        raise ArgumentError(f"converting needs the {error.name} package: pip install 'framegate[convert]'") from error
    try:
        return import_onnx(source, shapes=shapes, gates=description)
    except OSError as error:
        raise Error(f"cannot read {source}: {error.strerror or error}") from error


def _policy(gate: str, alpha: float | None, norm: str, block: int) -> GatePolicy:
    if gate not in ("hold", "none"):
        raise ArgumentError(f"gate is {gate!r}; possible are hold, none")
    if alpha is not None and not (math.isfinite(alpha) and alpha >= 0):
        raise ArgumentError(f"alpha is {alpha}; it is a finite number of standard deviations, 0 or more")
    if norm not in NORMS:
        raise ArgumentError(f"norm is {norm!r}; possible are {', '.join(NORMS)}")
    if block not in (1, 2, 4, 8):
        raise ArgumentError(f"block is {block}; possible are 1, 2, 4, 8")
    return GatePolicy(gate == "hold", alpha, NORMS[norm], block)


def _set_inputs(graph: Graph, preprocess: Mapping[str, Any] | None, threshold: float, grey_level: float | None) -> None:
    if not (math.isfinite(threshold) and threshold >= 0):
        raise ArgumentError(f"input_threshold is {threshold}; it is a finite number of grey levels, 0 or more")
    if grey_level is not None and not (math.isfinite(grey_level) and grey_level > 0):
        raise ArgumentError(f"grey_level is {grey_level}; it is the size of one grey level in a float frame, above 0")
    names = [item.name for item in graph.inputs]
    given = preprocess or {}
    by_name = bool(given) and all(isinstance(options, Mapping) for options in given.values())
    if by_name and any(name not in names for name in given):
        raise ArgumentError(f"preprocess names inputs {list(given)}; the network has {names}")
    if preprocess is not None and not by_name and len(names) > 1:
        raise ArgumentError(f"the network has inputs {names}: give preprocess by name, {{{names[0]!r}: {{...}}}}")
    for i, item in enumerate(graph.inputs):
        options = given.get(item.name) if by_name else preprocess
        value = graph.values[item.value]
        prepare = None if options is None else parse_preprocess(options, value, item.name)
        graph.inputs[i] = dataclasses.replace(
            item, threshold=float(threshold), grey_level=float(grey_level or 0), preprocess=prepare
        )


def _name(source: Any, graph: Graph) -> str:
    origin = graph.metadata.get("source")
    file = origin.get("file") if isinstance(origin, dict) else None
    if isinstance(source, (str, os.PathLike)):
        return Path(source).stem
    return str(file or type(source).__name__)


def _listed(notes: object) -> list[object]:
    return list(notes) if isinstance(notes, (list, tuple)) else []
