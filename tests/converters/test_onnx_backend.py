"""Conformance: onnx's own backend tests, each imported, optimised, written, and run by the engine and in NumPy.

The cases come with the onnx package: one node per operator, attribute and opset, with inputs and expected outputs. What
cannot be run is skipped for a named reason, and the counts are frozen for the onnx release they were taken with.
"""

from __future__ import annotations

import collections
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.version_converter
import pytest
from onnx import helper, numpy_helper
from onnx.backend.test.loader import load_model_tests

import runtime
from converters.conversion import run_passes
from converters.importers.onnx import OLDEST_OPSET, import_onnx
from converters.importers.onnx_node import HANDLERS
from converters.passes import GatePolicy
from converters.writer import to_bytes
from runtime.reference.errors import UnsupportedError
from runtime.reference.graph import GateNorm, Graph

Arrays = dict[str, np.ndarray]

COUNTED_WITH = "1.23.2"
PASSED = 1230
SKIPPED: dict[str, int] = {
    "AveragePool: its input has 3 spatial dimensions; one and two are supported": 9,
    "BatchNormalization: it is in training mode": 2,
    "Conv: its input has 3 spatial dimensions; one and two are supported": 7,
    "Conv: its input has a batch of 2": 20,
    "ConvTranspose: its input has 3 spatial dimensions; one and two are supported": 1,
    "Dropout: it is in training mode": 6,
    "Einsum: a diagonal in equation '...ii->...i' is not supported": 1,
    "LayerNormalization: its statistics outputs are used": 19,
    "LpPool: its input has 3 spatial dimensions; one and two are supported": 1,
    "MaxPool: its Indices output is used": 2,
    "MaxPool: its input has 3 spatial dimensions; one and two are supported": 7,
    "MaxPool: its input has shape (1, 1, 220000); sides up to 65536 are supported": 1,
    "NaN or infinity in a frame": 99,
    "ONNX Runtime takes the rounded size, and so do we": 2,
    "Pad: its constant value (input 2) is computed while running": 16,
    "ScatterElements: it combines its updates with the data": 4,
    "ScatterND: it combines its updates with the data": 6,
    "Split: sizes [8, 0] do not split an axis of 8": 10,
    "a sequence or an optional value": 29,
    "a type NumPy does not have": 126,
    "an empty tensor": 27,
    "expected numbers are rounded to four digits": 1,
    "no input": 28,
    "no operator Acos": 2,
    "no operator Acosh": 2,
    "no operator Asin": 2,
    "no operator Asinh": 2,
    "no operator Atan": 2,
    "no operator Atanh": 2,
    "no operator Attention": 13,
    "no operator BitCast": 10,
    "no operator BitShift": 28,
    "no operator BitwiseAnd": 4,
    "no operator BitwiseNot": 3,
    "no operator BitwiseOr": 4,
    "no operator BitwiseXor": 4,
    "no operator CausalConvWithState": 2,
    "no operator Col2Im": 5,
    "no operator Compress": 4,
    "no operator ConvInteger": 2,
    "no operator Cos": 2,
    "no operator Cosh": 2,
    "no operator CumProd": 9,
    "no operator DFT": 10,
    "no operator DeformConv": 4,
    "no operator DequantizeLinear": 6,
    "no operator Det": 2,
    "no operator DynamicQuantizeLinear": 3,
    "no operator GRU": 6,
    "no operator Gradient": 2,
    "no operator GridSample": 18,
    "no operator If": 1,
    "no operator ImageDecoder": 9,
    "no operator LSTM": 6,
    "no operator LinearAttention": 9,
    "no operator Loop": 1,
    "no operator MatMulInteger": 1,
    "no operator MaxUnpool": 2,
    "no operator MelWeightMatrix": 1,
    "no operator NegativeLogLikelihoodLoss": 34,
    "no operator NonMaxSuppression": 10,
    "no operator NonZero": 1,
    "no operator OptionalGetElement": 1,
    "no operator QLinearConv": 1,
    "no operator QLinearMatMul": 8,
    "no operator QuantizeLinear": 10,
    "no operator RNN": 6,
    "no operator RandomUniformLike": 6,
    "no operator ReverseSequence": 2,
    "no operator RoiAlign": 3,
    "no operator STFT": 2,
    "no operator Scan": 23,
    "no operator SequenceConstruct": 4,
    "no operator SequenceInsert": 1,
    "no operator Sin": 2,
    "no operator Sinh": 2,
    "no operator SplitToSequence": 2,
    "no operator Tan": 2,
    "no operator TensorScatter": 3,
    "no operator TfIdfVectorizer": 7,
    "no operator TopK": 7,
    "no operator Unique": 6,
    "operators of another domain only": 10,
    "strings or complex numbers": 32,
}

