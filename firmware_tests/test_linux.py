"""Linux user mode: the C tests of the engine on several CPUs."""

from __future__ import annotations

import pytest

from .tools import TARGETS, build, run

CPUS = {
    "aarch64": ["cortex-a53", "cortex-a72", "cortex-a76", "max,sve=off", "max"],
    "armv7": ["cortex-a7", "cortex-a9"],
}
CASES = [(target, cpu) for target, cpus in CPUS.items() for cpu in cpus]


def programs(target):
    """Folder with the C tests, static so that no Arm libraries are needed to run them."""
    return build(target, FG_TESTS="ON", CMAKE_EXE_LINKER_FLAGS="-static")


@pytest.mark.parametrize(("target", "cpu"), CASES)
def test_kernels_equal_their_twins(target, cpu, proves):
    last = run(TARGETS[target].emulator, "-cpu", cpu, programs(target) / "test_kernels").splitlines()[-1]
    proves(f"{target} {cpu}: kernels equal their scalar twins, {last}")


@pytest.mark.parametrize("target", list(CPUS))
@pytest.mark.parametrize("name", ["test_header", "test_pool"])
def test_other_c_tests_pass(target, name):
    run(TARGETS[target].emulator, "-cpu", CPUS[target][0], programs(target) / name)
