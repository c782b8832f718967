"""Builds an engine graph while keeping track of how the source model sees each value.

Operands are running ``Tensor``s or constant NumPy arrays in the source model's logical shape; the builder permutes
constants into the layout of what they meet.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from runtime.reference.graph import (
    Activation,
    ActivationSpec,
    Array,
    Attributes,
    Binary,
    BinaryOp,
    Concat,
    Gather,
    Graph,
    Input,
    Node,
    Output,
    Reduce,
    ReduceChannels,
    ReducePixels,
    Softmax,
    Transpose,
    Unary,
    Value,
    ValueKind,
    View,
)

from .layout import (
    Axes,
    Tensor,
    default_pixel_axes,
    extents,
    free_layouts,
    input_pixel_axes,
    is_storable,
    rest_axes,
    stored_order,
)

Operand = Tensor | Array
Indices = npt.NDArray[np.int64]
IDENTITY = ActivationSpec()
MAX_CHANNEL_TABLE = 65536  # longer channel permutations are transposes, which need no table


class Builder:
    """Appends nodes to ``graph``; every method returns the tensor of its result."""

    def __init__(self) -> None:
        self.graph = Graph()
        self._reshaped: dict[str, tuple[Tensor, Tensor]] = {}  # by value: a reshape that moved numbers, and its source
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._node_names: set[str] = set()
        self._scope, self._scope_start = "", 0

    # Names, values and nodes

    def begin(self, scope: str) -> None:
        """Starts a source node; what it creates is named after ``scope``."""
        self._scope, self._scope_start = scope, len(self.graph.nodes)

    def _unique(self, wanted: str, taken: Mapping[str, object] | set[str]) -> str:
        name, count = wanted, 1
        while name in taken:
            count += 1
            name = f"{wanted}:{count}"
        return name

    def bind(self, tensor: Tensor, name: str) -> Tensor:
        """Gives the current source node's result its name in the source model, where it is a value of its own."""
        made = self.graph.nodes[self._scope_start :]
        producer = next((node for node in made if node.output == tensor.name), None)
        if producer is None or name in self.graph.values:
            return tensor
        if producer is made[-1]:
            self._node_names.discard(producer.name)
            producer.name = self._unique(self._scope, self._node_names)
            self._node_names.add(producer.name)
        value = self.graph.values.pop(tensor.name)
        value.name = name
        self.graph.values[name] = value
        producer.output = name
        for node in made:
            node.inputs = [name if item == tensor.name else item for item in node.inputs]
        if tensor.name in self._reshaped:
            result, source = self._reshaped.pop(tensor.name)
            self._reshaped[name] = replace(result, name=name), source
        return replace(tensor, name=name)

    def remember_reshape(self, result: Tensor, source: Tensor) -> None:
        """Notes that a reshape had to move numbers, see ``source_of_reshape``."""
        self._reshaped[result.name] = result, source

    def source_of_reshape(self, tensor: Tensor) -> Tensor | None:
        """The tensor of which this one is a reshape that moved numbers: a reshape back then needs none of them."""
        if tensor.name not in self._reshaped:
            return None
        result, source = self._reshaped[tensor.name]
        return source if (result.shape, result.pixel_axes) == (tensor.shape, tensor.pixel_axes) else None

    def emit(
        self,
        attributes: Attributes,
        inputs: Sequence[str | None],
        shape: Sequence[int],
        pixel_axes: Axes,
        dtype: str = "float32",
        activation: ActivationSpec = IDENTITY,
    ) -> Tensor:
        """Appends one operator whose output has the given layout."""
        name = self._unique(f"{self._scope}/{attributes.NAME}", self.graph.values)
        node_name = self._unique(name, self._node_names)
        self._node_names.add(node_name)
        tensor = Tensor(name, tuple(int(size) for size in shape), pixel_axes, dtype)
        self.graph.values[name] = Value(
            name, ValueKind.NODE, *tensor.extents, shape=tensor.shape, pixel_axes=pixel_axes, source_dtype=dtype
        )
        self.graph.nodes.append(Node(node_name, attributes, list(inputs), name, activation))
        return tensor

    def constant(self, data: Array, hint: str = "constant") -> str:
        """A constant value; ``data`` is (rows, cols, channels), or of another rank for weights: 1 x 1 x n."""
        integer = np.issubdtype(data.dtype, np.integer)
        data = np.ascontiguousarray(data, np.int32 if integer else np.float32)
        rows, cols, channels = data.shape if data.ndim == 3 else (1, 1, data.size)
        key = (data.dtype.str, data.shape, data.tobytes())
        if key not in self._constants:
            name = self._unique(f"{self._scope}/{hint}", self.graph.values)
            self._constants[key] = name
            self.graph.values[name] = Value(name, ValueKind.CONSTANT, rows, cols, channels, data, data.shape)
        return self._constants[key]

    def input(self, name: str, shape: Sequence[int], dtype: str) -> Tensor:
        """A network input."""
        axes = input_pixel_axes(shape)
        tensor = Tensor(name, tuple(shape), axes, dtype)
        self.graph.values[name] = Value(
            name, ValueKind.INPUT, *tensor.extents, shape=tensor.shape, pixel_axes=axes, source_dtype=dtype
        )
        self.graph.inputs.append(Input(name, name))
        return tensor

    def output(self, name: str, operand: Operand, dtype: str) -> None:
        """A network output; ``dtype`` is what the caller gets."""
        tensor = self.tensor(operand)
        value = self.graph.values[tensor.name]
        if (value.shape, value.pixel_axes) != (tensor.shape, tensor.pixel_axes):
            # The output's source shape is kept by its value: relabel it, or make a second value if the label is taken.
            if value.kind == ValueKind.INPUT or any(output.value == value.name for output in self.graph.outputs):
                self.begin(name)
                tensor = self.bind(
                    self.emit(View(), [tensor.name], tensor.shape, tensor.pixel_axes, tensor.dtype), name
                )
            else:
                value.shape, value.pixel_axes = tensor.shape, tensor.pixel_axes
        self.graph.outputs.append(Output(name, tensor.name, dtype))

    def remove_unread(self) -> None:
        """Drops nodes and constants that no output depends on."""
        needed = {output.value for output in self.graph.outputs}
        kept = []
        for node in reversed(self.graph.nodes):
            if node.output in needed:
                needed.update(node.reads)
                kept.append(node)
        self.graph.nodes = kept[::-1]
        self.graph.values = {
            name: value for name, value in self.graph.values.items() if name in needed or value.kind == ValueKind.INPUT
        }

    # Layouts

    def stored(self, array: Array, pixel_axes: Axes) -> Array:
        """A logical array as (rows, cols, channels)."""
        order = pixel_axes + rest_axes(array.ndim, pixel_axes)
        stored: Array = np.transpose(array, order).reshape(extents(array.shape, pixel_axes)).astype(np.float32)
        return stored

    def tensor(self, operand: Operand) -> Tensor:
        """The operand as a tensor; arrays become constant values."""
        if isinstance(operand, Tensor):
            return operand
        axes = default_pixel_axes(operand.shape)
        name = self.constant(self.stored(operand, axes))
        return Tensor(name, operand.shape, axes, operand.dtype.name)

    def as_layout(self, tensor: Tensor, pixel_axes: Axes) -> Tensor:
        """The same logical tensor with other pixel axes: free where the stored orders agree, else a transpose."""
        if pixel_axes == tensor.pixel_axes:
            return tensor
        old = stored_order(tensor.shape, tensor.pixel_axes)
        new = stored_order(tensor.shape, pixel_axes)
        if old == new:
            return self.view(tensor, tensor.shape, pixel_axes)
        dims = tuple(tensor.shape[axis] for axis in old)
        perm = tuple(old.index(axis) for axis in new)
        return self.emit(Transpose(len(dims), dims, perm), [tensor.name], tensor.shape, pixel_axes, tensor.dtype)

    def view(self, tensor: Tensor, shape: Sequence[int], pixel_axes: Axes) -> Tensor:
        """The same numbers in the same order under another layout: no node where the extents stay."""
        if extents(shape, pixel_axes) == tensor.extents:
            return replace(tensor, shape=tuple(shape), pixel_axes=pixel_axes)
        return self.emit(View(), [tensor.name], shape, pixel_axes, tensor.dtype)

    def transpose(self, tensor: Tensor, perm: Sequence[int]) -> Tensor:
        """Permutes the logical axes: free unless channel axes change their order, which is a map within each pixel."""
        shape = tuple(tensor.shape[axis] for axis in perm)

        def moved(axes: Axes) -> Axes:
            return tuple(perm.index(axis) for axis in axes)

        axes = moved(tensor.pixel_axes)
        rest = tensor.rest
        order = [rest.index(perm[axis]) for axis in rest_axes(len(shape), axes)]
        if stored_order(shape, axes) == moved(stored_order(tensor.shape, tensor.pixel_axes)):
            return self.view(tensor, shape, axes)
        channels = tensor.extents[2]
        if channels > MAX_CHANNEL_TABLE:
            plain = self.as_layout(tensor, ())
            new = replace(plain, shape=shape)
            old = stored_order(tensor.shape, ())
            dims = tuple(tensor.shape[axis] for axis in old)
            moves = tuple(old.index(perm[axis]) for axis in stored_order(shape, ()))
            return self.emit(Transpose(len(dims), dims, moves), [plain.name], new.shape, (), tensor.dtype)
        table = np.arange(channels).reshape(tensor.rest_shape).transpose(order)
        return self.gather(tensor, shape, axes, channel_map=table)

    def gather(
        self,
        tensor: Tensor,
        shape: Sequence[int],
        pixel_axes: Axes,
        row_map: Array | None = None,
        col_map: Array | None = None,
        channel_map: Array | None = None,
        phases: tuple[int, int] = (1, 1),
        fill: float = 0.0,
    ) -> Tensor:
        """Index maps over rows, cols and channels (docs/file_format.md, gather); identities are left out."""
        maps: list[str | None] = []
        for table, extent in zip((row_map, col_map, channel_map), tensor.extents, strict=True):
            if table is None or (phases == (1, 1) and np.array_equal(table.ravel(), np.arange(extent))):
                maps.append(None)
            else:
                maps.append(self.constant(table.astype(np.int32).reshape(1, 1, -1), "map"))
        if maps == [None, None, None]:
            return self.view(tensor, shape, pixel_axes)
        attributes = Gather(*phases, float(fill))
        return self.emit(attributes, [tensor.name, *maps], shape, pixel_axes, tensor.dtype)

    def take(self, tensor: Tensor, indices: Mapping[int, Indices], fill: float = 0.0) -> Tensor:
        """Picks entries along several logical axes at once; an index of -1 gives ``fill``.

        Slicing, padding, flipping, tiling, expanding and nearest resizing are all this.
        """
        tensor = self._cover(tensor, [axis for axis, index in indices.items() if len(index) != tensor.shape[axis]])
        shape = list(tensor.shape)
        table = np.arange(tensor.extents[2]).reshape(tensor.rest_shape)
        pixel_maps: list[Array | None] = [None, None]
        for axis, index in indices.items():
            shape[axis] = len(index)
            if axis in tensor.pixel_axes:
                pixel_maps[axis_slot(tensor, axis)] = index
                continue
            position = tensor.rest.index(axis)
            table = np.take(table, np.maximum(index, 0), axis=position)
            empty = (index < 0).reshape([-1 if i == position else 1 for i in range(table.ndim)])
            table = np.where(empty, -1, table)
        return self.gather(tensor, shape, tensor.pixel_axes, pixel_maps[0], pixel_maps[1], table, fill=fill)

    def _cover(self, tensor: Tensor, axes: Sequence[int]) -> Tensor:
        """Makes axes of size 1 that are about to grow pixel axes, where that is free."""
        growing = {axis for axis in axes if tensor.shape[axis] == 1 and axis not in tensor.pixel_axes}
        needed = growing | {axis for axis in tensor.pixel_axes if tensor.shape[axis] != 1}
        for choice in free_layouts(tensor) if growing and len(needed) <= 2 else []:
            if needed <= set(choice) and tuple(sorted(choice)) == choice:
                return self.as_layout(tensor, choice)
        return tensor

    # Pointwise

    def unary(self, tensor: Tensor, kind: Activation, *parameters: float, dtype: str | None = None) -> Tensor:
        """One activation."""
        spec = ActivationSpec(kind, tuple(float(number) for number in parameters))
        return self.emit(Unary(), [tensor.name], tensor.shape, tensor.pixel_axes, dtype or tensor.dtype, spec)

    def binary(
        self, kind: Binary, a: Operand, b: Operand, dtype: str | None = None, activation: ActivationSpec = IDENTITY
    ) -> Tensor:
        """``a kind b`` with NumPy's broadcasting."""
        return self.elementwise(BinaryOp(kind), [a, b], dtype, activation)

    def elementwise(
        self,
        attributes: Attributes,
        operands: Sequence[Operand],
        dtype: str | None = None,
        activation: ActivationSpec = IDENTITY,
    ) -> Tensor:
        """A pointwise operator of several operands, broadcast to one shape and brought to one layout."""
        shape = np.broadcast_shapes(*(operand.shape for operand in operands))
        if not any(isinstance(operand, Tensor) for operand in operands):
            operands = [self.tensor(operands[0]), *operands[1:]]
        lifted = [self._lift(operand, len(shape)) for operand in operands]
        running = [item for item in lifted if isinstance(item, Tensor)]

        def grown(axes: Axes) -> int:
            channels = extents(shape, axes)[2]
            return sum(extents(tensor.shape, axes)[2] not in (1, channels) for tensor in running)

        axes = self._common_layout(running, shape, grown)
        inputs = [self._broadcast(item, shape, axes) for item in lifted]
        if dtype is None:
            dtype = next(item.dtype for item in lifted if isinstance(item, Tensor))
        return self.emit(attributes, inputs, shape, axes, dtype, activation)

    def _lift(self, operand: Operand, rank: int) -> Operand:
        """Adds leading axes of size 1."""
        missing = rank - len(operand.shape)
        shape = (1,) * missing + tuple(operand.shape)
        if isinstance(operand, Tensor):
            return replace(operand, shape=shape, pixel_axes=tuple(axis + missing for axis in operand.pixel_axes))
        return operand.reshape(shape)

    def _common_layout(self, tensors: Sequence[Tensor], shape: Sequence[int], gathers: Callable[[Axes], int]) -> Axes:
        """The pixel axes for ``shape`` that cost the fewest moved numbers, then gathers, then give the most pixels."""
        own = [tensor.pixel_axes for tensor in tensors]
        choices = own + [axes for tensor in tensors for axes in free_layouts(tensor)] + [()]

        def cost(axes: Axes) -> tuple[int, int, bool, int]:
            moved = sum(
                math.prod(tensor.shape)
                for tensor in tensors
                if stored_order(tensor.shape, axes) != stored_order(tensor.shape, tensor.pixel_axes)
            )
            rows, cols, _ = extents(shape, axes)
            return moved, gathers(axes), axes not in own, -rows * cols

        return min((axes for axes in choices if is_storable(shape, axes)), key=cost)

    def _broadcast(self, operand: Operand, shape: Sequence[int], pixel_axes: Axes) -> str:
        """The value of an operand in a layout, its channels either full or 1 as the engine wants them."""
        rest = rest_axes(len(shape), pixel_axes)
        sizes = [operand.shape[axis] for axis in rest]
        full = [shape[axis] for axis in rest]
        grow = {axis: np.zeros(shape[axis], np.int64) for axis in rest if operand.shape[axis] != shape[axis]}
        if math.prod(sizes) == 1 or sizes == full:
            grow = {}
        if isinstance(operand, Tensor):
            tensor = self.as_layout(operand, pixel_axes)
            if grow:
                table = np.broadcast_to(np.arange(math.prod(sizes)).reshape(sizes), full)
                new_shape = [shape[axis] if axis in grow else size for axis, size in enumerate(tensor.shape)]
                tensor = self.gather(tensor, new_shape, pixel_axes, channel_map=table)
            return tensor.name
        wanted = [shape[axis] if axis in grow else size for axis, size in enumerate(operand.shape)]
        return self.constant(self.stored(np.broadcast_to(operand, wanted), pixel_axes))

    # Over several pixels or values

    def concat(self, operands: Sequence[Operand], axis: int) -> Tensor:
        """Operands one behind the other along a logical axis."""
        operands = [operand for operand in operands if 0 not in operand.shape]
        shape = list(operands[0].shape)
        shape[axis] = sum(operand.shape[axis] for operand in operands)
        running = [operand for operand in operands if isinstance(operand, Tensor)]
        axes = self._common_layout(running, shape, lambda axes: _is_interleaved(shape, axes, axis))
        names: list[str | None] = [
            self.as_layout(operand, axes).name
            if isinstance(operand, Tensor)
            else self.constant(self.stored(operand, axes))
            for operand in operands
        ]
        dtype = running[0].dtype
        if axis in axes:
            slot = axis_slot(Tensor("", tuple(shape), axes), axis)
            return self.emit(Concat(slot), names, shape, axes, dtype)
        result = self.emit(Concat(2), names, shape, axes, dtype)
        if not _is_interleaved(shape, axes, axis):
            return result
        rest = rest_axes(len(shape), axes)
        # Each operand's channels lie together; interleave them to the logical order.
        blocks, start = [], 0
        for operand in operands:
            sizes = [operand.shape[item] for item in rest]
            count = math.prod(sizes)
            blocks.append(np.arange(start, start + count).reshape(sizes))
            start += count
        return self.gather(result, shape, axes, channel_map=np.concatenate(blocks, rest.index(axis)))

    def reduce(self, kind: Reduce, tensor: Tensor, axes: Sequence[int], select_last: bool = False) -> Tensor:
        """Reduces logical axes to size 1 (mean, sum, max, min, product; arg max and arg min over one axis)."""
        arg = kind in (Reduce.ARG_MAX, Reduce.ARG_MIN)
        if arg:
            tensor = self.without_pixel_axes(tensor, axes)
        over = [axis for axis in axes if tensor.shape[axis] != 1]
        pixels = [axis_slot(tensor, axis) for axis in over if axis in tensor.pixel_axes]
        if pixels:
            shape = [1 if axis in over and axis in tensor.pixel_axes else n for axis, n in enumerate(tensor.shape)]
            attributes = ReducePixels(kind, int(0 in pixels), int(1 in pixels))
            tensor = self.emit(attributes, [tensor.name], shape, tensor.pixel_axes, tensor.dtype)
        dtype = "int64" if arg else tensor.dtype
        for run in _runs(tensor, over if not arg else axes):
            outer, count, inner = _split(tensor, run)
            shape = [1 if axis in run else size for axis, size in enumerate(tensor.shape)]
            channels = ReduceChannels(kind, outer, count, inner, int(select_last))
            tensor = self.emit(channels, [tensor.name], shape, tensor.pixel_axes, dtype)
        return tensor

    def softmax(self, tensor: Tensor, axes: Sequence[int], log: bool = False) -> Tensor:
        """(Log-)softmax over neighbouring logical axes together."""
        tensor = self.without_pixel_axes(tensor, axes)
        outer, count, inner = _split(tensor, axes)
        return self.emit(
            Softmax(outer, count, inner, int(log)), [tensor.name], tensor.shape, tensor.pixel_axes, tensor.dtype
        )

    def without_pixel_axes(self, tensor: Tensor, axes: Sequence[int]) -> Tensor:
        """A layout in which none of the axes is a pixel axis."""
        for choice in free_layouts(tensor):
            if not any(axis in choice and tensor.shape[axis] != 1 for axis in axes):
                return self.as_layout(tensor, choice)
        return self.as_layout(tensor, tuple(axis for axis in tensor.pixel_axes if axis not in axes))


