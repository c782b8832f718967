#!/usr/bin/env python3
"""The one entry point for developers: ``python build.py VERB``. Standard library only.

Every verb prints the commands it runs, so that they can be run without it. Unless a virtual environment is active, the
verbs make and use ``.venv``. Arguments a verb does not know go to the tool it calls.
(``python -m build`` finds this file instead of the PyPA tool: use ``python build.py wheel``.)
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent
BUILD = ROOT / "build"
WINDOWS = os.name == "nt"
AREAS = r"(engine|kernels(/\w+)?|format|runtime|converters(/\w+)?|cffi|firmware|build|tests|docs)"
FUZZERS = ROOT / "tests" / "fuzz"


def environment() -> Path:
    """The active virtual environment, else the project's own, which need not exist yet."""
    if "VIRTUAL_ENV" in os.environ:
        return Path(os.environ["VIRTUAL_ENV"])
    return Path(sys.prefix) if sys.prefix != sys.base_prefix else ROOT / ".venv"


def tool(name: str, folder: Path | None = None) -> Path:
    """A program of the virtual environment."""
    return (folder or environment()) / ("Scripts" if WINDOWS else "bin") / (name + (".exe" if WINDOWS else ""))


def paths() -> str:
    """PATH with the environment's programs first: CMake and Ninja may have been installed there."""
    return f"{tool('python').parent}{os.pathsep}{os.environ.get('PATH', '')}"


def find(name: str) -> str | None:
    """Full path of a program, or None."""
    return shutil.which(name, path=paths())


def run(*command: str | Path, cwd: Path = ROOT, check: bool = True, **variables: str) -> int:
    """Prints and runs a command; ends this program with its exit status if it fails and ``check`` is set."""
    words = [str(word) for word in command]
    print("+", *(f"{name}={value}" for name, value in variables.items()), shlex.join(words), flush=True)
    status = subprocess.run(words, cwd=cwd, env={**os.environ, "PATH": paths(), **variables}, check=False).returncode
    if status and check:
        sys.exit(f"build.py: {words[0]} ended with status {status}")
    return status


def stamp_of(*names: str) -> str:
    """Hash of the files that decide whether the environment must be set up again."""
    digest = hashlib.sha256(f"{tool('python')} {sys.version}".encode())
    for name in names:
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


@contextlib.contextmanager
def locked() -> Iterator[None]:
    """One build at a time in a checkout."""
    BUILD.mkdir(exist_ok=True)
    with (BUILD / "lock").open("w") as file:
        if not WINDOWS:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def install_requirements() -> None:
    """The environment, pip and the packages that a build without isolation needs."""
    python = tool("python")
    if not python.exists():
        print("+", sys.executable, "-m venv", environment(), flush=True)
        try:
            venv.create(environment(), with_pip=True)
        except (subprocess.CalledProcessError, OSError) as error:
            shutil.rmtree(environment(), ignore_errors=True)
            sys.exit(f"build.py: cannot make a virtual environment ({error}); Debian: apt install python3-venv")
    needed = ["scikit-build-core>=1.0", "cffi>=1.17"]
    needed += [f"{name}>={version}" for name, version in (("cmake", "3.18"), ("ninja", "1.10")) if not find(name)]
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *needed)


