"""The report's two forms."""

from __future__ import annotations

import json

from converters.report import Report, describe
from runtime.reference.graph import Activation, SkipKind


def test_describe(network) -> None:
    n = network()
    facts = describe(n.finish(n.unary(n.conv("x", 2, bias=False), Activation.RELU)))
    assert facts["nodes"] == {"conv2d": 1, "unary": 1}
    assert (facts["macs"], facts["parameters"], facts["gated"]) == (180, 6, 0)
    assert facts["inputs"] == {"x": "float32 (1, 3, 6, 5), threshold 0 grey levels"}
    assert facts["outputs"] == {"unary1": "float32 (1, 2, 6, 5)"}


def test_both_forms(network) -> None:
    n = network()
    facts = describe(n.finish(n.conv("x", 2)))
    report = Report(
        "net", "net.fgm", 1024, **facts, alpha=0.1, alpha_reason="0 of 0", passes=[("fold_pad", 3, 1)], check=1e-7
    )
    text = str(report)
    assert "fold_pad 3 > 1" in text
    assert "relative error 1.0e-07" in text
    assert "1 conv2d" in text
    assert json.loads(report.to_json())["macs"] == 180


def test_skip_gates_are_listed_by_kind(network) -> None:
    n = network()
    y = n.skip_conv("x", 2, kind=SkipKind.NORM_INPUT, eps=0.5)
    facts = describe(n.finish(n.skip_conv(n.conv(y, 3), 2, kind=SkipKind.NORM_INPUT, eps=0.5)))
    text = str(Report("net", "net.fgm", 1024, **facts, alpha=None, alpha_reason="no gates"))
    assert "gates       2 of 3 nodes\n" in text
    assert "skip gates  norm_input eps 0.5, residual, reference last: conv2d0, conv2d2\n" in text
