"""Machines without operating system, heap or C library: what the committed network gives there, and the memory it took.

What is built includes the compiler's own headers and board/include/string.h and links with nothing but libgcc.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass

import pytest

from .networks import EXPECTED, TINY
from .tools import build, golden


@dataclass(frozen=True)
class Board:
    """A machine of QEMU's, its memory and the kernels that suit it."""

    emulator: str
    machine: list[str]
    script: str
    isa: str
    build: dict[str, str]


WITH_M4F = {"name": "m4f", "START": "cortex_m.c", "BOARDS": "mps2;stm32f405"}
WITH_M7 = {"name": "m7", "START": "cortex_m.c", "BOARDS": "mps2"}
WITH_A7 = {"name": "a7", "START": "cortex_a32.S", "BOARDS": "virt"}
WITH_A53 = {"name": "a53", "START": "cortex_a64.S", "BOARDS": "virt"}
BOARDS = {
    "Cortex-M4F": Board("qemu-system-arm", ["mps2-an386"], "mps2", "ref", WITH_M4F),
    "STM32F405, 128 KB": Board("qemu-system-arm", ["netduinoplus2"], "stm32f405", "ref", WITH_M4F),
    "Cortex-M7": Board("qemu-system-arm", ["mps2-an500"], "mps2", "ref", WITH_M7),
    "Cortex-A7 with NEON": Board("qemu-system-arm", ["virt", "-cpu", "cortex-a7"], "virt", "neon", WITH_A7),
    "AArch64, Cortex-A53": Board("qemu-system-aarch64", ["virt", "-cpu", "cortex-a53"], "virt", "neon", WITH_A53),
}


STACK = {"mps2": 8 << 10, "stm32f405": 8 << 10, "virt": 32 << 10}  # bytes, as in board/*.ld


def boot(board: Board) -> str:
    """What the program prints through semihosting."""
    folder = build(**board.build, MODEL=str(TINY), CMAKE_TRY_COMPILE_TARGET_TYPE="STATIC_LIBRARY")
    semihosting = ["-semihosting-config", "enable=on,target=native"]
    quiet = ["-nographic", "-monitor", "none", "-serial", "none", "-nic", "none"]
    command = [board.emulator, "-M", *board.machine, *semihosting, *quiet, "-kernel", folder / f"golden_{board.script}"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, check=False)
    said = result.stderr + result.stdout  # semihosting writes to either, QEMU warns before it
    assert result.returncode == 0, f"{command}: {result.returncode}, {said}"
    return said.splitlines()[-1]


@pytest.mark.parametrize("name", list(BOARDS))
def test_a_machine_without_anything_gives_the_committed_outputs(name, proves):
    said = json.loads(boot(BOARDS[name]))
    line, memory = said["golden"], said["memory"]
    assert golden(json.dumps(line)) == [json.loads(EXPECTED.read_text())]
    assert line["isa"] == BOARDS[name].isa
    assert memory["stack_bytes"] < STACK[BOARDS[name].script], "the stack may have run into the arena"
    used = line["state_bytes"] + line["scratch_bytes"]
    assert used < memory["arena_bytes"]
    if "128 KB" in name:
        assert memory["arena_bytes"] < 128 << 10
    proves(
        f"{name}: outputs bit-equal to x86 ({line['isa']} kernels); network {memory['model_bytes']} bytes in flash, "
        f"state {line['state_bytes']}, scratch {line['scratch_bytes']}, stack {memory['stack_bytes']} bytes"
    )
