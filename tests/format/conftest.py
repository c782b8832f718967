"""Compiles the loader alone and calls it through ctypes: these tests need no built extension."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "runtime" / "engine" / "src"
LOADER = [SOURCE / "status.c", *sorted(SOURCE.glob("model*.c"))]
WARNINGS = [
    "-Wall",
    "-Wextra",
    "-Wconversion",
    "-Wshadow",
    "-Wstrict-prototypes",
    "-Wmissing-prototypes",
    "-Wvla",
    "-Wundef",
]
STATUSES = ["OK", "ARGUMENT", "FORMAT", "VERSION", "UNSUPPORTED", "MEMORY", "STATE"]


class ErrorRecord(ctypes.Structure):
    """fg_error."""

    _fields_ = (
        ("status", ctypes.c_int),
        ("node", ctypes.c_uint32),
        ("offset", ctypes.c_uint64),
        ("message", ctypes.c_char * 160),
    )


class OutputInfo(ctypes.Structure):
    """fg_output_info."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("dtype", ctypes.c_int),
        ("rank", ctypes.c_uint32),
        ("shape", ctypes.c_uint32 * 8),
        ("stride_bytes", ctypes.c_uint64 * 8),
        ("rows", ctypes.c_uint32),
        ("cols", ctypes.c_uint32),
    )


class InputInfo(ctypes.Structure):
    """fg_input_info."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        *((name, ctypes.c_uint32) for name in ("height", "width", "channels", "prepared", "resized")),
    )


class NodeInfo(ctypes.Structure):
    """fg_node_info."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("op", ctypes.c_char_p),
        *((name, ctypes.c_uint32) for name in ("rows", "cols", "channels", "gated")),
        ("macs", ctypes.c_uint64),
    )


@dataclass(frozen=True)
class Outcome:
    """What fg_model_open said."""

    status: str
    message: str
    node: int
    offset: int


class Opened:
    """A file in memory (copied to an address that is a multiple of 8) and what fg_model_open made of it."""

    def __init__(self, library: ctypes.CDLL, data: bytes, misalign: int = 0) -> None:
        self.library = library
        self.memory = (ctypes.c_uint64 * (len(data) // 8 + 2))()
        self.model = (ctypes.c_uint64 * 16)()
        address = ctypes.addressof(self.memory) + misalign
        ctypes.memmove(address, data, len(data))
        error = ErrorRecord()
        status = library.fg_model_open(
            self.model, ctypes.c_void_p(address), ctypes.c_size_t(len(data)), ctypes.byref(error)
        )
        assert status == error.status
        message = error.message.decode("ascii")
        self.outcome = Outcome(STATUSES[status], message, error.node, error.offset)

    def count(self, what: str) -> int:
        """Inputs, outputs or nodes."""
        return int(getattr(self.library, f"fg_model_{what}_count")(self.model))

    def info(self, what: str, index: int) -> ctypes.Structure:
        """Information about an input, output or node."""
        info = {"input": InputInfo, "output": OutputInfo, "node": NodeInfo}[what]()
        assert getattr(self.library, f"fg_model_{what}_info")(self.model, index, ctypes.byref(info)) == 0
        return info


class Loader:
    """The loader as a library."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self.library = library

    def open(self, data: bytes, misalign: int = 0) -> Opened:
        """Opens a copy of the bytes."""
        return Opened(self.library, data, misalign)


def compile_c(output: Path, sources: list[Path], *options: str) -> subprocess.CompletedProcess[str]:
    """Runs cc; skips the test where there is none."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    command = [compiler, "-std=c11", "-O1", "-g", *WARNINGS, *options, *map(str, sources), "-o", str(output)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="session")
def loader(tmp_path_factory: pytest.TempPathFactory) -> Loader:
    """The loader, compiled without a warning."""
    path = tmp_path_factory.mktemp("loader") / "loader.so"
    built = compile_c(path, LOADER, "-fPIC", "-shared")
    assert (built.returncode, built.stderr) == (0, "")
    return Loader(ctypes.CDLL(str(path)))


@pytest.fixture(scope="session")
def replay(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fuzz target of the loader as a program, with AddressSanitizer and UndefinedBehaviorSanitizer."""
    path = tmp_path_factory.mktemp("replay") / "replay"
    fuzz = ROOT / "tests" / "fuzz"
    options = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]
    built = compile_c(path, [fuzz / "replay.c", fuzz / "fuzz_model_open.c", *LOADER], *options)
    if built.returncode != 0 and "sanitize" in built.stderr + "".join(built.args):
        probe = path.with_suffix(".c")
        probe.write_text("int main(void) { return 0; }\n")
        if compile_c(path, [probe], *options).returncode != 0:
            pytest.skip("this compiler has no sanitizers")
    assert (built.returncode, built.stderr) == (0, "")
    return path
