"""The core owns no memory, prints nothing, ends nothing: shown by the symbols it needs from elsewhere."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

SRC = Path(__file__).resolve().parents[2] / "runtime" / "engine" / "src"
ALLOWED = {
    *("memcpy", "memmove", "memset", "memcmp", "strlen", "strcmp", "strncmp", "memchr"),
    *("getauxval", "__cpu_model", "__cpu_indicator_init", "__stack_chk_fail", "_GLOBAL_OFFSET_TABLE_"),
}
HELPERS = r"fg_|__\w+[sdt]i\d?$|__aeabi_"  # our own, and the compiler's arithmetic
MATHS = {"fmaf", "fma", "floorf", "floor", "ceilf", "truncf", "rintf", "nearbyintf", "sqrtf", "fmodf", "lrintf"}


@pytest.fixture(scope="module")
def objects(tmp_path_factory) -> list[Path]:
    compiler, nm = shutil.which("cc"), shutil.which("nm")
    if not compiler or not nm:
        pytest.skip("needs cc and nm")
    folder = tmp_path_factory.mktemp("core")
    built = []
    for source in sorted(SRC.rglob("*.c")):
        if "threads" in source.parts:
            continue
        target = folder / ("-".join(source.relative_to(SRC).parts) + ".o")
        # -O0, so that no call is optimised away; not PIC, so that constant tables of pointers count as constant
        subprocess.run(
            [compiler, "-std=c11", "-DNDEBUG", "-O0", "-fno-pic", "-fno-pie", "-c", source, "-o", target], check=True
        )
        built.append(target)
    return built


def symbols(path: Path, *options: str) -> set[str]:
    listing = subprocess.run(["nm", *options, path], capture_output=True, text=True, check=True).stdout
    return {line.split()[-1].partition("@")[0] for line in listing.splitlines() if line.strip()}


def test_core_needs_no_heap_stdio_or_exit(objects):
    for path in objects:
        needed = {name for name in symbols(path, "-u") if not re.match(HELPERS, name)}
        assert needed <= ALLOWED | MATHS, path.name


def test_core_has_no_globals(objects):
    for path in objects:
        listing = subprocess.run(["nm", path], capture_output=True, text=True, check=True).stdout
        writable = [line for line in listing.splitlines() if line.split()[-2] in set("bBdDcCsS")]
        assert writable == [], path.name


def test_symbols_carry_the_prefix(objects):
    for path in objects:
        assert all(name.startswith("fg_") for name in symbols(path, "-g", "--defined-only")), path.name
