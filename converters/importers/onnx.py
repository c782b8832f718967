"""Imports an ONNX model as an engine graph: un-fused, engine operators only, layouts tracked.

The only module that needs the onnx package. Constant parts of the model are evaluated with its reference evaluator;
nodes that have no handler but a function body are replaced by it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.defs
import onnx.inliner
import onnx.shape_inference
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from runtime.reference.errors import ArgumentError, FormatError, UnsupportedError
from runtime.reference.graph import Array, Graph

from . import (  # noqa: F401 - register handlers
    onnx_conv,
    onnx_einsum,
    onnx_elementwise,
    onnx_index,
    onnx_norm,
    onnx_reduce,
    onnx_resize,
    onnx_shape,
    onnx_skip,
)
from .builder import Builder, Operand
from .layout import Tensor
from .onnx_node import CUT, HANDLERS, REMEDIES, OnnxNode, Unsupported
from .skip import Description

OLDEST_OPSET = 7
OUTPUT_DTYPES = {"float32": "float32", "int32": "int32", "int64": "int64", "bool": "bool"}
NARROWED = {
    "int8": "int32",
    "uint8": "int32",
    "int16": "int32",
    "uint16": "int32",
    "uint32": "int64",
    "uint64": "int64",
}
Source = str | os.PathLike[str] | bytes | onnx.ModelProto


def import_onnx(
    source: Source, *, shapes: Mapping[str, Sequence[int]] | None = None, gates: Description | None = None
) -> Graph:
    """Imports a model.

    Args:
        source: a file, its bytes, or a loaded model.
        shapes: shapes of inputs by name, for models with dynamic sizes; batch is 1.
        gates: gates of convolutions, by the names of nodes, outputs or weights.

    Returns:
        The graph; metadata has ``source`` (file, producer, opset) and ``notes`` (what a user should know).

    Raises:
        FormatError: not an ONNX model, or a damaged one.
        ArgumentError: input shapes are dynamic, or ``shapes`` or ``gates`` does not fit the model.
        UnsupportedError: lists every node that cannot be imported.
    """
    model, name = _load(source)
    opset = {item.domain: item.version for item in model.opset_import}.get("", 1)
    if opset < OLDEST_OPSET:
        raise UnsupportedError(
            f"{name} has opset {opset}; 9 and newer are supported: export it again, "
            "or run onnx.version_converter.convert_version(model, 13)"
        )
    model = _inlined(model)
    notes: list[str] = []
    if gates is not None:
        model, notes = onnx_skip.described(model, gates)
    importer = Importer(model, name)
    importer.run(shapes or {})
    graph = importer.builder.graph
    graph.metadata["source"] = {
        "file": name,
        "producer": f"{model.producer_name} {model.producer_version}".strip(),
        "opset": opset,
        "graph": model.graph.name,
    }
    graph.metadata["notes"] = [*notes, *importer.notes]
    return graph


def _load(source: Source) -> tuple[onnx.ModelProto, str]:
    if isinstance(source, onnx.ModelProto):
        return source, source.graph.name or "model"
    if not isinstance(source, (str, bytes, os.PathLike)):
        raise ArgumentError(
            f"the source is a {type(source).__name__}; give an ONNX file, its bytes, a loaded model or a torch module"
        )
    name = "model" if isinstance(source, bytes) else Path(source).name
    try:
        model = onnx.load_model_from_string(source) if isinstance(source, bytes) else onnx.load(os.fspath(source))
    except DecodeError as error:
        raise FormatError(f"{name} is not an ONNX model, or it is damaged: {error}") from error
    except (onnx.checker.ValidationError, ValueError) as error:
        raise FormatError(f"{name}: {error}") from error
    if not model.graph.output:
        raise FormatError(f"{name} is not an ONNX model, or it is damaged: it has no outputs")
    return model, name


def _inlined(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without local functions, and without operators that only have a function body here."""
    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    versions = {item.domain: item.version for item in model.opset_import}
    bodies = set()
    for node in model.graph.node:
        domain = _domain(node.domain)
        if (domain, node.op_type) in HANDLERS or node.op_type in REMEDIES:
            continue
        try:
            schema = onnx.defs.get_schema(node.op_type, versions.get(domain, 1), domain)
        except onnx.defs.SchemaError:
            continue
        if getattr(schema, "has_function", False) or getattr(schema, "has_context_dependent_function", False):
            bodies.add((node.domain, node.op_type))
    if not bodies:
        return model
    typed = onnx.ModelProto()
    typed.CopyFrom(model)
    for tensor in model.graph.initializer:  # the inliner looks for every input's type
        info = helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
        typed.graph.value_info.append(info)
    try:
        model = onnx.shape_inference.infer_shapes(typed, data_prop=True)
        return onnx.inliner.inline_selected_functions(model, sorted(bodies), inline_schema_functions=True)
    except (RuntimeError, ValueError, onnx.shape_inference.InferenceError):
        return model  # the nodes are reported as unsupported


