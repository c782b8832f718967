"""Tables for people: plain text, Markdown, or rich's on a terminal that has it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from . import video


@dataclass
class Table:
    """A title, column heads, rows of cells as text, and notes below. The first ``labels`` columns are left-aligned."""

    title: str
    head: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    labels: int = 1

    def text(self) -> str:
        """The table in plain text."""
        lines = [self.head, *self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.head))]
        body = [
            "  ".join(
                c.ljust(w) if i < self.labels else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True))
            )
            for line in lines
        ]
        return "\n".join([self.title, *(line.rstrip() for line in body), *self.notes])

    def markdown(self) -> str:
        """The table in Markdown."""
        marks = ["---" if column < self.labels else "---:" for column in range(len(self.head))]
        lines = ["| " + " | ".join(line) + " |" for line in (self.head, marks, *self.rows)]
        return "\n".join([f"**{self.title}**", "", *lines, *(f"\n{note}" for note in self.notes)])


def show(tables: Sequence[Table], *, markdown: bool = False) -> None:
    """Prints tables to standard output, an empty line between them."""
    console: Any = None if markdown or not sys.stdout.isatty() else video.optional("rich.console")
    for index, table in enumerate(tables):
        if index:
            print()
        if console is None:
            print(table.markdown() if markdown else table.text())
            continue
        grid = video.required("cli", "a rich table", "rich.table").Table(title=table.title, title_justify="left")
        for column, name in enumerate(table.head):
            grid.add_column(name, justify="left" if column < table.labels else "right")
        for row in table.rows:
            grid.add_row(*row)
        console.Console().print(grid)
        print(*table.notes, sep="\n", end="\n" if table.notes else "")
