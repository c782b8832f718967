"""The C package: unpacked somewhere, found by CMake and by pkg-config, linked static and shared, run."""

from __future__ import annotations

import platform
import re
import shutil
import sys
import tarfile

import pytest

from .networks import TINY
from .tools import ROOT, TARGETS, run

NAMES = {"aarch64": "aarch64", "armv7": "armv7l", "host": "x86_64"}
# Debian's cross compilers: as a user who has never heard of the ones that built the package.
SYSROOTS = {"aarch64": "/usr/aarch64-linux-gnu", "armv7": "/usr/arm-linux-gnueabihf"}


@pytest.fixture(scope="module", params=list(NAMES))
def package(request, tmp_path_factory):
    """(target, folder the package was unpacked to, a C compiler, function that runs a program)."""
    target = request.param
    if target == "host" and platform.machine() != NAMES[target]:
        pytest.skip("the x86-64 package is tested on x86-64")
    compiler = "cc" if target == "host" else TARGETS[target].compiler
    for program in (compiler, "pkg-config"):
        if not shutil.which(program):
            pytest.skip(f"needs {program}")
    said = run(sys.executable, "-m", "cffi_build.package", "--target", NAMES[target]).splitlines()[-1]
    folder = tmp_path_factory.mktemp(target)
    with tarfile.open(next((ROOT / "dist").glob(f"framegate-*-linux-{NAMES[target]}.tar.gz"))) as archive:
        archive.extractall(folder)
    prefix = next(folder.iterdir())

    def execute(program, *arguments):
        libraries = f"LD_LIBRARY_PATH={prefix / 'lib'}"
        if target == "host":
            return run("env", libraries, program, *arguments)
        return run(TARGETS[target].emulator, "-L", SYSROOTS[target], "-E", libraries, program, *arguments)

    return target, prefix, compiler, execute, said


def figures(text):
    """What minimal.c printed, without addresses."""
    return re.sub(r" at \S+", "", text)


def test_cmake_and_pkg_config(package, tmp_path, proves):
    target, prefix, compiler, execute, said = package
    example = prefix / "share" / "framegate" / "examples"
    words = [f"-DCMAKE_PREFIX_PATH={prefix}", f"-DCMAKE_C_COMPILER={compiler}"]
    if target != "host":
        words += ["-DCMAKE_SYSTEM_NAME=Linux", f"-DCMAKE_SYSTEM_PROCESSOR={TARGETS[target].processor}"]
    run("cmake", "-S", example, "-B", tmp_path / "cmake", "-G", "Ninja", *words)
    run("cmake", "--build", tmp_path / "cmake")
    flags = run(
        "env", f"PKG_CONFIG_PATH={prefix / 'lib' / 'pkgconfig'}", "pkg-config", "--cflags", "--libs", "framegate"
    )
    run(compiler, example / "minimal.c", *flags.split(), "-o", tmp_path / "minimal")
    static, shared = (figures(execute(program, TINY)) for program in (tmp_path / "cmake/minimal", tmp_path / "minimal"))
    assert static == shared
    lines = static.splitlines()
    assert len(lines) == 10
    assert lines[0].endswith("0.0 % of MACs skipped")
    assert not lines[1].endswith(" 0.0 % of MACs skipped")
    proves(f"{target}: C package found by CMake (static) and pkg-config (shared), minimal.c runs; {said}")
