"""Chains of gathers and of views become one, and those that change nothing go."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from runtime.reference.graph import Array, Gather, Graph, Node, View

from .rewrite import Rewriter

Map = npt.NDArray[np.int32]


def compose_gathers(graph: Graph) -> Graph:
    """Merges gather of gather and view of view, removes identities and views around gathers of channels."""
    rewriter = Rewriter(graph)
    for node in rewriter.live():
        while _compose(rewriter, node):
            pass
        if is_identity(rewriter, node):
            rewriter.bypass(node)
    return rewriter.finish()


def is_identity(rewriter: Rewriter, node: Node) -> bool:
    """Whether a gather or view gives its input unchanged."""
    x = rewriter.values[str(node.inputs[0])]
    if x.extents != rewriter.values[node.output].extents:
        return False
    if isinstance(node.attributes, View):
        return True
    if not isinstance(node.attributes, Gather):
        return False
    maps = [rewriter.constant(name) for name in _maps(node)]
    return all(
        data is None or np.array_equal(data.reshape(-1, extent), np.tile(np.arange(extent), (data.size // extent, 1)))
        for data, extent in zip(maps, x.extents, strict=True)
    )


def _maps(node: Node) -> list[str | None]:
    """A gather's maps of rows, columns and channels."""
    return [*node.inputs[1:], None, None, None][:3]


def _compose(rewriter: Rewriter, node: Node) -> bool:
    inner = rewriter.producer.get(str(node.inputs[0]))
    if inner is None:
        return False
    if isinstance(node.attributes, View) and isinstance(inner.attributes, View):
        rewriter.set_inputs(node, [inner.inputs[0]])
    elif isinstance(node.attributes, View) and isinstance(inner.attributes, Gather):
        if not _without_views(rewriter, node, inner):
            return False
    elif isinstance(node.attributes, Gather) and isinstance(inner.attributes, Gather):
        if _is_free(rewriter, node, inner) or not _compose_maps(
            rewriter, node, inner, node.attributes, inner.attributes
        ):
            return False
    else:
        return False
    if not rewriter.readers(inner.output) and not rewriter.is_output(inner.output):
        rewriter.remove(inner)
    return True


def _without_views(rewriter: Rewriter, node: Node, inner: Node) -> bool:
    """A gather of channels between two views that only lay the pixels out in another way and back again."""
    first = rewriter.producer.get(str(inner.inputs[0]))
    a = inner.attributes
    if first is None or not isinstance(first.attributes, View) or not isinstance(a, Gather):
        return False
    rows, cols, channels = _maps(inner)
    if rows is not None or cols is not None or (a.phase_rows, a.phase_cols) != (1, 1):
        return False
    x, flat, out = (rewriter.values[str(name)] for name in (first.inputs[0], first.output, node.output))
    if x.channels != flat.channels or x.extents[:2] != out.extents[:2]:
        return False
    if out.channels != rewriter.values[inner.output].channels:
        return False
    node.attributes = a
    rewriter.set_inputs(node, [first.inputs[0], None, None, channels])
    return True


def _is_free(rewriter: Rewriter, node: Node, inner: Node) -> bool:
    """Whether a gather is a range of channels, which costs nothing, of a gather that others need as it is."""
    rows, cols, channels = _maps(node)
    data = rewriter.constant(channels)
    if rows is not None or cols is not None or data is None or not np.all(np.diff(data.reshape(-1)) == 1):
        return False
    others = rewriter.readers(inner.output)
    return rewriter.is_output(inner.output) or any(not isinstance(other.attributes, Gather) for other in others)


def _compose_maps(rewriter: Rewriter, node: Node, inner: Node, outer_a: Gather, inner_a: Gather) -> bool:
    outer_maps = [rewriter.constant(name) for name in _maps(node)]
    inner_maps = [rewriter.constant(name) for name in _maps(inner)]
    outer_fills, inner_fills = (any(_has_fill(data) for data in maps) for maps in (outer_maps, inner_maps))
    if outer_fills and inner_fills and outer_a.fill != inner_a.fill:
        return False
    phases = (inner_a.phase_rows, inner_a.phase_cols)
    moves = any(data is not None for data in outer_maps[:2])
    if phases != (1, 1) and (moves or (outer_a.phase_rows, outer_a.phase_cols) != (1, 1)):
        return False  # the inner phase of a pixel would have to be looked up through the outer maps
    composed = [_through(o, i) for o, i in zip(outer_maps[:2], inner_maps[:2], strict=True)]
    channels = rewriter.values[inner.output].channels
    composed.append(_through_channels(outer_maps[2], inner_maps[2], channels, phases))
    inputs: list[str | None] = [inner.inputs[0]]
    for axis, data in zip(("rows", "cols", "channels"), composed, strict=True):
        if data is None:
            inputs.append(None)
        else:
            inputs.append(rewriter.add_constant(f"{node.name}.{axis}", data.reshape(1, 1, -1)))
    if phases == (1, 1):
        phases = (outer_a.phase_rows, outer_a.phase_cols)
    fill = outer_a.fill if outer_fills else inner_a.fill
    node.attributes = dataclasses.replace(outer_a, phase_rows=phases[0], phase_cols=phases[1], fill=fill)
    rewriter.set_inputs(node, inputs)
    return True


def _has_fill(data: Array | None) -> bool:
    return data is not None and bool(np.any(np.asarray(data, np.int32) < 0))


def _through(outer: Array | None, inner: Array | None) -> Map | None:
    """inner[outer], where -1 stays -1."""
    if outer is None or inner is None:
        found = inner if outer is None else outer
        return None if found is None else found.reshape(-1).astype(np.int32)
    flat = outer.reshape(-1).astype(np.int32)
    return np.where(flat < 0, np.int32(-1), inner.reshape(-1).astype(np.int32)[np.maximum(flat, 0)])


def _through_channels(outer: Array | None, inner: Array | None, channels: int, phases: tuple[int, int]) -> Map | None:
    if outer is None or inner is None or phases == (1, 1):
        return _through(outer, inner)
    per_phase = inner.reshape(phases[0] * phases[1], channels)
    return np.concatenate([np.asarray(_through(outer, row)) for row in per_phase])
