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

from cffi_build import cross

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


BARE_GCC, HARD = "arm-none-eabi-gcc", "-mfloat-abi=hard"


@dataclass(frozen=True)
class Target:
    """A machine to compile for: with ``compiler`` and its ``flags``, else with PyPI's ziglang and its words for it.

    zig's C library of Linux programs is musl, since it cannot link glibc into static ones.
    """

    processor: str
    compiler: str
    flags: str = ""
    zig: str = ""
    system: str = "Linux"
    emulator: str = ""


TARGETS = {
    "host": Target(platform.machine(), "cc", system=platform.system()),
    "aarch64": Target("aarch64", "aarch64-linux-gnu-gcc", zig="aarch64-linux-musl", emulator="qemu-aarch64"),
    "armv7": Target(
        "armv7l",
        "arm-linux-gnueabihf-gcc",
        zig=f"arm-linux-musleabihf -mcpu={cross.TARGETS['armv7l'].cpu}",
        emulator="qemu-arm",
    ),
}
TARGETS |= {  # without operating system
    name: Target(processor, gcc, flags, f"{arch}-freestanding-{abi} -mcpu={cpu.replace('-', '_')}", "Generic")
    for name, (processor, gcc, arch, abi, cpu, flags) in {
        "m4f": (
            "cortex",
            BARE_GCC,
            "thumb",
            "eabihf",
            "cortex-m4",
            f"-mcpu=cortex-m4 -mthumb -mfpu=fpv4-sp-d16 {HARD}",
        ),
        "m7": ("cortex", BARE_GCC, "thumb", "eabihf", "cortex-m7", f"-mcpu=cortex-m7 -mthumb -mfpu=fpv5-d16 {HARD}"),
        "a7": ("cortex", BARE_GCC, "arm", "eabihf", "cortex-a7", f"-mcpu=cortex-a7 -marm -mfpu=neon-vfpv4 {HARD}"),
        "a53": ("aarch64", "aarch64-linux-gnu-gcc", "aarch64", "none", "cortex-a53", "-U__linux__"),
    }.items()
}
CROSS = ["aarch64-linux-gnu-gcc", "arm-linux-gnueabihf-gcc"]
COMPILERS = {*CROSS, "arm-none-eabi-gcc"}
ZIG = "FRAMEGATE_FIRMWARE_ZIG"  # set by --zig, for the parts, which are processes: zig even where others are there


def left_to_zig(program: str) -> bool:
    """Whether the program is a compiler that must not be used."""
    return program in COMPILERS and ZIG in os.environ


def located(program: str) -> str | None:
    """Path of a program of this machine's; None where there is none, or it is left to zig."""
    return None if left_to_zig(program) else shutil.which(program)


def found(program: str) -> bool:
    """Whether the program is there, or for a compiler its stand-in."""
    return bool(located(program)) or (program in COMPILERS and importlib.util.find_spec("ziglang") is not None)


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
    if not lacking:
        return
    packages = sorted({package for name in lacking if not left_to_zig(name) for package in PACKAGES[name]})
    root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    apt = packages and shutil.which("apt-get")
    if apt and (not root or subprocess.run([*root, "true"], check=False).returncode == 0):
        options = ["-qq", "-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=5"]
        quiet = [*root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
        call(*quiet, "update", *options, check=False)
        call(*quiet, "install", "-y", "--no-install-recommends", *options, *packages, check=False)
    if COMPILERS & set(missing(lacking)):
        zig = cross.REQUIREMENTS[0]
        call(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", zig, check=False)
        importlib.invalidate_caches()
    if missing(lacking):
        print(f"missing: {', '.join(missing(lacking))}. Debian: apt install {' '.join(packages)}", flush=True)


def compiler(target: Target) -> list[str]:
    """The C compiler: a program of this machine's, else zig with its arguments."""
    path = located(target.compiler)
    return [path] if path else [str(cross.zig()), "cc", "-target", *target.zig.split()]


def toolchain(name: str) -> dict[str, str]:
    """CMake's definitions that choose the compiler of a target."""
    target = TARGETS[name]
    if path := located(target.compiler):
        machine = {"CMAKE_SYSTEM_NAME": target.system, "CMAKE_SYSTEM_PROCESSOR": target.processor}
        return machine | {"CMAKE_C_COMPILER": path, "CMAKE_C_FLAGS": target.flags}
    path = cross.write_toolchain(FOLDER / f"{name}.cmake", target.system, target.processor, target.zig)
    return {"CMAKE_TOOLCHAIN_FILE": str(path)}


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
    definitions = toolchain(name) | {"FG_WERROR": "ON"} | options
    path = FOLDER / f"{folder or name}{'-zig' if 'CMAKE_TOOLCHAIN_FILE' in definitions else ''}"
    words = ["-S", str(source), "-B", str(path), *(f"-D{key}={value}" for key, value in definitions.items())]
    with locked(path.name):
        stamp, now = path / "definitions", "\n".join([*words, *compiler(TARGETS[name])])
        if stamp.exists() and stamp.read_text() != now:
            shutil.rmtree(path)  # CMake does not forget a compiler, nor its arguments
        run("cmake", "-G", "Ninja", *words, timeout=3600)  # the first time zig compiles its C library
        stamp.write_text(now)
        run("cmake", "--build", path, "-j2", timeout=3600)
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
