"""Converts networks to `.fgm` files: ``report = converters.convert("net.onnx", "net.fgm")``."""

from .conversion import convert
from .report import Report

__all__ = ["Report", "convert"]
