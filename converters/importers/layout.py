"""How a value of the source model lies in an engine value, and which of its reshapes move no number.

A *layout* is a logical shape with its pixel axes. Its stored order is the pixel axes (rows, cols), then the remaining
axes in order; axes of size 1 do not matter for it. Two layouts with equal stored order name the same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

Axes = tuple[int, ...]
Atom = tuple[int | str, ...]

MAX_PIXELS_PER_AXIS = 65536  # rows and cols of a value, docs/file_format.md section 2
MAX_PHASES = 64


@dataclass(frozen=True)
class Tensor:
    """A running value as the source model sees it.

    Attributes:
        name: the engine value that holds the numbers.
        shape: logical shape in the source model, any rank.
        pixel_axes: logical axes stored as (rows, cols), as (cols) or none.
        dtype: NumPy dtype name in the source model.
    """

    name: str
    shape: Axes
    pixel_axes: Axes = ()
    dtype: str = "float32"

    @property
    def rest(self) -> Axes:
        """The axes stored as channels, in order."""
        return rest_axes(len(self.shape), self.pixel_axes)

    @property
    def rest_shape(self) -> Axes:
        """Extents of the axes stored as channels."""
        return tuple(self.shape[axis] for axis in self.rest)

    @property
    def extents(self) -> tuple[int, int, int]:
        """(rows, cols, channels) of the engine value."""
        return extents(self.shape, self.pixel_axes)


def rest_axes(rank: int, pixel_axes: Axes) -> Axes:
    """The axes that are not pixel axes, in order."""
    return tuple(axis for axis in range(rank) if axis not in pixel_axes)


def extents(shape: Sequence[int], pixel_axes: Axes) -> tuple[int, int, int]:
    """(rows, cols, channels) of a layout."""
    rows, cols = (1, 1, *(shape[axis] for axis in pixel_axes))[-2:]
    return rows, cols, math.prod(shape) // (rows * cols)


def stored_order(shape: Sequence[int], pixel_axes: Axes) -> Axes:
    """The axes larger than 1 from the slowest to the fastest in memory."""
    return tuple(axis for axis in pixel_axes + rest_axes(len(shape), pixel_axes) if shape[axis] != 1)


def is_storable(shape: Sequence[int], pixel_axes: Axes) -> bool:
    """Whether rows and cols stay within the file's limits."""
    return all(shape[axis] <= MAX_PIXELS_PER_AXIS for axis in pixel_axes)


def all_pixel_axes(rank: int) -> Iterator[Axes]:
    """Every choice of pixel axes, fewest first."""
    yield ()
    for row in range(rank):
        yield (row,)
    for row in range(rank):
        for col in range(rank):
            if row != col:
                yield (row, col)


def free_layouts(tensor: Tensor) -> list[Axes]:
    """The pixel axes under which the tensor may be seen without moving a number; its own come first."""
    order = stored_order(tensor.shape, tensor.pixel_axes)
    return [tensor.pixel_axes] + [
        axes
        for axes in all_pixel_axes(len(tensor.shape))
        if axes != tensor.pixel_axes and is_storable(tensor.shape, axes) and stored_order(tensor.shape, axes) == order
    ]


def default_pixel_axes(shape: Sequence[int]) -> Axes:
    """Pixel axes of a tensor of which only the shape is known: images NCHW, sequences NCL."""
    axes: Axes = {4: (2, 3), 3: (2,)}.get(len(shape), ())
    return axes if is_storable(shape, axes) else ()


def input_pixel_axes(shape: Sequence[int]) -> Axes:
    """Pixel axes of a network input: NCHW unless only the last axis can be colours; likewise without batch."""
    colours = (1, 3, 4)
    if len(shape) == 4 and shape[1] not in colours and shape[3] in colours:
        return (1, 2)
    if len(shape) == 3 and shape[0] != 1 and (shape[0] in colours or shape[2] in colours):
        return (1, 2) if shape[0] in colours else (0, 1)
    return default_pixel_axes(shape)


