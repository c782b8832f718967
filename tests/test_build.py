"""The ways to build the engine besides build.py: a plain compiler, CMake with pkg-config, CMake's find_package."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ENGINE = ROOT / "runtime" / "engine"
HEADER_WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wpedantic", "-Werror")
PROGRAM = """#include <framegate.h>
#include <stdio.h>
int main(void)
{
    fg_model model;
    fg_error error;
    fg_pool_destroy(fg_pool_create(2));
    return puts(FG_VERSION_STRING) < 0 || fg_model_open(&model, "", 0, &error) == FG_OK;
}
"""


def run(*command: str | Path, cwd: Path | None = None) -> str:
    result = subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result.stdout.strip()


def needs(*programs: str) -> None:
    for name in programs:
        if not shutil.which(name):
            pytest.skip(f"needs {name}")


@pytest.fixture
def program(tmp_path) -> Path:
    path = tmp_path / "main.c"
    path.write_text(PROGRAM)
    return path


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    needs("cmake", "ninja", "cc")
    build, prefix = tmp_path_factory.mktemp("build"), tmp_path_factory.mktemp("prefix")
    options = ("-DCMAKE_BUILD_TYPE=Debug", f"-DCMAKE_INSTALL_PREFIX={prefix}", "-DCMAKE_INSTALL_LIBDIR=lib")
    run("cmake", "-S", ROOT, "-B", build, "-G", "Ninja", "-DFG_SHARED=ON", "-DFG_WERROR=ON", *options)
    run("cmake", "--build", build, "-j2")
    run("cmake", "--install", build)
    return prefix


@pytest.mark.parametrize(
    ("compiler", "standard", "language"), [("cc", "c11", "c"), ("c++", "c++17", "c++"), ("clang", "c11", "c")]
)
def test_header_compiles_alone(compiler, standard, language):
    needs(compiler)
    header = ENGINE / "include" / "framegate.h"
    run(compiler, f"-std={standard}", *HEADER_WARNINGS, "-fsyntax-only", "-x", language, header)


def test_plain_cc_links_all_sources(program, tmp_path):
    needs("cc")
    sources = sorted((ENGINE / "src").rglob("*.c"))
    run("cc", f"-I{ENGINE / 'include'}", program, *sources, "-lm", "-lpthread", "-o", tmp_path / "program")
    assert run(tmp_path / "program")


def test_find_package(installed, program, tmp_path):
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.18)\nproject(user C)\nfind_package(framegate REQUIRED)\n"
        "add_executable(user main.c)\ntarget_link_libraries(user PRIVATE framegate::framegate)\n"
    )
    run("cmake", "-S", tmp_path, "-B", tmp_path / "b", "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={installed}")
    run("cmake", "--build", tmp_path / "b")
    assert run(tmp_path / "b" / "user")


@pytest.mark.parametrize("library", ["libframegate.a", "libframegate.so"])
def test_pkg_config(installed, library, program, tmp_path):
    assert (installed / "lib" / library).exists()
    needs("pkg-config")
    pc = installed / "lib" / "pkgconfig" / "framegate.pc"
    flags = run("pkg-config", "--cflags", "--libs", pc).split()
    chosen = [f"-Wl,-rpath,{installed / 'lib'}"] if library.endswith(".so") else ["-static"]
    run("cc", program, *flags, *chosen, "-o", tmp_path / "user")
    assert run(tmp_path / "user")
