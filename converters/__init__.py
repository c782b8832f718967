"""Converts networks to `.fgm` files: ``report = converters.convert("net.onnx", "net.fgm")``."""

from .conversion import convert, export_onnx
from .importers.torch_skip import load_gated
from .report import Report

__all__ = ["Report", "convert", "export_onnx", "load_gated"]
