"""Imports a PyTorch module through PyTorch's own ONNX exporter; torch is needed only when this is called."""

from __future__ import annotations

import importlib
import io
from collections.abc import Sequence
from typing import Any

from runtime.reference.errors import ArgumentError
from runtime.reference.graph import Graph

from .onnx import import_onnx


def import_torch(module: Any, input_shape: Sequence[int] | Sequence[Sequence[int]]) -> Graph:
    """Imports a ``torch.nn.Module`` in evaluation mode.

    Args:
        module: the network; its training flag is restored.
        input_shape: shape of its input, such as (1, 3, 240, 320), or a list of shapes of several inputs.

    Raises:
        ArgumentError: torch cannot be imported, or the exporter refuses the module.
        UnsupportedError, FormatError: as ``import_onnx``.
    """
    try:
        torch = importlib.import_module("torch")
    except ImportError as error:
        raise ArgumentError(
            "converting a module needs torch: pip install torch, or export to ONNX elsewhere"
        ) from error
    shapes: list[Any] = [input_shape] if isinstance(input_shape[0], int) else list(input_shape)
    frames = tuple(torch.zeros(*shape) for shape in shapes)
    training = module.training
    buffer = io.BytesIO()
    try:
        module.eval()
        with torch.no_grad():
            torch.onnx.export(module, frames, buffer, opset_version=17, dynamo=False)
    except Exception as error:  # the exporter raises whatever the module makes it raise
        raise ArgumentError(f"torch.onnx.export cannot export {type(module).__name__}: {error}") from error
    finally:
        module.train(training)
    return import_onnx(buffer.getvalue())