def _domain(domain: str) -> str:
    return "" if domain == "ai.onnx" else domain


class Poison:
    """Stands for the result of a node that could not be imported."""


class Importer:
    """Walks the nodes of a model; running values become tensors, everything else NumPy arrays."""

    def __init__(self, model: onnx.ModelProto, name: str) -> None:
        self.model, self.name = model, name
        self.builder = Builder()
        self.values: dict[str, Operand | Poison | None] = {"": None}
        self.problems: list[str] = []
        self.notes: list[str] = []
        self.versions = {_domain(item.domain): item.version for item in model.opset_import}

    def run(self, shapes: Mapping[str, Sequence[int]]) -> None:
        """Imports inputs, nodes and outputs."""
        graph = self.model.graph
        self._constants(graph)
        self._inputs(graph, shapes)
        wanted = _needed(graph.node, (item.name for item in graph.output))
        self._nodes([node for number, node in enumerate(graph.node) if number in wanted])
        if self.problems:
            lines = "\n".join(f"  - {line}" for line in self.problems)
            raise UnsupportedError(f"{self.name}: {len(self.problems)} node(s) cannot be imported:\n{lines}")
        for output in graph.output:
            self._output(output.name)
        self.builder.remove_unread()

    def _constants(self, graph: onnx.GraphProto) -> None:
        try:
            for tensor in graph.initializer:
                self.values[tensor.name] = _plain_dtype(numpy_helper.to_array(tensor))
        except (ValueError, TypeError, RuntimeError) as error:
            raise FormatError(f"{self.name}: initializer {tensor.name!r} is damaged: {error}") from error
        for sparse in graph.sparse_initializer:
            dense = np.zeros(list(sparse.dims), helper.tensor_dtype_to_np_dtype(sparse.values.data_type))
            indices = numpy_helper.to_array(sparse.indices)
            if indices.ndim == 1:
                dense.reshape(-1)[indices] = numpy_helper.to_array(sparse.values)
            else:
                dense[tuple(indices.T)] = numpy_helper.to_array(sparse.values)
            self.values[sparse.values.name] = dense

    # Inputs and outputs

    def _inputs(self, graph: onnx.GraphProto, shapes: Mapping[str, Sequence[int]]) -> None:
        inputs = [item for item in graph.input if item.name not in self.values]
        unknown = sorted(set(shapes) - {item.name for item in inputs})
        if unknown:
            known = ", ".join(item.name for item in inputs)
            raise ArgumentError(f"{self.name} has no input named {', '.join(unknown)}; its inputs are: {known}")
        dynamic = []
        for item in inputs:
            tensor_type = item.type.tensor_type
            if not item.type.HasField("tensor_type") or tensor_type.elem_type == onnx.TensorProto.STRING:
                raise UnsupportedError(f"{self.name}: input {item.name} is not a tensor of numbers")
            dims = [dim.dim_value or dim.dim_param or "?" for dim in tensor_type.shape.dim]
            given = shapes.get(item.name)
            if given is not None and tensor_type.HasField("shape") and len(given) != len(dims):
                raise ArgumentError(
                    f"input {item.name} has {len(dims)} dimensions {dims}, the shape given {list(given)}"
                )
            if given is not None:
                dims = [int(size) for size in given]
            elif dims and not isinstance(dims[0], int):
                dims[0] = 1
            if not tensor_type.HasField("shape") and given is None:
                dims = ["?"]
            if any(not isinstance(size, int) or size < 1 for size in dims):
                dynamic.append((item.name, dims))
                continue
            if len(dims) > 3 and dims[0] != 1:
                raise ArgumentError(
                    f"input {item.name} has a batch of {dims[0]}; frames come one at a time: export with batch 1, or "
                    f"give --shape {item.name}={','.join(map(str, [1, *dims[1:]]))}"
                )
            dtype = helper.tensor_dtype_to_np_dtype(tensor_type.elem_type).name
            self.values[item.name] = self.builder.input(item.name, [int(size) for size in dims], dtype)
        if dynamic:
            listed = "; ".join(f"{name}: {', '.join(map(str, dims))}" for name, dims in dynamic)
            example = [size if isinstance(size, int) else (1, 3, 240, 320)[min(i, 3)] for i, size in enumerate(dims)]
            raise ArgumentError(
                f"{self.name} has inputs of dynamic shape ({listed}); fix them, for example with "
                f"--shape {dynamic[0][0]}={','.join(map(str, example))}"
            )

    def _output(self, name: str) -> None:
        value = self.values.get(name)
        if value is None or isinstance(value, Poison):
            raise FormatError(f"{self.name}: output {name!r} is made by no node")
        dtype = value.dtype if isinstance(value, Tensor) else value.dtype.name
        kept = OUTPUT_DTYPES.get(dtype) or NARROWED.get(dtype, "float32")
        if kept != dtype:
            self.notes.append(f"output {name} is {dtype} in the source model and comes as {kept}")
        if len(value.shape) > 8:
            raise UnsupportedError(f"{self.name}: output {name} has more than 8 dimensions")
        self.builder.output(name, value, kept)

    # Nodes

    def _nodes(self, nodes: Iterable[onnx.NodeProto]) -> None:
        for node in nodes:
            self._node(node)

    def _node(self, node: onnx.NodeProto) -> None:
        missing = [name for name in node.input if name not in self.values]
        if missing:
            raise FormatError(f"{self.name}: node {_label(node)} reads {missing[0]!r}, which nothing before it makes")
        inputs = [self.values[name] for name in node.input]
        domain = _domain(node.domain)
        if any(isinstance(item, Poison) for item in inputs):
            if (domain, node.op_type) not in HANDLERS and node.op_type != "If":
                self._problem(node, *self._why(node))
            return self._bind(node, [Poison()] * len(node.output))
        known = [item for item in inputs if not isinstance(item, Poison)]
        try:
            if node.op_type == "If" and domain == "":
                return self._if(node, known[0])
            folded = self._fold(node, known)
            if folded is None:
                handler = HANDLERS.get((domain, node.op_type))
                if handler is None:
                    raise Unsupported(*self._why(node))
                self.builder.begin(node.name or next(name for name in node.output if name))
                view = OnnxNode(
                    node.op_type,
                    domain,
                    node.name,
                    self.versions.get(domain, 1),
                    known,
                    list(node.output),
                    {item.name: _attribute(item) for item in node.attribute},
                )
                result = handler(view, self.builder)
                folded = [result] if isinstance(result, Tensor | np.ndarray) else list(result)
            self._bind(node, folded)
        except Unsupported as problem:
            self._problem(node, problem.reason, problem.remedy)
            self._bind(node, [Poison()] * len(node.output))
        except (
            KeyError,
            IndexError,
            ValueError,
            TypeError,
            AssertionError,
            AttributeError,
            ZeroDivisionError,
        ) as error:
            shown = [getattr(item, "shape", None) for item in known]
            raise FormatError(
                f"{self.name}: node {_label(node)} is not valid with inputs of shapes {shown}: {error}; if the model "
                "runs elsewhere with this input shape, please report it"
            ) from error

    def _why(self, node: onnx.NodeProto) -> tuple[str, str]:
        if _domain(node.domain) not in ("", "com.microsoft"):
            return "it is a custom operator", "export the model without it, or " + CUT
        return REMEDIES.get(node.op_type, ("there is no such operator in the engine", CUT))

    def _problem(self, node: onnx.NodeProto, reason: str, remedy: str) -> None:
        domain = _domain(node.domain)
        self.problems.append(
            f"{node.op_type} (domain {domain or 'ai.onnx'}, version {self.versions.get(domain, '?')}) "
            f"{_label(node)}: {reason}. Remedy: {remedy}"
        )

    def _bind(self, node: onnx.NodeProto, results: Sequence[Operand | Poison | None]) -> None:
        for name, result in zip(node.output, results, strict=False):
            if name:
                self.values[name] = self.builder.bind(result, name) if isinstance(result, Tensor) else result

    def _if(self, node: onnx.NodeProto, condition: Operand | None) -> None:
        if condition is None or isinstance(condition, Tensor):
            raise Unsupported("its condition is computed while running", "export with a fixed branch, or " + CUT)
        wanted = "then_branch" if bool(np.all(condition)) else "else_branch"
        branch = next(item.g for item in node.attribute if item.name == wanted)
        self._constants(branch)
        self._nodes(branch.node)
        for inner, outer in zip(branch.output, node.output, strict=True):
            self.values[outer] = self.values[inner.name]

    def _fold(self, node: onnx.NodeProto, inputs: Sequence[Operand | None]) -> list[Operand | None] | None:
        """Results of a node that has only constant inputs; None where it has to run."""
        if node.op_type == "Constant":
            return [_constant_of(node)]
        if any(isinstance(item, Tensor) for item in inputs) or node.op_type.startswith("Random"):
            return None
        graph = helper.make_graph(
            [node],
            "fold",
            [helper.make_empty_tensor_value_info(name) for name in dict.fromkeys(node.input) if name],
            [helper.make_empty_tensor_value_info(name) for name in node.output if name],
        )
        imports = list(self.model.opset_import)
        if node.op_type == "DequantizeLinear" and self.versions.get("", 1) < 19:  # the evaluator begins there
            imports = [helper.make_opsetid("", 19)]
        feeds = {name: item for name, item in zip(node.input, inputs, strict=True) if name}
        try:
            evaluator = ReferenceEvaluator(helper.make_model(graph, opset_imports=imports))
            results: list[Any] = list(evaluator.run(None, feeds))
        except Exception:  # whatever the evaluator cannot do is left to the handlers
            return None
        arrays = iter(np.asarray(item) for item in results)
        return [_plain_dtype(next(arrays)) if name else None for name in node.output]