# Inputs behind the first are frames as well; of all other operators they are parameters, and become constants.
SEVERAL_FRAMES = frozenset(
    """Add And Attention BitShift BitwiseAnd BitwiseOr BitwiseXor CastLike Clip Concat Div Einsum Equal Gemm Greater
    GreaterOrEqual Less LessOrEqual MatMul Max Mean Min Mod Mul Or Pow Sub Sum Where Xor""".split()  # noqa: SIM905
)
# Of these the first is a parameter too.
NO_FRAMES = frozenset({"ConstantOfShape", "Range", "HannWindow", "HammingWindow", "BlackmanWindow"})
# With batch B these compute B independent results along axis 0.
PER_BATCH = frozenset(
    """AveragePool BatchNormalization Conv ConvTranspose DepthToSpace GlobalAveragePool GlobalLpPool GlobalMaxPool
    GroupNormalization InstanceNormalization LRN LpPool MaxPool SpaceToDepth""".split()  # noqa: SIM905
)
HANDLED = {name for domain, name in HANDLERS if domain == ""}
DIFFERENT = {  # cases whose expectation is not ours
    "test_averagepool_2d_ceil_last_window_starts_on_pad": "expected numbers are rounded to four digits",
    "test_resize_downsample_scales_linear_align_corners": "ONNX Runtime takes the rounded size, and so do we",
    "test_resize_downsample_scales_cubic_align_corners": "ONNX Runtime takes the rounded size, and so do we",
}


STORED = "stored"  # cases of several operators that lie on disk


class Skip(Exception):  # noqa: N818 - not an error
    """Why a case is not run."""


@dataclass
class Case:
    """A single-node model (or its expansion into simpler operators) with one set of data."""

    name: str
    op: str
    model: onnx.ModelProto
    inputs: list[Any]
    outputs: list[Any]


def stored_cases(kind: str) -> Iterator[tuple[str, onnx.ModelProto, list[Any], list[Any]]]:
    """Cases that lie on disk as protobufs."""
    for case in load_model_tests(kind=kind):
        folder = Path(case.model_dir)
        model = onnx.load(folder / "model.onnx")
        data = folder / "test_data_set_0"
        arrays: list[list[Any]] = []
        for side, values in (("input", model.graph.input), ("output", model.graph.output)):
            arrays.append([])
            for i, item in enumerate(values):
                file = data / f"{side}_{i}.pb"
                tensor = item.type.HasField("tensor_type") and file.exists()
                arrays[-1].append(numpy_helper.to_array(onnx.load_tensor(file)) if tensor else None)
        yield case.name, model, arrays[0], arrays[1]


