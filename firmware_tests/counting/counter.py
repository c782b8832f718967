"""Runs a program under QEMU with ``counter.c`` and reads what was counted."""

from __future__ import annotations

import bisect
import os
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..tools import FOLDER, TARGETS, run

HERE = Path(__file__).parent
CLASSES = ("fma", "vector", "load", "store", "branch", "other")  # as in counter.c
NM = {"aarch64": "aarch64-linux-gnu-nm", "armv7": "arm-linux-gnueabihf-nm"}


class NoPluginsError(Exception):
    """This QEMU takes no plugins: Debian 13's user mode is one."""


@dataclass
class Stretch:
    """What was executed between two marks: (guest address, host address, instructions by class) per block of code."""

    blocks: list[tuple[int, int, Counter[str]]] = field(default_factory=list)

    def total(self) -> Counter[str]:
        """Instructions by class."""
        return sum((counts for _, _, counts in self.blocks), Counter())

    def by_function(self, program: Path, target: str) -> dict[str, Counter[str]]:
        """Instructions by function and class; a static program's symbols tell them apart."""
        lines = [line.split() for line in run(NM[target], "-n", program).splitlines()]
        symbols = [(int(words[0], 16), words[2]) for words in lines
                   if len(words) == 3 and words[1] in "tTwWi" and not words[2].startswith("$")]  # fmt: skip
        starts = [start for start, _ in symbols]
        functions: dict[str, Counter[str]] = defaultdict(Counter)
        for guest, _, counts in self.blocks:
            functions[symbols[max(0, bisect.bisect_right(starts, guest) - 1)][1]] += counts
        return functions

    def by_file(self, maps: list[tuple[int, int, str]]) -> dict[str, Counter[str]]:
        """Instructions by mapped file and class."""
        files: dict[str, Counter[str]] = defaultdict(Counter)
        for _, host, counts in self.blocks:
            files[next((name for start, end, name in maps if start <= host < end), "?")] += counts
        return files


def plugin() -> Path:
    """The plugin, compiled if it is older than its source."""
    path = FOLDER / "counter.so"
    FOLDER.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.stat().st_mtime < (HERE / "counter.c").stat().st_mtime:
        run("cc", "-O2", "-Wall", "-Wextra", "-shared", "-fPIC", HERE / "counter.c", "-o", path)
    return path


def count(emulator: list[str], *command: str | Path) -> tuple[dict[int, Stretch], list[tuple[int, int, str]], str]:
    """(stretch that ends at each mark, mapped files, standard output) of ``command`` under ``emulator``.

    Raises:
        NoPluginsError: this QEMU has none. AssertionError: the program failed.
    """
    out = FOLDER / f"counted-{os.getpid()}.txt"
    words = [*emulator, "-plugin", f"{plugin()},out={out}", *map(str, command)]
    # pytest's own variable differs between set-up and test: its length moves the program's stack, and C libraries copy
    # by how addresses are aligned.
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    if not out.exists():
        raise NoPluginsError(f"{emulator[0]} takes no plugins: {done.stderr.strip()[-200:]}")
    assert done.returncode == 0, f"{words}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    marks: dict[int, Stretch] = {}
    maps = []
    lines = list(read(out))
    out.unlink()
    for words in lines:
        if words[0] == "mark":
            marks[int(words[1])] = current = Stretch()
        elif words[0] == "map":
            start, end = (int(address, 16) for address in words[1].split("-"))
            maps.append((start, end, Path(words[6]).name if len(words) > 6 else "?"))
        else:
            counts = Counter(dict(zip(CLASSES, map(int, words[2:]), strict=True)))
            current.blocks.append((int(words[0], 16), int(words[1], 16), counts))
    return marks, maps, done.stdout


def read(path: Path) -> Iterator[list[str]]:
    """A file's lines, as words."""
    with path.open() as file:
        for line in file:
            yield line.split()


def emulator(target: str, cpu: str) -> list[str]:
    """The command that runs a static program of ``target`` on a CPU model."""
    return [TARGETS[target].emulator, "-cpu", cpu]
