"""What ``python build.py package`` runs: builds and checks C packages.

``dist/framegate-VERSION-linux-TARGET.tar.gz`` holds the static and the shared library, the header, files for CMake's
find_package and for pkg-config, and an example; it may be unpacked anywhere.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from pathlib import Path

from . import cross
from .generate import HEADER

FILES = (
    "include/framegate.h",
    "lib/libframegate.a",
    "lib/libframegate.so",
    "lib/cmake/framegate/framegate-config.cmake",
    "lib/pkgconfig/framegate.pc",
    "share/doc/framegate/LICENSE",
    "share/framegate/examples/CMakeLists.txt",
    "share/framegate/examples/minimal.c",
)


def build(name: str) -> Path:
    """Builds the package of a target; the folder that is packed into ``dist/``."""
    version = re.findall(r'FG_VERSION_STRING "([^"]+)"', HEADER.read_text(encoding="utf-8"))[0]
    prefix = cross.BUILD / name / f"framegate-{version}-linux-{name}"
    folder = cross.BUILD / name / "package"
    shutil.rmtree(prefix, ignore_errors=True)
    cross.run("cmake", "-S", cross.ROOT, "-B", folder, "-G", "Ninja", f"-DCMAKE_TOOLCHAIN_FILE={cross.toolchain(name)}",
              "-DFG_SHARED=ON", "-DFG_WERROR=ON", f"-DCMAKE_INSTALL_PREFIX={prefix}",
              "-DCMAKE_INSTALL_LIBDIR=lib")  # fmt: skip
    cross.run("cmake", "--build", folder, "-j2")
    cross.run("cmake", "--install", folder)
    cross.DIST.mkdir(exist_ok=True)
    shutil.make_archive(str(cross.DIST / prefix.name), "gztar", prefix.parent, prefix.name)
    return prefix


def check(prefix: Path, name: str) -> str:
    """Checks an unpacked package; a line about it.

    Raises:
        BuildError: it must not be shipped; with all reasons.
    """
    wrong = [f"lacks {file}" for file in FILES if not (prefix / file).exists()]
    path = prefix / "lib" / "libframegate.so"
    library = cross.inspect(path)
    wrong += [f"{path.name} {text}" for text in cross.complaints(library, name, cross.engine_functions())]
    size, largest = path.stat().st_size, cross.TARGETS[name].largest_engine
    if size > largest:
        wrong.append(f"{path.name} has {size:,} bytes, more than {largest:,} (cffi_build/cross.py)")
    if str(cross.ROOT) in (prefix / "lib" / "pkgconfig" / "framegate.pc").read_text():
        wrong.append("framegate.pc names the folder it was built in")
    if wrong:
        raise cross.BuildError(f"{prefix.name}:\n  " + "\n  ".join(wrong))
    archive = (prefix / "lib" / "libframegate.a").stat().st_size
    glibc = ".".join(map(str, library.glibc))
    return f"{prefix.name}: shared library {size:,} bytes, static {archive:,}, needs glibc {glibc}"


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description="C packages")
    parser.add_argument("--target", action="append", choices=list(cross.TARGETS), help="default: all")
    options = parser.parse_args()
    try:
        cross.install_tools()
        for name in options.target or cross.TARGETS:
            print(check(build(name), name), flush=True)
    except cross.BuildError as error:
        sys.exit(f"package: {error}")


if __name__ == "__main__":
    main()
