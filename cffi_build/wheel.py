"""What ``python build.py wheel`` runs: an abi3 wheel for this machine, or checked manylinux wheels for other ones.

The former is tried in a fresh environment, the latter in one or under emulation (firmware_tests/test_python.py). What
is checked: the tag against the symbols the extension needs (auditwheel), the limited API (abi3audit), the target's
machine, that nothing but the module's entry is exported, that it is stripped, and the list of files.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

from . import cross

LARGEST_WHEEL = 700_000
TAG = "cp310-abi3-manylinux_" + cross.GLIBC.replace(".", "_")
EXTENSION = "runtime/_engine.abi3.so"


def build(name: str) -> Path:
    """Builds the wheel of a target into ``dist/``; its path."""
    folder = cross.BUILD / name
    tag = f"{TAG}_{name}"
    for old in cross.DIST.glob(f"*{tag}.whl"):
        old.unlink()
    options = {
        "build-dir": folder / "wheel",
        "wheel.tags": tag,
        "install.strip": "false",  # the linker did it
        "cmake.define.CMAKE_TOOLCHAIN_FILE": cross.toolchain(name),
        "cmake.define.Python_INCLUDE_DIR": cross.python_headers(name),
    }
    settings = [f"-C{key}={value}" for key, value in options.items()]
    cross.run(sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-build-isolation",
              "--no-deps", "-w", cross.DIST, *settings, cross.ROOT)  # fmt: skip
    return next(cross.DIST.glob(f"*{tag}.whl"))


def check(wheel: Path, name: str) -> str:
    """Checks a wheel; a line about it.

    Raises:
        BuildError: it must not be shipped; with all reasons.
    """
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(wheel) as archive:
            files = [info.filename for info in archive.infolist()]
            extension = Path(archive.extract(EXTENSION, folder))
        library = cross.inspect(extension)
        size = extension.stat().st_size
    wrong = [f"{EXTENSION} {text}" for text in cross.complaints(library, name, {"PyInit__engine"})]
    largest = cross.TARGETS[name].largest_engine + cross.GLUE
    if size > largest:
        wrong.append(f"{EXTENSION} has {size:,} bytes, more than {largest:,}")
    wrong += listing(files)
    if wheel.stat().st_size > LARGEST_WHEEL:
        wrong.append(f"the wheel has {wheel.stat().st_size} bytes, more than {LARGEST_WHEEL}")
    wrong += tools(wheel, name)
    if wrong:
        raise cross.BuildError(f"{wheel.name}:\n  " + "\n  ".join(wrong))
    glibc = ".".join(map(str, library.glibc))
    return f"{wheel.name}: {wheel.stat().st_size:,} bytes, extension {size:,}, needs glibc {glibc}"


def listing(files: list[str]) -> list[str]:
    """What is wrong with the names of a wheel's files."""
    allowed = (
        r"(runtime|converters)/.+\.(py|pyi)|runtime/py\.typed|runtime/_engine\.abi3\.so|framegate-[^/]+\.dist-info/.+"
    )
    wrong = [f"holds {file}" for file in files if not re.fullmatch(allowed, file)]
    wanted = (r"runtime/_engine\.abi3\.so", r"runtime/py\.typed", r"converters/__init__\.py", r".*/licenses/LICENSE")
    return wrong + [f"lacks {name}" for name in wanted if not any(re.fullmatch(name, file) for file in files)]


def tools(wheel: Path, name: str) -> list[str]:
    """What auditwheel has to say about the tag and abi3audit about Python's symbols."""
    wrong = []
    result = _said("auditwheel", "show", "--json", str(wheel))
    found = json.loads(result.stdout) if result.returncode == 0 else {}
    promised = f"manylinux_{cross.GLIBC.replace('.', '_')}_{name}"
    if found.get("overall_tag") != promised:
        wrong.append(f"auditwheel: not {promised}: {result.stdout}{result.stderr}")
    result = _said("abi3audit", "--strict", str(wheel))
    if result.returncode:
        wrong.append(f"abi3audit: {result.stdout}{result.stderr}")
    return wrong


def _said(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", module, *arguments], capture_output=True, text=True, check=False)


def native() -> None:
    """Builds a wheel for this machine alone with its own compiler, and tries it in a fresh environment."""
    fresh, made = cross.ROOT / "build" / "wheel-venv", cross.ROOT / "build" / "wheel-made"
    shutil.rmtree(made, ignore_errors=True)
    cross.run(sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "-w", made,
              "-Cbuild-dir=build/wheel", cross.ROOT)  # fmt: skip
    wheel = next(made.glob("*.whl"))
    venv.create(fresh, with_pip=True, clear=True)
    python = next(path for path in (fresh / "bin" / "python", fresh / "Scripts" / "python.exe") if path.exists())
    cross.run(python, "-m", "pip", "install", "--quiet", wheel)
    code = "import runtime; print(runtime.__file__, runtime.__version__, runtime.engine_available())"
    cross.run(python, "-c", code + "; assert runtime.engine_available()", cwd=fresh)
    cross.DIST.mkdir(exist_ok=True)
    shutil.copy(wheel, cross.DIST)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description="abi3 wheels")
    parser.add_argument("--target", action="append", choices=list(cross.TARGETS), help="manylinux, cross-built")
    parser.add_argument("--untried", action="store_true", help="build and check only")
    options = parser.parse_args()
    try:
        if not options.target:
            native()
            return
        cross.install_tools()
        for name in options.target:
            print(check(build(name), name), flush=True)
            if not options.untried:
                cross.run(sys.executable, "-m", "pytest", "firmware_tests/test_python.py", "-rs", "-k", name)
    except cross.BuildError as error:
        sys.exit(f"wheel: {error}")


if __name__ == "__main__":
    main()
