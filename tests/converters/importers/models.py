"""Small ONNX models and their comparison with ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from converters.evaluate import evaluate
from converters.importers.layout import rest_axes
from converters.importers.onnx import import_onnx
from converters.verify import verify
from runtime.reference.graph import Graph

onnxruntime.set_default_logger_severity(4)


def model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Sequence[Any]],
    constants: Mapping[str, np.ndarray] | None = None,
    outputs: Sequence[str] = ("y",),
    opset: int = 17,
    dtypes: Mapping[str, int] | None = None,
) -> onnx.ModelProto:
    """A model of the nodes; inputs by name with their shapes, float unless ``dtypes`` says otherwise."""
    dtypes = dtypes or {}
    graph = helper.make_graph(
        list(nodes),
        "test",
        [helper.make_tensor_value_info(k, dtypes.get(k, TensorProto.FLOAT), list(v)) for k, v in inputs.items()],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in (constants or {}).items()],
    )
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    made = helper.make_model(graph, opset_imports=imports)
    made.ir_version = helper.find_min_ir_version_for(imports[:1])
    try:
        return onnx.shape_inference.infer_shapes(made)
    except onnx.shape_inference.InferenceError:  # made wrong on purpose
        return made


def one(
    op: str,
    shape: Sequence[int],
    *constants: Any,
    opset: int = 17,
    outputs: int = 1,
    more: Sequence[Sequence[int]] = (),
    domain: str = "",
    **attributes: Any,
) -> onnx.ModelProto:
    """One node: running input "x" of a shape, further running ones in ``more``, then constants (None: absent)."""
    inputs = {"x": shape, **{f"x{i}": item for i, item in enumerate(more, 1)}}
    names = [f"c{i}" if item is not None else "" for i, item in enumerate(constants)]
    results = ["y", *(f"y{i}" for i in range(1, outputs))]
    node = helper.make_node(op, [*inputs, *names], results, name="node", domain=domain, **attributes)
    given = {name: item for name, item in zip(names, constants, strict=True) if name}
    return model([node], inputs, given, results, opset)


def frames(made: onnx.ModelProto, seed: int = 0, positive: bool = False) -> dict[str, np.ndarray]:
    """Random inputs."""
    rng = np.random.default_rng(seed)
    known = {item.name for item in made.graph.initializer}
    result = {}
    for item in made.graph.input:
        if item.name in known:
            continue
        shape = [dim.dim_value for dim in item.type.tensor_type.shape.dim]
        dtype = helper.tensor_dtype_to_np_dtype(item.type.tensor_type.elem_type)
        x = rng.standard_normal(shape)
        if dtype.kind == "b":
            result[item.name] = x > 0
        elif np.issubdtype(dtype, np.integer):
            result[item.name] = rng.integers(0 if positive or dtype.kind == "u" else -9, 10, shape).astype(dtype)
        else:
            result[item.name] = np.asarray(np.abs(x) + 0.1 if positive else x * 2, dtype)
    return result


def run(graph: Graph, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Outputs in the source model's shapes and dtypes, by the NumPy operators."""
    verify(graph)
    stored = {}
    for item in graph.inputs:
        value = graph.values[item.value]
        order = value.pixel_axes + rest_axes(len(value.shape), value.pixel_axes)
        stored[item.name] = feeds[item.name].astype(np.float32).transpose(order).reshape(value.extents)
    values = evaluate(graph, stored)
    results = {}
    for output in graph.outputs:
        value = graph.values[output.value]
        order = value.pixel_axes + rest_axes(len(value.shape), value.pixel_axes)
        array = values[output.value].reshape([value.shape[axis] for axis in order])
        inverse = [order.index(axis) for axis in range(len(order))]
        results[output.name] = array.transpose(inverse).astype(output.dtype)
    return results


def compare(graph: Graph, made: onnx.ModelProto | str, feeds: Mapping[str, np.ndarray], tolerance: float) -> None:
    """The graph's outputs against ONNX Runtime's, relative L2; integers and truth values must be equal."""
    source = made if isinstance(made, str) else made.SerializeToString()
    session = onnxruntime.InferenceSession(source, providers=["CPUExecutionProvider"])
    expected = session.run(None, dict(feeds))
    got = run(graph, feeds)
    for item, want in zip(session.get_outputs(), expected, strict=True):
        have = got[item.name]
        assert have.shape == want.shape
        if want.dtype.kind in "biu":
            assert have.dtype == want.dtype
            np.testing.assert_array_equal(have, want)
        else:
            finite = np.isfinite(want)
            np.testing.assert_array_equal(have[~finite], want[~finite])
            error = np.linalg.norm((have - want)[finite].astype(np.float64))
            assert error <= tolerance * max(np.linalg.norm(want[finite].astype(np.float64)), 1e-6), item.name


def check(made: onnx.ModelProto, *, positive: bool = False, tolerance: float = 2e-6) -> Graph:
    """Imports and compares on random input; returns the graph."""
    graph = import_onnx(made)
    compare(graph, made, frames(made, positive=positive), tolerance)
    return graph


def ops(graph: Graph) -> list[str]:
    """Names of the graph's operators in order."""
    return [node.op for node in graph.nodes]
