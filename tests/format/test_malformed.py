"""Damaged files: each is refused with exactly this status and message; none makes the loader read outside the file."""

from __future__ import annotations

import functools
import re
import subprocess
from pathlib import Path

import pytest

from runtime.reference import format as fgm
from runtime.reference.format import DATA, NODES

from . import cases_file, cases_nodes, cases_skip
from .builder import File
from .conftest import Loader
from .damage import NET, N
from .networks import conv_only

CASES = cases_file.CASES | cases_nodes.CASES | cases_skip.CASES


def damaged(name: str) -> bytes:
    """The bytes of a case."""
    file = NET.build()
    data = CASES[name].mutate(file)
    return data if isinstance(data, bytes) else file.seal()


@pytest.mark.parametrize("name", CASES)
def test_damage(loader: Loader, name: str) -> None:
    outcome = loader.open(damaged(name)).outcome
    case = CASES[name]
    if isinstance(case.message, str):
        assert (outcome.status, outcome.message) == (case.status, case.message)
    else:
        assert outcome.status == case.status
        assert case.message.fullmatch(outcome.message)
    about = re.match(r"node (\d+)", outcome.message)
    assert outcome.node == (int(about[1]) if about else fgm.NONE)
    assert outcome.offset <= max(len(damaged(name)), 1)


def test_offset_is_that_of_the_field(loader: Loader) -> None:
    file = NET.build()
    file.put(NODES, N["pool"], "gate_block", 3)
    assert loader.open(file.seal()).outcome.offset == file.at(NODES, N["pool"], "gate_block")


def test_misaligned_memory(loader: Loader) -> None:
    outcome = loader.open(NET.build().seal(), misalign=4).outcome
    assert (outcome.status, outcome.message) == ("ARGUMENT", "file must start at a multiple of 8 bytes in memory")


def test_null_arguments(loader: Loader) -> None:
    assert loader.library.fg_model_open(None, None, 0, None) == 1
    assert loader.open(b"").outcome.status == "FORMAT"


def test_every_truncation(loader: Loader) -> None:
    data = conv_only().build().seal()
    for size in range(len(data)):
        assert loader.open(data[:size]).outcome.status == "FORMAT", size


@functools.cache
def mutants() -> list[bytes]:
    """Every bit of header and tables flipped, each with a checksum that fits."""
    whole = conv_only().build()
    sealed = whole.seal()
    files = []
    for position in range(whole.offsets[DATA]):
        for bit in range(8):
            file = File(bytearray(sealed), whole.offsets)
            file.data[position] ^= 1 << bit
            files.append(file.seal() if position >= 24 else bytes(file.data))
    return files


def test_every_bit_flip(loader: Loader) -> None:
    """Each opens or is refused with a message; what opens is one of the fields that may hold other numbers."""
    opened = 0
    for data in mutants():
        outcome = loader.open(data).outcome
        assert (outcome.status == "OK") == (outcome.message == "")
        opened += outcome.status == "OK"
    assert 0 < opened < 0.25 * len(mutants())


def test_replay_with_sanitizers(replay: Path, tmp_path: Path) -> None:
    """All damaged files, truncations and bit flips, where every byte read outside the file is seen."""
    whole = conv_only().build().seal()
    files = [damaged(name) for name in CASES] + [whole[:size] for size in range(len(whole))] + mutants()
    files.append(NET.build().seal())
    names = [f"{i:05}" for i in range(len(files))]
    for name, data in zip(names, files, strict=True):
        (tmp_path / name).write_bytes(data)
    result = subprocess.run([replay, *names], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"{len(files)} files\n"
