"""Boards as they describe themselves in /proc and /sys."""

from __future__ import annotations

import platform

import pytest

import runtime
from runtime import board


@pytest.fixture
def machine(tmp_path):
    """A function that writes files of /proc and /sys, text by name, and gives their root."""

    def write(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write


def processors(*parts, implementer="0x41"):
    block = "processor\t: {}\nBogoMIPS\t: 108.00\nCPU implementer\t: {}\nCPU part\t: {}\n"
    return "\n".join(block.format(number, implementer, part) for number, part in enumerate(parts))


def test_raspberry_pi(machine):
    cpu = "sys/devices/system/cpu/cpu{}/cpufreq/{}"
    files = {
        "proc/cpuinfo": processors("0xd08", "0xd08", "0xd08", "0xd08") + "\nRevision\t: c03112\nModel\t: other\n",
        "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.2\0",
        cpu.format(0, "scaling_governor"): "ondemand\n",
    }
    root = machine(files | {cpu.format(i, "cpuinfo_max_freq"): "1800000\n" for i in range(4)})
    assert board.model(root) == "Raspberry Pi 4 Model B Rev 1.2"
    assert board.cores(root) == "4 x Cortex-A72 1800 MHz, ondemand"


def test_big_and_little_cores_and_unknown_ones(machine):
    root = machine({"proc/cpuinfo": processors("0xd05", "0xd05", "0xd0b", "0xfff") + "\nHardware\t: Board X\n"})
    assert board.model(root) == "Board X"
    assert board.cores(root) == "2 x Cortex-A55 + 1 x Cortex-A76 + 1 x Arm part 0xfff"
    assert board.cores(machine({"proc/cpuinfo": processors("0x001", implementer="0x51")})) == "1 x part 0x51:0x1"


def test_pc(machine):
    core = "processor\t: {}\nmodel name\t: Some CPU @ 2 GHz\n"
    root = machine({"proc/cpuinfo": core.format(0) + "\n" + core.format(1)})
    assert board.cores(root) == "2 x Some CPU @ 2 GHz"


def test_machine_that_says_nothing(tmp_path):
    assert board.model(tmp_path) == platform.machine()
    assert board.cores(tmp_path).endswith(" cores")


def test_describe_and_line():
    parts = board.describe()
    assert len(parts) == 4
    assert platform.machine() in parts[2]
    assert runtime.__version__ in parts[3]
    assert board.line(["a |  b\nc", " ", "d"]) == "a / b c | d"
    assert "\n" not in board.line(parts)
