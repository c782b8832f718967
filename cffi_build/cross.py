"""Cross-compiling for the three Linux targets with zig from PyPI: one pinned compiler, nothing to install as root.

zig links against the symbols of a chosen glibc, so what it builds runs on systems as old as the tag of a wheel says.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "cross"
DIST = ROOT / "dist"
GLIBC = "2.17"
ZIG_NEON = "-mcpu=generic+v7a+neon+vfp4"  # for the kernels' files: zig takes no -mfpu
SYSTEM_LIBRARIES = {"libc.so.6", "libm.so.6", "libpthread.so.0", "ld-linux-armhf.so.3", "ld-linux-aarch64.so.1"}
GLUE = 30_000  # bytes that the extension may have more than the shared library: cffi's part
REQUIREMENTS = ("ziglang==0.17.1", "auditwheel>=6.2", "abi3audit>=0.0.20", "scikit-build-core>=1.0", "cffi>=1.17")


@dataclass(frozen=True)
class Target:
    """A machine to build for.

    Attributes:
        triple: zig's name of it.
        cpu: the least CPU, as zig names it; kernels beyond it are chosen at run time.
        machine: of its ELF files, as pyelftools names it.
        largest_engine: bytes that the stripped shared library may have. Frozen: raise it knowingly.
    """

    triple: str
    cpu: str
    machine: str
    largest_engine: int


TARGETS = {
    "x86_64": Target("x86_64-linux-gnu", "x86_64", "EM_X86_64", 400_000),
    "aarch64": Target("aarch64-linux-gnu", "generic", "EM_AARCH64", 300_000),
    # v7a brings NEON and its registers: not every core has them, and vectors flush subnormal numbers to zero
    "armv7l": Target("arm-linux-gnueabihf", "generic+v7a+vfp3d16-neon-d32", "EM_ARM", 320_000),
}


class BuildError(Exception):
    """A build failed, or gave something that must not be shipped."""


@dataclass(frozen=True)
class Library:
    """What is said about a shared library: see ``inspect``."""

    machine: str
    needed: frozenset[str]
    exported: frozenset[str]
    imported: frozenset[str]
    glibc: tuple[int, ...]
    stripped: bool


def run(*command: str | Path, cwd: Path = ROOT) -> None:
    """Prints and runs a command; the environment's programs come first.

    Raises:
        BuildError: it failed.
    """
    words = [str(word) for word in command]
    print("+", shlex.join(words), flush=True)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    status = subprocess.run(words, cwd=cwd, env={**os.environ, "PATH": path}, check=False).returncode
    if status:
        raise BuildError(f"{words[0]} ended with status {status}")


def install_tools() -> None:
    """The tools of REQUIREMENTS, and CMake and Ninja where they are missing, into this environment."""
    import fcntl  # there is none on Windows, where only the native wheel can be built

    missing = [name for name in ("cmake", "ninja") if not shutil.which(name)]
    BUILD.mkdir(parents=True, exist_ok=True)
    with (BUILD / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        run(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *REQUIREMENTS, *missing)
    importlib.invalidate_caches()


def zig() -> Path:
    """The zig program of the PyPI package.

    Raises:
        BuildError: it is not installed.
    """
    spec = importlib.util.find_spec("ziglang")
    if spec is None or spec.origin is None:
        raise BuildError("needs zig: pip install " + REQUIREMENTS[0])
    return Path(spec.origin).with_name("zig")


def toolchain(name: str) -> Path:
    """Writes the CMake toolchain file of a target; its path."""
    target = TARGETS[name]
    path = BUILD / name / "toolchain.cmake"
    lines = [
        "foreach(kind EXE SHARED MODULE)",
        '    set(CMAKE_${kind}_LINKER_FLAGS_INIT "-s -Wl,--gc-sections")',
        "endforeach()",
    ]
    words = f"{target.triple}.{GLIBC} -mcpu={target.cpu} -g0"
    return write_toolchain(path, "Linux", name, words, lines)


def write_toolchain(path: Path, system: str, processor: str, words: str, more: Iterable[str] = ()) -> Path:
    """Writes a CMake toolchain file for zig; ``words`` are its target's name and options. Returns the path."""
    lines = [
        f"set(CMAKE_SYSTEM_NAME {system})",
        f"set(CMAKE_SYSTEM_PROCESSOR {processor})",
        f'set(CMAKE_C_COMPILER "{zig()}" cc -target {words})',
        f'set(CMAKE_ASM_COMPILER "{zig()}")',
        f'set(CMAKE_ASM_COMPILER_ARG1 "cc -target {words}")',
        "set(CMAKE_ASM_COMPILER_ID Clang)",
        f'set(CMAKE_AR "{zig()}")',
        'set(CMAKE_C_ARCHIVE_CREATE "<CMAKE_AR> ar qcs <TARGET> <OBJECTS>")',
        'set(CMAKE_C_ARCHIVE_FINISH "")',
        f'set(FG_ARMV7_NEON {ZIG_NEON} CACHE STRING "zig takes no -mfpu")',
        *more,
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "\n".join(lines) + "\n"
    if not path.exists() or path.read_text() != text:  # else CMake would configure again
        path.write_text(text)
    return path


def python_headers(name: str) -> Path:
    """A copy of this Python's headers with the sizes of the target's types, good for the limited API; its folder.

    Raises:
        BuildError: this Python has no headers.
    """
    source, config = Path(sysconfig.get_path("include")), Path(sysconfig.get_config_h_filename())
    if not (source / "Python.h").exists():
        raise BuildError(f"{source} has no Python.h; Debian: apt install python3-dev")
    folder = BUILD / name / "include"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(source, folder)
    (folder / "pyconfig.h").write_text(sized_by_compiler(config.read_text(encoding="utf-8")))
    return folder


def sized_by_compiler(config: str) -> str:
    """The text of a pyconfig.h whose sizes that differ between 32 and 64 bits are the compiler's own."""
    pointer, long = "__SIZEOF_POINTER__", "__SIZEOF_LONG__"
    sizes = {
        "LONG": long,
        "PTHREAD_T": long,
        "TIME_T": long,
        "SIZE_T": pointer,
        "VOID_P": pointer,
        "UINTPTR_T": pointer,
    }
    for kind, size in sizes.items():
        config = re.sub(rf"(?m)^#\s*define SIZEOF_{kind} \d+$", f"#define SIZEOF_{kind} {size}", config)
    return config


def inspect(path: Path) -> Library:
    """What an ELF file is for, needs and offers."""
    from elftools.elf.elffile import ELFFile

    with path.open("rb") as file:
        elf: Any = ELFFile(file)
        names = {section.name for section in elf.iter_sections()}
        symbols = [symbol for symbol in elf.get_section_by_name(".dynsym").iter_symbols() if symbol.name]
        tags = elf.get_section_by_name(".dynamic").iter_tags("DT_NEEDED")
        versions = elf.get_section_by_name(".gnu.version_r")
        found = [aux.name for _, group in versions.iter_versions() for aux in group] if versions else []
        glibc = [tuple(map(int, name[6:].split("."))) for name in found if re.fullmatch(r"GLIBC_[\d.]+", name)]
        return Library(
            elf["e_machine"],
            frozenset(tag.needed for tag in tags),
            frozenset(symbol.name for symbol in symbols if symbol["st_shndx"] != "SHN_UNDEF"),
            frozenset(symbol.name for symbol in symbols if symbol["st_shndx"] == "SHN_UNDEF"),
            max(glibc, default=()),
            not any(section == ".symtab" or section.startswith(".debug") for section in names),
        )


def complaints(library: Library, name: str, exported: Iterable[str]) -> list[str]:
    """What is wrong with a shared library that should run on the target and offer only ``exported``."""
    allowed = tuple(map(int, GLIBC.split(".")))
    found = []
    if library.machine != TARGETS[name].machine:
        found.append(f"is for {library.machine}, not {TARGETS[name].machine}")
    if library.needed - SYSTEM_LIBRARIES:
        found.append(f"needs {', '.join(sorted(library.needed - SYSTEM_LIBRARIES))}")
    if library.glibc > allowed:
        found.append(f"needs glibc {'.'.join(map(str, library.glibc))}, more than {GLIBC}")
    if library.exported != set(exported):
        found.append(f"exports {', '.join(sorted(library.exported ^ set(exported)))} too many or too few")
    if not library.stripped:
        found.append("is not stripped")
    return found


def engine_functions() -> set[str]:
    """Names of the functions that framegate.h declares."""
    from .generate import HEADER, region

    return set(re.findall(r"^\w[\w ]*?[ *]+(fg_\w+)\(", region(HEADER.read_text(encoding="utf-8")), re.MULTILINE))
