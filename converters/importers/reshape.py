"""Reshapes: a view where the stored order allows it, else work within pixels, else one transpose.

Three reshapes that reorder numbers still keep changes local: channels that move behind a pixel axis (depth to space),
pixel axes whose lower part becomes channels (space to depth), and channels that move in front of the pixels (anchors of
a detection head). They become index maps and concatenations.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from runtime.reference.graph import Array, Concat

from .builder import Builder
from .layout import (
    MAX_PHASES,
    Atom,
    Axes,
    Refinement,
    Tensor,
    all_pixel_axes,
    atoms_of,
    is_storable,
    reshaped_pixel_axes,
    rest_axes,
)


def reshape(builder: Builder, tensor: Tensor, shape: Sequence[int]) -> Tensor:
    """The tensor's numbers, in logical row-major order, under another shape of as many elements."""
    shape = tuple(int(size) for size in shape)
    if shape == tensor.shape:
        return tensor
    origin = builder.source_of_reshape(tensor)
    if origin is not None:
        tensor = replace(origin, dtype=tensor.dtype)  # reordering twice may be no reordering at all
        if shape == tensor.shape:
            return tensor
    cut = Refinement.of(tensor.shape, shape)
    axes = reshaped_pixel_axes(tensor, shape, cut)
    if axes is not None:
        return builder.view(tensor, shape, axes)
    result = (
        _channels_behind_pixels(builder, tensor, shape, cut)
        or _pixels_to_channels(builder, tensor, shape, cut)
        or _channels_before_pixels(builder, tensor, shape, cut)
        or _flatten(builder, tensor, shape)
    )
    builder.remember_reshape(result, tensor)
    return result


def _flatten(builder: Builder, tensor: Tensor, shape: Axes) -> Tensor:
    """Through the logical order; the leading axes of the result become its pixels."""
    plain = builder.as_layout(tensor, ())
    large = [axis for axis, size in enumerate(shape) if size != 1]
    axes = tuple(large[:-1][:2])
    return builder.view(plain, shape, axes if is_storable(shape, axes) else ())


def _rows_cols(pixel_axes: Axes, table: list[list[Atom]]) -> tuple[list[Atom], list[Atom]]:
    """Atoms of rows and of cols."""
    lists: list[list[Atom]] = [[], [], *(table[axis] for axis in pixel_axes)]
    return lists[-2], lists[-1]


def _size(atoms: Sequence[Atom], cut: Refinement) -> int:
    return math.prod(cut.sizes[atom] for atom in atoms)


def _same(a: Sequence[Atom], b: Sequence[Atom]) -> bool:
    return len(a) == len(b) and set(a) == set(b)


def _channel_table(order: Sequence[Atom], atoms: Sequence[Atom], cut: Refinement) -> Array:
    """Channel numbers of ``atoms`` (stored order) arranged in another order of the same atoms."""
    numbers = np.arange(_size(atoms, cut)).reshape([cut.sizes[atom] for atom in atoms])
    return np.transpose(numbers, [list(atoms).index(atom) for atom in order])


def _channels_behind_pixels(builder: Builder, tensor: Tensor, shape: Axes, cut: Refinement) -> Tensor | None:
    """Depth to space: new pixel axes are the old ones, each followed by some of the channels."""
    row_atoms, col_atoms = _rows_cols(tensor.pixel_axes, cut.old)
    channels = atoms_of(tensor.rest, cut.old)
    for axes in all_pixel_axes(len(shape)):
        rows, cols = _rows_cols(axes, cut.new)
        if not is_storable(shape, axes) or rows[: len(row_atoms)] != row_atoms or cols[: len(col_atoms)] != col_atoms:
            continue
        down, across = rows[len(row_atoms) :], cols[len(col_atoms) :]
        rest = atoms_of(rest_axes(len(shape), axes), cut.new)
        if (down and not row_atoms) or (across and not col_atoms) or not _same(down + across + rest, channels):
            continue
        phases = _size(down, cut), _size(across, cut)
        if max(phases) > MAX_PHASES:
            continue
        table = _channel_table(down + across + rest, channels, cut)
        row_map = np.arange(_size(rows, cut)) // phases[0] if phases[0] > 1 else None
        col_map = np.arange(_size(cols, cut)) // phases[1] if phases[1] > 1 else None
        return builder.gather(tensor, shape, axes, row_map, col_map, table, phases)
    return None


def _pixels_to_channels(builder: Builder, tensor: Tensor, shape: Axes, cut: Refinement) -> Tensor | None:
    """Space to depth: new pixel axes are the upper parts of the old ones, the lower parts join the channels."""
    row_atoms, col_atoms = _rows_cols(tensor.pixel_axes, cut.old)
    channels = atoms_of(tensor.rest, cut.old)
    for axes in sorted(all_pixel_axes(len(shape)), key=lambda axes: -math.prod(shape[axis] for axis in axes)):
        rows, cols = _rows_cols(axes, cut.new)
        if not is_storable(shape, axes) or row_atoms[: len(rows)] != rows or col_atoms[: len(cols)] != cols:
            continue
        low_rows, low_cols = row_atoms[len(rows) :], col_atoms[len(cols) :]
        down, across = _size(low_rows, cut), _size(low_cols, cut)
        rest = atoms_of(rest_axes(len(shape), axes), cut.new)
        if not (rows or cols) or down * across > MAX_PHASES or not _same(low_rows + low_cols + channels, rest):
            continue
        height, width, depth = tensor.extents
        flat = replace(tensor, shape=(height, width, depth), pixel_axes=(0, 1))
        parts = []
        for row, col in itertools.product(range(down), range(across)):
            parts.append(builder.take(flat, {0: np.arange(row, height, down), 1: np.arange(col, width, across)}))
        small = (height // down, width // across, depth * down * across)
        stacked = builder.emit(Concat(2), [part.name for part in parts], small, (0, 1), tensor.dtype)
        stacked = builder.view(stacked, (*small[:2], 1, small[2]), (0, 1))
        table = _channel_table(rest, low_rows + low_cols + channels, cut)
        return builder.gather(stacked, shape, axes, channel_map=table)
    return None


def _channels_before_pixels(builder: Builder, tensor: Tensor, shape: Axes, cut: Refinement) -> Tensor | None:
    """Anchors: one new axis holds some channels, then all pixels; the groups lie one behind the other along it."""
    pixels = atoms_of(tensor.pixel_axes, cut.old)
    channels = atoms_of(tensor.rest, cut.old)
    for axis in range(len(shape)):
        atoms = cut.new[axis]
        lead = atoms[: len(atoms) - len(pixels)]
        rest = atoms_of(rest_axes(len(shape), (axis,)), cut.new)
        if not pixels or not lead or not rest or atoms[len(lead) :] != pixels or not _same(lead + rest, channels):
            continue
        if _size(lead, cut) > MAX_PHASES or not is_storable(shape, (axis,)):
            continue
        table = _channel_table(lead + rest, channels, cut).reshape(_size(lead, cut), -1)
        count, depth = _size(pixels, cut), table.shape[1]
        rows, cols, _ = tensor.extents
        parts: list[str | None] = []
        for group in table:
            part = builder.gather(tensor, (rows, cols, depth), (0, 1), channel_map=group)
            parts.append(builder.view(part, (1, count, depth), (0, 1)).name)
        return builder.emit(Concat(1), parts, shape, (axis,), tensor.dtype)
    return None
