"""Tables as text and Markdown."""

from __future__ import annotations

import pytest

from runtime.tables import Table, show

TABLE = Table("title", ["name", "ms"], [["a", "1.00"], ["longer", "12.00"]], ["note"])


def test_text_aligns_labels_left_and_numbers_right():
    assert TABLE.text().splitlines() == ["title", "name       ms", "a        1.00", "longer  12.00", "note"]


def test_markdown():
    lines = TABLE.markdown().splitlines()
    assert lines[0] == "**title**"
    assert lines[2:5] == ["| name | ms |", "| --- | ---: |", "| a | 1.00 |"]
    assert lines[-1] == "note"


def test_show_separates_tables(capsys):
    show([TABLE, TABLE])
    assert capsys.readouterr().out.count("\n\ntitle\n") == 1
    show([TABLE], markdown=True)
    assert "| longer | 12.00 |" in capsys.readouterr().out


def test_show_on_a_terminal_takes_rich(capsys, monkeypatch):
    pytest.importorskip("rich")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    show([TABLE])
    text = capsys.readouterr().out
    assert "12.00" in text
    assert text.rstrip().endswith("note")
