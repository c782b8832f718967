"""CPython, NumPy and cffi for Arm, out of Debian's packages and PyPI's wheels, for QEMU's user mode.

Packages are downloaded with apt under a folder of its own and unpacked; nothing of them is installed on this machine
and no script of theirs runs, so neither root nor binfmt_misc is needed. A process started by the emulated Python would
not be emulated.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from .debian import download
from .tools import FOLDER, ROOT, TARGETS, locked, run

VERSION = "3.11"  # of Debian 12
SOURCES = ("CMakeLists.txt", "README.md", "pyproject.toml", "cffi_build", "converters", "runtime")  # of a wheel
PACKAGES = ["python3-minimal", "libpython3-stdlib", "libstdc++6", "libgomp1"]


@dataclass(frozen=True)
class Variant:
    """Where the Python of a target comes from.

    Attributes:
        debian: Debian's name of the architecture.
        packages: more of Debian's packages; on Armv7 NumPy and cffi too, for which PyPI has no wheels.
        wheels: from PyPI, for one of the platforms.
        libraries: folders of shared libraries whose usual links a package's script would have made.
    """

    debian: str
    packages: tuple[str, ...] = ()
    wheels: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()


VARIANTS = {
    "aarch64": Variant(
        "arm64",
        wheels=("numpy", "cffi", "pycparser", "pip"),
        platforms=("manylinux2014_aarch64", *(f"manylinux_2_{minor}_aarch64" for minor in (17, 27, 28))),
    ),
    "armv7": Variant(
        "armhf",
        packages=("python3-numpy", "python3-cffi"),
        wheels=("pip",),
        platforms=("any",),
        libraries=("usr/lib/arm-linux-gnueabihf/blas", "usr/lib/arm-linux-gnueabihf/lapack"),
    ),
}


class ArmPython:
    """An emulated interpreter of a target with NumPy, cffi and pip; ``root`` is its file system."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.variant = VARIANTS[target]
        self.root = FOLDER / f"python-{target}"
        self.site = self.root / "usr" / "local" / "lib" / f"python{VERSION}" / "dist-packages"
        stamp = self.root / "complete"
        with locked(self.root.name):
            if not stamp.exists():
                shutil.rmtree(self.root, ignore_errors=True)
                self._unpack(download(self.variant.debian, [*PACKAGES, *self.variant.packages]))
                self._install_from_pypi()
                stamp.touch()

    def _unpack(self, packages: list[Path]) -> None:
        self.root.mkdir(parents=True)
        for package in packages:
            run("dpkg-deb", "-x", package, self.root)

    def _install_from_pypi(self) -> None:
        choice = [word for platform in self.variant.platforms for word in ("--platform", platform)]
        run(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", self.site,
            "--only-binary=:all:", "--no-deps", "--python-version", VERSION, *choice,
            *self.variant.wheels)  # fmt: skip

    def __call__(self, *arguments: str | Path, cpu: str, timeout: float = 900) -> str:
        """Runs the interpreter on a CPU model; its standard output."""
        libraries = ":".join(str(self.root / folder) for folder in self.variant.libraries)
        environment = ["env", "-i", "PATH=/usr/bin", "HOME=/tmp", f"LD_LIBRARY_PATH={libraries}"]
        emulator = shutil.which(TARGETS[self.target].emulator) or TARGETS[self.target].emulator
        # QEMU itself must not see LD_LIBRARY_PATH: it is set by -E for the guest alone.
        command = [*environment[:-1], emulator, "-E", environment[-1], "-cpu", cpu, "-L", self.root]
        return run(*command, self.root / "usr" / "bin" / f"python{VERSION}", *arguments, timeout=timeout)

    def install(self, wheel: Path, cpu: str) -> str:
        """Installs a wheel as a user would; pip under emulation judges its tags. What ``pip check`` says."""
        for old in self.site.glob("framegate*"):
            shutil.rmtree(old)
        pip = ["-m", "pip", "--disable-pip-version-check", "--no-cache-dir"]
        options = ["--no-index", "--no-deps", "--no-compile", "--force-reinstall", "--break-system-packages"]
        self(*pip, "install", "--quiet", "--root-user-action=ignore", *options, wheel, cpu=cpu)
        return self(*pip, "check", cpu=cpu)


def wheel(machine: str) -> Path:
    """framegate's wheel for a machine, built and checked unless that was done for the same sources; its path."""
    digest = hashlib.sha256()
    for top in SOURCES:
        for path in sorted([ROOT / top, *(ROOT / top).rglob("*.*")]):
            if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".so":
                digest.update(f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
    stamp = FOLDER / f"wheel-{machine}"
    with locked(stamp.name):
        found = sorted((ROOT / "dist").glob(f"framegate-*_{machine}.whl"))
        if len(found) != 1 or not stamp.exists() or stamp.read_text() != digest.hexdigest():
            run(sys.executable, "-m", "cffi_build.wheel", "--untried", "--target", machine)
            found = sorted((ROOT / "dist").glob(f"framegate-*_{machine}.whl"))
            stamp.write_text(digest.hexdigest())
    return found[0]


if __name__ == "__main__":  # for a look by hand: python -m firmware_tests.arm_python aarch64 -c "import numpy"
    target = sys.argv[1]
    cpu = "cortex-a7" if target == "armv7" else "cortex-a53"
    try:
        print(ArmPython(target)(*sys.argv[2:], cpu=cpu), end="")
    except (AssertionError, FileNotFoundError, subprocess.TimeoutExpired) as error:
        sys.exit(str(error))
