"""Imports a PyTorch module through PyTorch's own ONNX exporters; torch is needed only when this is called."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from runtime.reference.errors import ArgumentError
from runtime.reference.graph import Graph

from .onnx import import_onnx
from .skip import Description
from .torch_skip import marked, notes_on

OPSETS = {False: 17, True: 18}  # by exporter: the older one that traces, the newer one on torch.export ("dynamo")


def import_torch(
    module: Any, input_shape: Sequence[int] | Sequence[Sequence[int]], *, gates: Description | None = None
) -> Graph:
    """Imports a ``torch.nn.Module`` in evaluation mode; Skip-Convolutions in it keep their gates (docs/skipconv.md).

    Inputs are named as the arguments of ``forward``; outputs "output", "output_0", "output_1" and so on where there are
    several, or by the keys of a dictionary.

    Args:
        module: the network; it is left as it was.
        input_shape: shape of its input, such as (1, 3, 240, 320), or a list of shapes of several inputs.
        gates: gates of convolutions, by their paths in the module.

    Raises:
        ArgumentError: torch cannot be imported, the shape is none, ``gates`` does not fit, or no exporter takes the
            module.
        UnsupportedError, FormatError: as ``import_onnx``.
    """
    exported, notes = export_torch(module, input_shape, gates=gates)
    graph = import_onnx(exported)
    known = graph.metadata["notes"]
    graph.metadata["notes"] = [*notes, *(known if isinstance(known, list) else [])]
    return graph


def export_torch(
    module: Any, input_shape: Sequence[int] | Sequence[Sequence[int]], *, gates: Description | None = None
) -> tuple[bytes, list[str]]:
    """A module as an ONNX file, with framegate::SkipConv nodes for its Skip-Convolutions, and notes on those.

    Arguments and errors are those of ``import_torch``.
    """
    try:
        torch = importlib.import_module("torch")
    except ImportError as error:
        raise ArgumentError(
            "converting a module needs torch: pip install torch, or export to ONNX elsewhere"
        ) from error
    module = getattr(module, "_orig_mod", module)  # what torch.compile wraps
    like = next(module.parameters(), torch.zeros(()))
    frames = tuple(torch.zeros(shape, dtype=like.dtype, device=like.device) for shape in _shapes(input_shape))
    with marked(torch, module, gates) as (network, markers), _evaluating(network), torch.no_grad():
        return _exported(torch, network, frames, markers)


@contextlib.contextmanager
def _evaluating(module: Any) -> Iterator[None]:
    """Evaluation mode, then each submodule's own mode again."""
    training = [each for each in module.modules() if each.training]
    try:
        module.eval()
        yield
    finally:
        for each in training:
            each.training = True


def _shapes(given: Any) -> list[tuple[int, ...]]:
    """One shape per input."""
    try:
        several = [tuple(given)] if isinstance(given[0], int) else [tuple(shape) for shape in given]
        fine = all(shape and all(isinstance(size, int) and size > 0 for size in shape) for shape in several)
    except (TypeError, IndexError, KeyError):
        fine = False
    if not fine:
        raise ArgumentError(f"input_shape is {given!r}; it is a shape such as (1, 3, 240, 320), or a list of shapes")
    return several


def _exported(torch: Any, module: Any, frames: tuple[Any, ...], markers: list[Any]) -> tuple[bytes, list[str]]:
    """The module as ONNX, by the first exporter that takes it, and notes on its Skip-Convolutions."""
    kind = type(module).__name__
    try:
        result = module(*frames)
    except Exception as error:  # whatever the module raises
        shapes = [tuple(frame.shape) for frame in frames]
        raise ArgumentError(f"{kind} does not run on inputs of shapes {shapes}: {error}") from error
    notes = notes_on(markers)
    names = {"input_names": _input_names(module, len(frames)), "output_names": _output_names(torch, result)}
    refusals = []
    for dynamo, opset in OPSETS.items():
        buffer = io.BytesIO()
        for marker in markers:
            marker.exporter = "dynamo" if dynamo else "script"
        try:
            with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():  # it prints graphs on errors
                warnings.simplefilter("ignore", DeprecationWarning)
                torch.onnx.export(module, frames, buffer, opset_version=opset, dynamo=dynamo, verbose=False, **names)
            return buffer.getvalue(), notes
        except Exception as error:  # the exporters raise whatever the module makes them raise
            refusals.append(f"with dynamo={dynamo}: {error}")
    raise ArgumentError(f"torch.onnx.export cannot export {kind}, " + "\n".join(refusals))


def _input_names(module: Any, count: int) -> list[str] | None:
    """The names of the first arguments of ``forward``; None leaves them to the exporter."""
    try:
        arguments = list(inspect.signature(module.forward).parameters.values())[:count]
    except (TypeError, ValueError):
        return None
    plain = all(item.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD for item in arguments)
    return [item.name for item in arguments] if plain and len(arguments) == count else None


def _output_names(torch: Any, result: Any) -> list[str] | None:
    """Names for what the module gives; None leaves them to the exporter."""
    if torch.is_tensor(result):
        return ["output"]
    values = list(result.values()) if isinstance(result, Mapping) else result
    if not isinstance(values, (list, tuple)) or not all(torch.is_tensor(item) for item in values):
        return None
    if isinstance(result, Mapping):
        return [str(key) for key in result]
    return [f"output_{index}" for index in range(len(values))]
