from __future__ import annotations

from pathlib import Path

from converters.importers.onnx_node import HANDLERS, REMEDIES
from converters.importers.operators import support_table, with_table

PAGE = Path(__file__).resolve().parents[3] / "docs" / "converters.md"


def test_every_operator_is_listed_once():
    rows = [line.split(" | ") for line in support_table().splitlines()]
    listed = [name for row in rows for cell in row[:2] for name in cell.strip("| ").split(", ")]
    for domain, name in HANDLERS:
        assert listed.count(f"{name} ({domain})" if domain else name) == 1
    for name in REMEDIES:
        assert listed.count(name) == 1 + (("", name) in HANDLERS)


def test_the_table_in_the_documentation_is_current():
    text = PAGE.read_text(encoding="utf-8")
    assert with_table(text) == text, "run: python -m converters.importers.operators docs/converters.md"