def axis_slot(tensor: Tensor, axis: int) -> int:
    """0 where the pixel axis is stored as rows, 1 as cols."""
    return tensor.pixel_axes.index(axis) + 2 - len(tensor.pixel_axes)


def _is_interleaved(shape: Sequence[int], pixel_axes: Axes, axis: int) -> bool:
    """Whether operands joined along an axis have no channels of their own in the result, but alternate there."""
    rest = rest_axes(len(shape), pixel_axes)
    return axis in rest and math.prod(shape[item] for item in rest[: rest.index(axis)]) != 1


def _runs(tensor: Tensor, axes: Sequence[int]) -> list[list[int]]:
    """The channel axes among ``axes`` in groups that lie together."""
    runs: list[list[int]] = []
    extend = False
    for axis in tensor.rest:
        if axis in axes:
            if extend:
                runs[-1].append(axis)
            else:
                runs.append([axis])
            extend = True
        elif tensor.shape[axis] != 1:
            extend = False
    return runs


def _split(tensor: Tensor, axes: Sequence[int]) -> tuple[int, int, int]:
    """(outer, count, inner) of the channels around neighbouring channel axes."""
    inside = [tensor.rest.index(axis) for axis in axes if axis in tensor.rest]
    if not inside:  # only pixel axes of size 1
        return 1, 1, tensor.extents[2]
    sizes = tensor.rest_shape
    first, last = min(inside), max(inside)
    return math.prod(sizes[:first]), math.prod(sizes[first : last + 1]), math.prod(sizes[last + 1 :])
