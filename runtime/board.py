"""What machine this is, as far as it says so itself: timings of boards mean nothing without it."""

from __future__ import annotations

import os
import platform
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from . import _binding

# Arm's part numbers of the MIDR register, as /proc/cpuinfo gives them.
CORES = {
    0xC05: "Cortex-A5", 0xC07: "Cortex-A7", 0xC08: "Cortex-A8", 0xC09: "Cortex-A9", 0xC0D: "Cortex-A17",
    0xC0F: "Cortex-A15", 0xD03: "Cortex-A53", 0xD04: "Cortex-A35", 0xD05: "Cortex-A55", 0xD07: "Cortex-A57",
    0xD08: "Cortex-A72", 0xD09: "Cortex-A73", 0xD0A: "Cortex-A75", 0xD0B: "Cortex-A76", 0xD0C: "Neoverse-N1",
    0xD0D: "Cortex-A77", 0xD40: "Neoverse-V1", 0xD41: "Cortex-A78", 0xD42: "Cortex-A78AE", 0xD44: "Cortex-X1",
    0xD46: "Cortex-A510", 0xD47: "Cortex-A710", 0xD48: "Cortex-X2", 0xD49: "Neoverse-N2", 0xD4B: "Cortex-A78C",
    0xD4D: "Cortex-A715", 0xD4E: "Cortex-X3", 0xD80: "Cortex-A520", 0xD81: "Cortex-A720",
}  # fmt: skip
ARM = 0x41
MODELS = ("proc/device-tree/model", "sys/devices/virtual/dmi/id/product_name")


def describe(root: Path = Path("/")) -> list[str]:
    """What is known of the machine and of this build, in order: model, cores, kernels, versions.

    Args:
        root: where proc/ and sys/ are.
    """
    return [model(root), cores(root), kernels(), versions()]


def model(root: Path = Path("/")) -> str:
    """The board's name, such as "Raspberry Pi 4 Model B Rev 1.4"; else the kind of machine."""
    for name in MODELS:
        if text := _text(root / name):
            return text
    found = re.search(r"(?m)^(?:Model|Hardware)\s*: (.+)$", _text(root / "proc/cpuinfo"))
    return found[1] if found else platform.machine() or "unknown machine"


def cores(root: Path = Path("/")) -> str:
    """Cores by kind with their largest frequency, such as "4 x Cortex-A55 1800 MHz + 2 x Cortex-A76 2400 MHz"."""
    kinds: Counter[str] = Counter()
    for block in re.split(r"\n\s*\n", _text(root / "proc/cpuinfo")):
        fields = dict(re.findall(r"(?m)^([^\t:]+?)\s*: (.*)$", block))
        if "processor" in fields:
            kilohertz = _text(root / f"sys/devices/system/cpu/cpu{fields['processor']}/cpufreq/cpuinfo_max_freq")
            clock = f" {int(kilohertz) // 1000} MHz" if kilohertz.isdigit() else ""
            kinds[_core(fields) + clock] += 1
    known = " + ".join(f"{count} x {kind}" for kind, count in kinds.items()) or f"{os.cpu_count() or 1} cores"
    governor = _text(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    return f"{known}, {governor}" if governor else known


def _core(fields: dict[str, str]) -> str:
    """The kind of a core of /proc/cpuinfo."""
    if "CPU part" not in fields:
        return fields.get("model name", platform.machine() or "core").strip()
    implementer, part = int(fields.get("CPU implementer", "0"), 16), int(fields["CPU part"], 16)
    return CORES.get(part, f"Arm part {part:#x}") if implementer == ARM else f"part {implementer:#x}:{part:#x}"


def kernels() -> str:
    """The machine's architecture and the kernels chosen on it."""
    return f"{platform.machine()} {_binding.isa_name(_binding.BEST_ISA) if _binding.available() else 'numpy'}"


def versions() -> str:
    """What software the figures depend on."""
    libc = " ".join(platform.libc_ver())
    words = (f"{platform.system()} {platform.release()}", libc, f"Python {platform.python_version()}")
    return ", ".join(filter(str.strip, (f"framegate {_binding.version()}", *words, f"NumPy {np.__version__}")))


def line(parts: Sequence[str]) -> str:
    """All parts as one line."""
    return " | ".join(" ".join(part.replace("|", "/").split()) for part in parts if part.strip())


def _text(path: Path) -> str:
    """A file's text without the zero byte that ends device-tree strings; empty where it cannot be read."""
    try:
        return path.read_text("utf-8", errors="replace").strip("\0 \n")
    except OSError:
        return ""
