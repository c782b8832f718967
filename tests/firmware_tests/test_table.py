"""The table of instructions beside other engines: which rows CPU models share, and what is compared with what."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("fcntl")

from firmware_tests.counting import table

FIGURES = {
    "ultraface": {
        "framegate": {"framegate": 50.0, "fma": 25.0, "square": 20.0, "square / dense": 0.4, "work": 0.2},
        "cortex-a53": {"ncnn": 60.0, "ort": 80.0},
        "cortex-a72": {"ncnn": 40.0, "ort": 80.0},
        "cortex-a76": {"ncnn": 40.02},
    }
}


def test_cpus_with_like_counts_share_a_row():
    found = list(table.rows(FIGURES, "ultraface"))
    assert [cpus for cpus, _ in found] == [["cortex-a53"], ["cortex-a72", "cortex-a76"]]
    assert [row["ncnn"] for _, row in found] == [60.0, 40.0]
    assert found[1][1]["ort"] == 80.0


def test_a_row_compares_with_ncnn_and_with_the_best():
    title, _, little, big = table.report(FIGURES)
    names = [word.strip() for word in title.split("|")]
    cells = dict(zip(names, (word.strip() for word in little.split("|")), strict=True))
    assert (cells["CPU"], cells["framegate"], cells["MNN"]) == ("A53", "50.0", "-")
    assert (cells["dense / ncnn"], cells["dense / best"], cells["10 % / best"]) == ("0.83", "0.83", "0.33")
    assert (cells["of own dense"], cells["of the work"]) == ("0.400", "0.200")
    assert "| A72, A76 |" in big
    assert "| 1.25 | 1.25 |" in big


def test_the_documents_table_is_renewed():
    lines = list(table.report(FIGURES))
    old = [lines[0] + " more |", lines[1], "| ultraface | A53 | 1 |"]
    other = "| network | bytes |\n|---|---|\n"
    text = "\n".join(["before", "", *old, "", "after", "", other])
    assert table.renewed(text, lines) == text.replace("\n".join(old), "\n".join(lines))
    assert "| 1 |" not in table.renewed(text, lines)


def test_the_documents_table_is_what_was_counted():
    figures = json.loads(table.FILE.read_text())
    text = table.DOCUMENT.read_text()
    assert table.renewed(text, list(table.report(figures))) == text