def collect() -> list[Case]:
    """All cases; an expansion takes its operator's name from the case it expands."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        generated = load_model_tests(kind="node")
    result, ops = [], {}
    for case in generated:
        nodes = case.model.graph.node
        origin = case.name.split("_expanded")[0]
        op = ops.get(origin, nodes[-1].op_type)
        if "_expanded" not in case.name:
            ops[case.name] = op
        inputs, outputs = case.data_sets[0]
        result.append(Case(case.name, op, case.model, list(inputs), list(outputs)))
    for kind in ("simple", "pytorch-converted", "pytorch-operator"):
        for name, model, inputs, outputs in stored_cases(kind):
            result.append(Case(name, STORED, model, inputs, outputs))
    return sorted(result, key=lambda case: case.name)


def checked(array: Any, what: str) -> np.ndarray:
    """The array, if it is one the engine could take or give."""
    array = plain(array)
    if array.dtype.kind not in "biuf":
        raise Skip("strings or complex numbers" if array.dtype.kind in "USOc" else "a type NumPy does not have")
    if array.size == 0:
        raise Skip("an empty tensor")
    if what == "frame" and not np.isfinite(array.astype(np.float32)).all():
        raise Skip("NaN or infinity in a frame")
    return array


def plain(value: Any) -> np.ndarray:
    """A tensor as an array."""
    if isinstance(value, onnx.TensorProto):
        return numpy_helper.to_array(value)
    if not isinstance(value, np.ndarray | np.generic):
        raise Skip("a sequence or an optional value")
    return np.asarray(value)


def split_inputs(case: Case) -> tuple[Arrays, Arrays, list[Any]]:
    """Running inputs, parameters, and expected outputs; where possible one entry of a batch."""
    known = {item.name for item in case.model.graph.initializer}
    if not all(item.type.HasField("tensor_type") for item in case.model.graph.input):
        raise Skip("a sequence or an optional value")
    values = dict(zip((item.name for item in case.model.graph.input), case.inputs, strict=False))
    names = [name for name in values if name not in known]
    stored = case.op == STORED
    integers = [name for name in names if stored and plain(values[name]).dtype.kind == "i"]
    frames = (
        [name for name in names if name not in integers]
        if stored or case.op in SEVERAL_FRAMES
        else []
        if case.op in NO_FRAMES
        else names[:1]
    )
    feeds = {name: checked(values[name], "frame") for name in frames}
    parameters = {name: plain(values[name]) for name in names if name not in feeds}
    outputs = [plain(value) for value in case.outputs]
    ops = {node.op_type for node in case.model.graph.node}
    if case.op in PER_BATCH or (stored and ops & PER_BATCH and len(feeds) == 1):
        feeds = {name: array[:1] for name, array in feeds.items()}
        outputs = [array[:1] for array in outputs]
    return feeds, parameters, [checked(array, "output") for array in outputs]


def specialised(case: Case, feeds: Arrays, parameters: Arrays) -> tuple[onnx.ModelProto, Arrays]:
    """The model with parameters as initializers and inputs of fixed shape; batches enter flattened to a matrix."""
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    graph, inputs, entered = model.graph, {item.name: item for item in model.graph.input}, {}
    del graph.input[:], graph.value_info[:]
    for name, array in feeds.items():
        batch = array.ndim > 3 and array.shape[0] != 1
        entry, shape = (f"{name}:flat", (array.shape[0], array[0].size)) if batch else (name, array.shape)
        kind = inputs[name].type.tensor_type.elem_type
        graph.input.append(helper.make_tensor_value_info(entry, kind, shape))
        entered[entry] = array.reshape(shape)
        if batch:
            graph.initializer.append(numpy_helper.from_array(np.array(array.shape), f"{name}:shape"))
            graph.node.insert(0, helper.make_node("Reshape", [entry, f"{name}:shape"], [name]))
    graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in parameters.items())
    return model, entered


def imported(case: Case, model: onnx.ModelProto) -> Graph:
    """The engine graph, or why there is none."""
    try:
        return import_onnx(model)
    except UnsupportedError as error:
        problems = str(error).splitlines()[1:] or [str(error)]
    first = problems[0]
    if " has opset " in first:
        raise Skip("operators of another domain only")
    wrong = [
        line for line in problems if not re.match(r"  - \w+ \(domain \S+, version \S+\) .+: .+\. Remedy: .+", line)
    ]
    assert not wrong, wrong
    op, reason = first.split()[1], first.split(": ", 1)[1].split(". Remedy")[0]
    raise Skip(f"{op}: {reason}" if op in HANDLED else f"no operator {op}")


def run(case: Case) -> None:
    """Compares a case with both backends.

    Raises:
        Skip: it cannot be run, and why.
    """
    if case.name in DIFFERENT:
        raise Skip(DIFFERENT[case.name])
    opset = next((item.version for item in case.model.opset_import if item.domain in ("", "ai.onnx")), 0)
    if 0 < opset < OLDEST_OPSET:  # as the message advises
        try:
            case = replace(case, model=onnx.version_converter.convert_version(case.model, 13))
        except RuntimeError as error:
            raise Skip(f"opset before {OLDEST_OPSET} that onnx cannot convert") from error
    feeds, parameters, outputs = split_inputs(case)
    if not feeds:
        raise Skip("no input")
    model, feeds = specialised(case, feeds, parameters)
    graph, _, _ = run_passes(imported(case, model), GatePolicy(False, None, GateNorm.L1, 1))
    loaded = runtime.Model.from_bytes(to_bytes(graph))
    for backend in ("engine", "numpy"):
        stream = runtime.Stream(loaded, gating=False, backend=backend)
        result = stream.push({info.name: frame(feeds[info.name], info) for info in loaded.inputs})
        for output, want in zip(model.graph.output, outputs, strict=True):
            compare(result[output.name], want, f"{case.name}, {backend}, output {output.name}")


def frame(array: np.ndarray, info: Any) -> np.ndarray:
    """A source tensor as a frame: images as (H, W, C), others in the source's own shape."""
    if array.ndim != 4:
        return array.astype(np.float32)
    rest = [axis for axis in range(array.ndim) if axis not in info.pixel_axes]
    moved = array.astype(np.float32).transpose(*info.pixel_axes, *rest)
    return np.ascontiguousarray(moved).reshape(info.height, info.width, info.channels)


def compare(got: np.ndarray, want: np.ndarray, what: str) -> None:
    """Shapes and integers equal, floats close."""
    assert got.shape == want.shape, f"{what}: shape {got.shape}, expected {want.shape}"
    if want.dtype.kind in "bui":
        np.testing.assert_array_equal(got.astype(want.dtype), want, err_msg=what)
        return
    relative = 1e-5 if want.dtype.itemsize >= 4 else 2e-3
    scale = np.abs(want[np.isfinite(want)].astype(np.float64)).max(initial=0)
    np.testing.assert_allclose(
        got.astype(np.float64), want.astype(np.float64), rtol=relative, atol=relative * max(scale, 1e-6), err_msg=what
    )


def outcome(case: Case) -> tuple[str, str]:
    """("passed", ""), ("skipped", why) or ("failed", how)."""
    try:
        run(case)
    except Skip as reason:
        return "skipped", str(reason)
    except Exception as error:
        return "failed", f"{case.name}: {type(error).__name__}: {error}"
    return "passed", ""


@pytest.fixture(scope="module")
def outcomes() -> dict[str, collections.Counter[str]]:
    """By outcome: how many cases have which text."""
    counts: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for case in collect():
            what, text = outcome(case)
            counts[what][text] += 1
    return counts


def test_what_runs_is_right(outcomes):
    assert not list(outcomes["failed"])


@pytest.mark.skipif(onnx.__version__ != COUNTED_WITH, reason=f"counted with onnx {COUNTED_WITH}")
def test_as_many_run_as_before(outcomes):
    assert dict(outcomes["skipped"]) == SKIPPED
    assert outcomes["passed"].total() == PASSED