def _label(node: onnx.NodeProto) -> str:
    return f"{node.name!r}" if node.name else f"making {next((name for name in node.output if name), '?')!r}"


def _plain_dtype(array: Array) -> Array:
    """NumPy's own dtypes; float16 and the like are widened, as the engine computes in float32."""
    if array.dtype.kind not in "biufUSO" or array.dtype == np.float16:
        return array.astype(np.float32)
    return array


def _constant_of(node: onnx.NodeProto) -> Array:
    item = node.attribute[0]
    value = _attribute(item)
    if isinstance(value, np.ndarray):
        return value
    kinds = {"value_float": np.float32, "value_floats": np.float32, "value_int": np.int64, "value_ints": np.int64}
    return np.array(value, kinds.get(item.name))


def _attribute(item: onnx.AttributeProto) -> Any:
    if item.name == "to":
        if item.i == onnx.TensorProto.STRING:
            return "str"
        return "float32" if item.i == onnx.TensorProto.BFLOAT16 else helper.tensor_dtype_to_np_dtype(item.i).name
    value = helper.get_attribute_value(item)
    return _plain_dtype(numpy_helper.to_array(value)) if isinstance(value, onnx.TensorProto) else value


def _needed(nodes: Sequence[onnx.NodeProto], outputs: Iterable[str]) -> set[int]:
    """Numbers of the nodes that outputs depend on, captured values of branches included."""
    wanted, needed = set(outputs), set()
    for number in range(len(nodes) - 1, -1, -1):
        if wanted.intersection(name for name in nodes[number].output if name):
            needed.add(number)
            wanted.update(_reads(nodes[number]))
    return needed


def _reads(node: onnx.NodeProto) -> set[str]:
    names = set(node.input)
    for item in node.attribute:
        for graph in [item.g, *item.graphs]:
            names.update(output.name for output in graph.output)
            for inner in graph.node:
                names |= _reads(inner)
    return names
