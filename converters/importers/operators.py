"""The table of supported operators in docs/converters.md, made from the registry of handlers.

``python -m converters.importers.operators docs/converters.md`` writes it anew; a test fails where it is stale.
"""

from __future__ import annotations

import sys
from pathlib import Path

from . import onnx  # noqa: F401 - registers the handlers
from .onnx_node import HANDLERS, REMEDIES

BEGIN, END = "<!-- operators: begin -->", "<!-- operators: end -->"
GROUPS = {  # module of the handlers: (title, limits); a module that is not here is titled by its name
    "onnx_conv": (
        "convolution, product, pool",
        "1-D and 2-D; constant weights (MatMul, Gemm: any); no indices of MaxPool",
    ),
    "onnx_einsum": ("einsum", "no diagonals"),
    "onnx_index": ("constant indices, masks", "constant indices, axes and depths; no reduction of ScatterND"),
    "onnx_elementwise": ("elementwise", "computed in float32, integers too; no strings or complex numbers"),
    "onnx_norm": ("normalisation", "inference only; batch norm with constant parameters"),
    "onnx_reduce": ("reduction, softmax", "constant axes"),
    "onnx_resize": ("resize", "all coordinate modes; nearest, linear, cubic, antialias; constant sizes"),
    "onnx_skip": ("Skip-Convolutions", "2-D; constant weights; docs/skipconv.md"),
    "onnx_shape": ("shape and data movement", "constant shapes, indices and pads"),
}


def support_table() -> str:
    """Markdown: the operators with a handler by group, then those that are refused and why."""
    operators: dict[str, list[str]] = {}
    for (domain, name), handler in HANDLERS.items():
        where = f" ({domain})" if domain else ""
        operators.setdefault(handler.__module__.rpartition(".")[2], []).append(name + where)
    reasons: dict[str, list[str]] = {}
    for name, (reason, _) in REMEDIES.items():
        reasons.setdefault(reason, []).append(name)
    lines = ["| group | operators | limits |", "|---|---|---|"]
    for module, names in sorted(operators.items()):
        title, limits = GROUPS.get(module, (module.removeprefix("onnx_"), ""))
        lines.append(f"| {title} | {', '.join(sorted(names))} | {limits} |")
    lines += ["", "| refused while running, fine where constant | because |", "|---|---|"]
    lines += [f"| {', '.join(sorted(names))} | {reason} |" for reason, names in reasons.items()]
    return "\n".join(lines)


def with_table(text: str) -> str:
    """A document with the table between its two markers brought up to date."""
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{support_table()}\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(with_table(path.read_text(encoding="utf-8")), encoding="utf-8")