@dataclass(frozen=True)
class Refinement:
    """Two shapes of the same numbers cut into common factors (*atoms*).

    Attributes:
        old, new: per axis its atoms, slowest first; empty for axes of size 1.
        sizes: extent of every atom.
    """

    old: list[list[Atom]]
    new: list[list[Atom]]
    sizes: dict[Atom, int]

    @staticmethod
    def of(old_shape: Sequence[int], new_shape: Sequence[int]) -> Refinement:
        """Cuts both shapes (equal products, no zeros) at every boundary either of them has.

        Where boundaries do not divide each other, such as (6, 4) and (4, 6), a group of axes has no common factors;
        its axes become parts that equal each other only as a whole, see ``joined``.
        """
        result = Refinement([[] for _ in old_shape], [[] for _ in new_shape], {})
        olds, news = _boundaries(old_shape), _boundaries(new_shape)
        shared = sorted({end for _, _, end in olds} & {end for _, _, end in news})
        start = 1
        for number, stop in enumerate(shared):
            old_group = [item for item in olds if start <= item[1] and item[2] <= stop]
            new_group = [item for item in news if start <= item[1] and item[2] <= stop]
            result._cut(number, start, old_group, new_group)
            start = stop
        return result

    def _cut(self, number: int, start: int, olds: list[tuple[int, int, int]], news: list[tuple[int, int, int]]) -> None:
        cuts = sorted({start, *(end for _, _, end in olds), *(end for _, _, end in news)})
        divides = all(above % below == 0 for below, above in pairwise(cuts))
        for side, group, axes in (("old", olds, self.old), ("new", news, self.new)):
            for part, (axis, low, high) in enumerate(group):
                if divides:
                    for below, above in pairwise(cuts):
                        if low <= below and above <= high:
                            atom: Atom = (number, below)
                            axes[axis].append(atom)
                            self.sizes[atom] = above // below
                else:
                    atom = (number, side, part, len(group))
                    axes[axis].append(atom)
                    self.sizes[atom] = high // low


def _boundaries(shape: Sequence[int]) -> list[tuple[int, int, int]]:
    """(axis, product before it, product through it) of every axis larger than 1."""
    result, product = [], 1
    for axis, size in enumerate(shape):
        if size != 1:
            result.append((axis, product, product * size))
            product *= size
    return result


def joined(atoms: Sequence[Atom]) -> list[Atom]:
    """The sequence with every complete run of a group's parts replaced by the group, so that old and new compare."""
    result: list[Atom] = []
    position = 0
    while position < len(atoms):
        atom = atoms[position]
        if len(atom) == 4 and atom[2] == 0:
            count = int(atom[3])
            run = [(*atom[:2], part, count) for part in range(count)]
            if list(atoms[position : position + count]) == run:
                result.append((atom[0], "all"))
                position += count
                continue
        result.append(atom)
        position += 1
    return result


def atoms_of(axes: Sequence[int], table: list[list[Atom]]) -> list[Atom]:
    """The atoms of several axes one behind the other."""
    return [atom for axis in axes for atom in table[axis]]


def reshaped_pixel_axes(tensor: Tensor, new_shape: Sequence[int], cut: Refinement) -> Axes | None:
    """Pixel axes under which ``new_shape`` holds the tensor's numbers in their stored order; None if there are none.

    Preferred are equal extents (nothing to do at all), then the same pixels with their channels seen differently, then
    as many pixels as possible, since masks are kept per pixel. Channels never become pixels of one channel.
    """
    old_atoms = joined(atoms_of(tensor.pixel_axes + tensor.rest, cut.old))
    old_pixels = joined(atoms_of(tensor.pixel_axes, cut.old))
    was_plain = tensor.extents[:2] == (1, 1)
    best: tuple[tuple[bool, bool, int, int], Axes] | None = None
    for axes in all_pixel_axes(len(new_shape)):
        if not is_storable(new_shape, axes):
            continue
        rest = rest_axes(len(new_shape), axes)
        if joined(atoms_of(axes + rest, cut.new)) != old_atoms:
            continue
        size = extents(new_shape, axes)
        same_extents = size == tensor.extents
        if not same_extents and (was_plain or (size[2] == 1 and tensor.extents[2] > 1)) and axes:
            continue
        key = (not same_extents, joined(atoms_of(axes, cut.new)) != old_pixels, -size[0] * size[1], len(axes))
        if best is None or key < best[0]:
            best = key, axes
    return None if best is None else best[1]
