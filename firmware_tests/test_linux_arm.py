"""The C tests of the engine for Arm, cross-compiled and run under QEMU's user mode on several CPUs.

Needs (Debian): gcc-aarch64-linux-gnu libc6-dev-arm64-cross gcc-arm-linux-gnueabihf libc6-dev-armhf-cross qemu-user.
QEMU counts no cycles, so nothing here says anything about speed.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ENGINE = ROOT / "runtime" / "engine"
TESTS = ROOT / "tests" / "engine"
TARGETS = {
    "aarch64": ("aarch64-linux-gnu-gcc", "qemu-aarch64", [], ["cortex-a53", "cortex-a76", "max"]),
    "armv7": ("arm-linux-gnueabihf-gcc", "qemu-arm", ["-march=armv7-a", "-mfpu=neon-vfpv4"], ["cortex-a7", "max"]),
}
CASES = [(target, cpu) for target, (*_, cpus) in TARGETS.items() for cpu in cpus]


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """A function from (target, name of a test) to its static program, compiled once."""
    built: dict[tuple[str, str], Path] = {}
    folder = tmp_path_factory.mktemp("arm")

    def build(target: str, name: str) -> Path:
        compiler, qemu, flags, _ = TARGETS[target]
        for tool in (compiler, qemu):
            if not shutil.which(tool):
                pytest.skip(f"needs {tool}")
        if (target, name) not in built:
            path = folder / f"{name}-{target}"
            sources = sorted((ENGINE / "src").rglob("*.c"))
            options = ["-std=c11", "-O2", "-ffp-contract=off", *flags, f"-I{ENGINE / 'include'}", f"-I{ENGINE / 'src'}"]
            command = [compiler, "-static", *options, TESTS / f"{name}.c", *sources, "-lm", "-lpthread", "-o", path]
            subprocess.run(command, check=True)
            built[target, name] = path
        return built[target, name]

    return build


@pytest.mark.parametrize(("target", "cpu"), CASES)
@pytest.mark.parametrize("name", ["test_header", "test_kernels", "test_pool"])
def test_c_tests_pass(program, target, cpu, name):
    command = [TARGETS[target][1], "-cpu", cpu, program(target, name)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]