def develop(extra: str = "test") -> None:
    """Build the engine and install both packages editable, with all extras but torch."""
    with locked():
        stamp = BUILD / f"stamp-{sys.implementation.cache_tag}"
        folder = BUILD / str(sys.implementation.cache_tag)
        setup = stamp_of("pyproject.toml", "CMakeLists.txt")
        last = stamp.read_text().split() if stamp.exists() and (folder / "CMakeCache.txt").exists() else ["", ""]
        if last[0] == setup and last[1] in (extra, "test"):  # all extras are in test
            query = [str(tool("python")), "-c", "import sysconfig; print(sysconfig.get_path('platlib'))"]
            site = subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip()
            run(find("cmake") or "cmake", "--build", folder, "-j2")
            run(find("cmake") or "cmake", "--install", folder, "--prefix", site)
            return
        install_requirements()
        if last[0] != setup:
            shutil.rmtree(folder, ignore_errors=True)  # its cache may name tools that are gone
        run(tool("python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
            "--no-build-isolation", "-e", f".[{extra}]")  # fmt: skip
        stamp.write_text(f"{setup} {extra}")


def doctor(_: list[str]) -> None:
    """Say what is missing and how to get it."""
    header = Path(sysconfig.get_path("include")) / "Python.h"
    checks = [
        ("Python 3.10 or newer", sys.version_info >= (3, 10), "needed"),
        ("C compiler", any(map(find, ("cc", "gcc", "clang"))), "needed; Debian: apt install gcc libc6-dev"),
        ("Python.h", header.exists(), "needed for the engine; Debian: apt install python3-dev"),
        ("CMake", find("cmake"), "develop installs it from PyPI"),
        ("Ninja", find("ninja"), "develop installs it from PyPI"),
        ("C++ compiler", any(map(find, ("c++", "g++", "clang++"))), "optional, for one header test: apt install g++"),
        ("clang", find("clang"), "optional, for fuzzing: apt install clang"),
        ("AArch64 compiler", find("aarch64-linux-gnu-gcc"), "for firmware: apt install gcc-aarch64-linux-gnu"),
        ("Armv7 compiler", find("arm-linux-gnueabihf-gcc"), "for firmware: apt install gcc-arm-linux-gnueabihf"),
        ("QEMU user mode", find("qemu-aarch64"), "for firmware: apt install qemu-user"),
    ]
    for name, found, remedy in checks:
        where = f" ({found})" if isinstance(found, str) else ""
        print(f"  ok       {name}{where}" if found else f"  missing  {name}: {remedy}")
    print(f"virtual environment: {environment()}{'' if tool('python').exists() else ' (develop will make it)'}")


def demo(rest: list[str]) -> None:
    """Convert a network, stream a clip and show what was recomputed."""
    develop("convert,video,cli")
    run(tool("python"), "examples/demo.py", *rest)


def c_tests(*, sanitize: str = "") -> None:
    """Configure, build and run the C tests."""
    with locked():
        cmake = find("cmake") or "cmake"
        folder = BUILD / ("c-" + sanitize.replace(",", "-") if sanitize else "c")
        run(cmake, "-S", ".", "-B", folder, "-G", "Ninja", "-DFG_TESTS=ON", "-DFG_SHARED=ON", "-DFG_WERROR=ON",
            f"-DFG_SANITIZE={sanitize}", f"-DCMAKE_MAKE_PROGRAM={find('ninja')}")  # fmt: skip
        run(cmake, "--build", folder, "-j2")
        run(find("ctest") or "ctest", "--test-dir", folder, "--output-on-failure")


def test(rest: list[str]) -> None:
    """C tests, then pytest   [--sanitize address,undefined] [pytest's arguments]."""
    parser = argparse.ArgumentParser(prog="build.py test", add_help=False)
    parser.add_argument("--sanitize", default="")
    options, rest = parser.parse_known_args(rest)
    develop()
    c_tests(sanitize=options.sanitize)
    run(tool("python"), "-m", "pytest", *rest)


def bench(rest: list[str]) -> None:
    """Time the kernels, then networks beside other engines   [NET.fgm SOURCE, or what tests.networks.bench takes]."""
    develop()
    c_tests()
    run(BUILD / "c" / "test_kernels", "--bench")
    if rest and rest[0].endswith(".fgm"):
        run(tool("python"), "-m", "runtime", "bench", *rest)
    elif rest or "FRAMEGATE_ASSETS" in os.environ:
        run(tool("python"), "-m", "tests.networks.bench", *rest)
    else:
        run(tool("python"), "examples/demo.py", "--bench")


def lint(_: list[str]) -> None:
    """Check style, types and commit subjects."""
    develop()
    failures = run(tool("ruff"), "check", ".", check=False)
    failures += run(tool("ruff"), "format", "--check", ".", check=False)
    failures += run(tool("mypy"), check=False)
    tops = ("runtime/engine", "tests", "examples", "firmware_tests")
    sources = [path for top in tops for path in sorted((ROOT / top).rglob("*.[ch]"))]
    names = [path.relative_to(ROOT) for path in sources]
    failures += run(tool("clang-format"), "--dry-run", "--Werror", *names, check=False)
    for path in sources:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if len(line) > 120 or "\t" in line or line != line.rstrip():
                print(f"{path.relative_to(ROOT)}:{number}: over 120 columns, a tab or a space at the end")
                failures += 1
    failures += commit_subjects()
    if failures:
        sys.exit("build.py: lint found something")


def commit_subjects() -> int:
    """Number of recent commits whose subject is not ``area: what``, at most 60 characters, without a period."""
    log = subprocess.run(["git", "log", "-50", "--no-merges", "--format=%s"], cwd=ROOT, capture_output=True, text=True)
    wrong = [line for line in log.stdout.splitlines() if not re.fullmatch(AREAS + r": (?=.{1,60}$).*[^.]", line)
             or len(line) > 60]  # fmt: skip
    print(*(f"commit subject: {line}" for line in wrong), sep="\n", end="\n" if wrong else "")
    return len(wrong)


def firmware(rest: list[str]) -> None:
    """Prove the engine on Arm under QEMU; installs what it lacks   [--only PART ...] [pytest's arguments]."""
    develop()
    run(tool("python"), "-m", "firmware_tests", *rest)


def fuzz(rest: list[str]) -> None:
    """Build and run a fuzzer   TARGET [--replay FILES] [the fuzzer's arguments]."""
    targets = {path.stem.removeprefix("fuzz_"): path for path in sorted(FUZZERS.glob("fuzz_*.c"))}
    if not rest or rest[0] not in targets:
        sys.exit(f"build.py fuzz TARGET, one of: {', '.join(targets) or 'none yet'}")
    name, arguments = rest[0], rest[1:]
    replay = "--replay" in arguments or not find("clang")
    compiler = "cc" if replay else "clang"
    sources = sorted((ROOT / "runtime" / "engine" / "src").rglob("*.c"))
    program = BUILD / f"fuzz_{name}"
    BUILD.mkdir(exist_ok=True)
    sanitizers = "address,undefined" if replay else "address,undefined,fuzzer"
    run(compiler, "-g", "-O1", "-std=c11", "-ffp-contract=off", f"-fsanitize={sanitizers}",
        "-fno-sanitize-recover=all", "-Iruntime/engine/include", "-Iruntime/engine/src", targets[name],
        *([FUZZERS / "replay.c"] if replay else []), *sources, "-lm", "-lpthread", "-o", program)  # fmt: skip
    corpus = FUZZERS / "corpus" / name
    arguments = [word for word in arguments if word != "--replay"]
    if replay and not arguments:
        arguments = [str(path) for path in sorted(corpus.glob("*"))]
    run(program, *arguments, *([corpus] if corpus.exists() and not replay else []))


def wheel(rest: list[str]) -> None:
    """Build the abi3 wheel and try it   [--target x86_64|aarch64|armv7l: manylinux, cross-built]."""
    develop()
    run(tool("python"), "-m", "cffi_build.wheel", *rest)


def package(rest: list[str]) -> None:
    """Build the C package   [--target x86_64|aarch64|armv7l; else all three]."""
    develop()
    run(tool("python"), "-m", "cffi_build.package", *rest)


def ci(_: list[str]) -> None:
    """What CI runs: lint, test, firmware."""
    print("::: lint", flush=True)
    lint([])
    print("::: firmware", flush=True)
    firmware([])
    print("::: test", flush=True)
    test([])


VERBS = {
    "doctor": doctor,
    "develop": lambda _: develop(),
    "demo": demo,
    "test": test,
    "bench": bench,
    "lint": lint,
    "firmware": firmware,
    "fuzz": fuzz,
    "wheel": wheel,
    "package": package,
    "ci": ci,
}


def main() -> None:
    """Entry point: the verb, or the list of verbs."""
    if len(sys.argv) < 2 or sys.argv[1] not in VERBS:
        for name, verb in VERBS.items():
            print(f"python build.py {name:9}{((verb if name != 'develop' else develop).__doc__ or '').splitlines()[0]}")
        sys.exit(0 if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help") else 2)
    VERBS[sys.argv[1]]([word for word in sys.argv[2:] if word != "--"])


if __name__ == "__main__":
    main()
