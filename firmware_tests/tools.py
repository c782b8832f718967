"""What the parts share: which programs come from which package, cross builds with CMake, running under QEMU."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENGINE = ROOT / "runtime" / "engine"
HERE = ROOT / "firmware_tests"
FOLDER = ROOT / "build" / "firmware"
# Programs and the Debian packages that bring them.
PACKAGES = {
    "qemu-aarch64": ["qemu-user"],
    "qemu-arm": ["qemu-user"],
    "qemu-system-arm": ["qemu-system-arm"],
    "qemu-system-aarch64": ["qemu-system-arm"],
    "aarch64-linux-gnu-gcc": ["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"],
    "arm-linux-gnueabihf-gcc": ["gcc-arm-linux-gnueabihf", "libc6-dev-armhf-cross"],
    "arm-none-eabi-gcc": ["gcc-arm-none-eabi"],
    "pkg-config": ["pkg-config"],
}


@dataclass(frozen=True)
class Target:
    """A machine to compile for. ``zig`` is the name of the same one for PyPI's ziglang, the fallback compiler."""

    processor: str
    compiler: str
    zig: str = ""
    flags: str = ""
    system: str = "Linux"
    emulator: str = ""


TARGETS = {
    "host": Target(platform.machine(), "cc", system=platform.system()),
    "aarch64": Target("aarch64", "aarch64-linux-gnu-gcc", "aarch64-linux-gnu.2.31", emulator="qemu-aarch64"),
    "armv7": Target("armv7l", "arm-linux-gnueabihf-gcc", "arm-linux-gnueabihf.2.31", emulator="qemu-arm"),
}
TARGETS |= {
    "bare32": Target("cortex", "arm-none-eabi-gcc", system="Generic"),
    "bare64": Target("aarch64", "aarch64-linux-gnu-gcc", flags="-U__linux__", system="Generic"),
}
CROSS = ["aarch64-linux-gnu-gcc", "arm-linux-gnueabihf-gcc"]
COMPILERS = {*CROSS, "arm-none-eabi-gcc"}


def found(program: str) -> bool:
    """Whether the program is there, or for a compiler its stand-in."""
    return bool(shutil.which(program)) or (program in COMPILERS and importlib.util.find_spec("ziglang") is not None)


def missing(programs: Iterable[str]) -> list[str]:
    """The programs that are not there."""
    return [name for name in programs if not found(name)]


def call(*command: str | Path, check: bool = True) -> int:
    """Prints and runs a command."""
    print("+", *command, flush=True)
    return subprocess.run([str(word) for word in command], check=check).returncode


def installed(programs: Iterable[str]) -> None:
    """Installs what is missing: with apt where this user may, else compilers from PyPI and a word about the rest."""
    lacking = missing(programs)
    packages = sorted({package for name in lacking for package in PACKAGES[name]})
    if not packages:
        return
    root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if shutil.which("apt-get") and (not root or subprocess.run([*root, "true"], check=False).returncode == 0):
        options = ["-qq", "-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=5"]
        quiet = [*root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
        call(*quiet, "update", *options, check=False)
        call(*quiet, "install", "-y", "--no-install-recommends", *options, *packages, check=False)
    if COMPILERS & set(missing(lacking)):
        call(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "ziglang", check=False)
        importlib.invalidate_caches()
    if missing(lacking):
        print(f"missing: {', '.join(missing(lacking))}. Debian: apt install {' '.join(packages)}", flush=True)


def compiler(target: Target) -> str:
    """CMake's CMAKE_C_COMPILER: a program, or a program and its arguments separated by semicolons."""
    path = shutil.which(target.compiler)
    return path or f"{sys.executable};-m;ziglang;cc;-target;{target.zig}"


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """Lets one process at a time make what ``name`` stands for in FOLDER: two parts run at once."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@functools.cache
def build(name: str, folder: str = "", source: Path = HERE, **options: str) -> Path:
    """Configures and builds with CMake for target ``name``; the folder. Builds are kept and brought up to date.

    ``options`` become -D definitions.
    """
    target = TARGETS[name]
    path = FOLDER / (folder or name)
    definitions = {
        "CMAKE_SYSTEM_NAME": target.system,
        "CMAKE_SYSTEM_PROCESSOR": target.processor,
        "CMAKE_C_COMPILER": compiler(target),
        "CMAKE_C_FLAGS": target.flags,
        "FG_WERROR": "ON",
    } | options
    words = ["-S", str(source), "-B", str(path), *(f"-D{key}={value}" for key, value in definitions.items())]
    with locked(path.name):
        stamp = path / "definitions"
        if stamp.exists() and stamp.read_text() != "\n".join(words):
            shutil.rmtree(path)  # CMake does not forget a compiler
        run("cmake", "-G", "Ninja", *words)
        stamp.write_text("\n".join(words))
        run("cmake", "--build", path, "-j2")
    return path


def run(*command: str | Path, timeout: float = 600) -> str:
    """A command's standard output; an assertion with all it said where it fails."""
    words = [str(word) for word in command]
    result = subprocess.run(words, capture_output=True, text=True, timeout=timeout, check=False)
    assert result.returncode == 0, f"{words}\n{result.stdout[-6000:]}\n{result.stderr[-6000:]}"
    return result.stdout


def golden(lines: str) -> list[dict[str, int | str]]:
    """What app/golden.c printed, a dictionary per network, reduced to what is the same on every machine."""
    same = [f"{mode}{what}" for mode in ("dense", "exact", "gated") for what in ("", "_masks", "_macs")]
    return [{name: line[name] for name in same} for line in map(json.loads, lines.splitlines())]
