"""Linux user mode: kernels against their scalar twins, run-time dispatch, golden outputs, on several CPUs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from .networks import EXPECTED, TINY, write_random
from .tools import ENGINE, FOLDER, TARGETS, build, compiler, golden, run

CPUS = {
    "aarch64": ["cortex-a53", "cortex-a72", "cortex-a76", "max,sve=off", "max"],
    "armv7": ["cortex-a7"],
}
CASES = [(target, cpu) for target, cpus in CPUS.items() for cpu in cpus]
# The least and the most a CPU offers; between them, where the same kernels are chosen, these would prove nothing new.
ENDS = [("aarch64", "cortex-a53"), ("aarch64", "max"), ("armv7", "cortex-a7")]
# Fall back to the twins, which then take long: no more than needed.
NO_FMA = [("armv7", "cortex-a9"), ("armv7", "cortex-a9,neon=off")]
RANDOM_NETWORKS = 20
# Faults put into the engine: target, file, what stands there, what is put there, the file to compile again.
EDGE = ("kernels/neon/vector.h", "memcpy(x, part, count * ", "memcpy(x, part, (count - 1) * ")
FAULTS = {
    "tile edge": ("aarch64", *EDGE, "kernels/neon/depthwise.c"),
    "HWCAP check": ("armv7", "kernels/isa.c", "1ul << 12 | 1ul << 16", "1ul << 12", "kernels/isa.c"),
}
# Instruction sets by the bits of HWCAP that each needs, lowest first; flags as in kernels/isa.h.
NEEDS = {
    "aarch64": {"neon": (0x100, 1 << 1)},
    "armv7": {"neon": (0x100, 1 << 12 | 1 << 16)},
}
# What is detected beside them: flag, word, bits.
EXTRAS = {
    "aarch64": [(0x200, "hwcap", 1 << 20), (0x400, "hwcap", 1 << 9 | 1 << 10), (0x800, "hwcap2", 1 << 13)],
    "armv7": [],
}


def machines(cases):
    """Parametrizes ``machine``: (target, CPU, function that runs a program of the target on it)."""
    return pytest.mark.parametrize("machine", cases, ids=lambda case: f"{case[0]}-{case[1]}", indirect=True)


@pytest.fixture
def machine(request):
    target, cpu = request.param
    # static, so that no Arm libraries are needed to run them
    folder = build(target, FG_TESTS="ON", CMAKE_EXE_LINKER_FLAGS="-static")
    return target, cpu, lambda *command: run(TARGETS[target].emulator, "-cpu", cpu, folder / command[0], *command[1:])


@pytest.fixture(scope="module")
def networks() -> list[Path]:
    return write_random(FOLDER / "random", RANDOM_NETWORKS)


@pytest.fixture(scope="module")
def on_host(networks) -> list[dict]:
    """The random networks' golden lines, from this machine."""
    return golden(run(build("host") / "golden", *networks))


@machines(ENDS)
def test_kernels_equal_their_twins(machine, proves):
    target, cpu, on_arm = machine
    last = on_arm("engine/test_kernels").splitlines()[-1]
    proves(f"{target} {cpu}: kernels equal their scalar twins bit for bit; {last}")


@machines(CASES)
def test_thread_pool_and_header(machine):
    for name in ("test_pool", "test_header"):
        machine[2](f"engine/{name}")


@machines(CASES + NO_FMA)
def test_dispatch_follows_hwcap(machine, proves):
    target, cpu, on_arm = machine
    said = json.loads(on_arm("golden", "--cpu"))
    usable = {name: flag for name, (flag, bits) in NEEDS[target].items() if said["hwcap"] & bits == bits}
    extras = [flag for flag, word, bits in EXTRAS[target] if said[word] & bits == bits]
    assert said["detected"] == sum(usable.values()) + sum(extras), said
    assert said["isa"] == (list(usable) or ["ref"])[-1], said
    assert (said["isa"] == "ref") == ((target, cpu) in NO_FMA), "a Cortex-A9 has no fused multiply-add"
    proves(f"{target} {cpu}: dispatch chose {said['isa']} from HWCAP {said['hwcap']:#x}")


@machines(CASES + NO_FMA)
@pytest.mark.parametrize("options", [[], ["--ref"]], ids=["best", "twins"])
def test_committed_network_gives_the_committed_outputs(machine, options, proves):
    target, cpu, on_arm = machine
    got = golden(on_arm("golden", *options, TINY))
    assert got == [json.loads(EXPECTED.read_text())]
    assert got[0]["exact"] == got[0]["dense"]
    proves(f"{target} {cpu}: golden outputs bit-equal to x86 with the {'twins' if options else 'best kernels'}")


@machines(ENDS)
def test_random_networks_give_the_outputs_of_the_host(machine, networks, on_host, proves):
    target, cpu, on_arm = machine
    got = golden(on_arm("golden", *networks))
    assert [line["exact"] for line in got] == [line["dense"] for line in got]
    assert got == on_host
    proves(f"{target} {cpu}: {len(got)} random networks with every operator: outputs, masks and work equal to x86")


def test_the_host_gives_the_committed_outputs():
    assert golden(run(build("host") / "golden", TINY)) == [json.loads(EXPECTED.read_text())]


def with_fault(fault, folder, objects):
    """A program out of the build's objects and library, one file of the engine compiled again with a fault in it."""
    target, file, right, wrong, compiled = FAULTS[fault]
    built = build(target, FG_TESTS="ON", CMAKE_EXE_LINKER_FLAGS="-static")
    shutil.copytree(ENGINE, folder / "engine")
    source = folder / "engine" / "src"
    assert right in (source / file).read_text()
    (source / file).write_text((source / file).read_text().replace(right, wrong))
    words, faulty = compiler(TARGETS[target]), folder / "faulty.o"
    run(*words, "-O2", "-std=c11", "-ffp-contract=off", "-c", source / compiled, "-o", faulty)
    run(*words, "-static", faulty, *[next(built.rglob(name)) for name in objects],
        next(built.rglob("libframegate.a")), "-lm", "-lpthread", "-o", folder / "program")  # fmt: skip
    return folder / "program"


def test_a_wrong_tile_edge_is_noticed(tmp_path, proves):
    program = with_fault("tile edge", tmp_path, ["test_kernels.c.o"])
    with pytest.raises(AssertionError, match=r"[1-9]\d* failures"):
        run("qemu-aarch64", "-cpu", "cortex-a53", program, "--kernel", "depthwise_f32")
    proves("a store one number short at the edge of the NEON depthwise tile fails the kernel tests")


def test_a_missing_hwcap_check_is_noticed(tmp_path, proves):
    program = with_fault("HWCAP check", tmp_path, ["linux.c.o", "golden.c.o"])
    said = json.loads(run("qemu-arm", "-cpu", "cortex-a9", program, "--cpu"))
    assert said["isa"] == "neon", "what the dispatch test would refuse: this CPU has no VFPv4"
    assert said["hwcap"] & 1 << 16 == 0
    proves("without the check for VFPv4 a Cortex-A9 gets fused multiply-adds: the dispatch test sees it")
