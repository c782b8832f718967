"""AddressSanitizer and UndefinedBehaviorSanitizer on Arm, under emulation: kernels and whole networks."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from .networks import EXPECTED, TINY, write_random
from .tools import FOLDER, TARGETS, build, golden, located

SANITIZE = "address,undefined"
# Those written for NEON; gemm_f32's twin takes long where the compiler has no fused multiply-add: there networks do.
KERNELS = {"aarch64": ["gemm_f32", "depthwise_f32"], "armv7": ["depthwise_f32"]}
RANDOM_NETWORKS = 6
CPUS = {"aarch64": ("cortex-a53", "/usr/aarch64-linux-gnu"), "armv7": ("cortex-a7", "/usr/arm-linux-gnueabihf")}
BROKEN = {
    "heap-buffer-overflow": "char *x = malloc((size_t)count); return x[count + 3];",
    "signed integer overflow": "return (0x7FFFFFFF + count) == 0;",
}


def emulate(target, *command):
    """(exit status, all output) of a program that uses the target's shared libraries."""
    cpu, libraries = CPUS[target]
    words = [TARGETS[target].emulator, "-cpu", cpu, "-L", libraries, *map(str, command)]
    variables = os.environ | {"ASAN_OPTIONS": "detect_leaks=0"}  # the search for leaks needs ptrace
    result = subprocess.run(words, capture_output=True, text=True, timeout=600, env=variables, check=False)
    return result.returncode, result.stdout + result.stderr


@pytest.fixture(params=list(CPUS))
def target(request):
    if not located(TARGETS[request.param].compiler):
        pytest.skip(f"needs {TARGETS[request.param].compiler}: ziglang brings no AddressSanitizer for Arm")
    return request.param


@pytest.mark.parametrize("message", list(BROKEN))
def test_the_sanitizers_are_awake(target, message, tmp_path):
    source, program = tmp_path / "broken.c", tmp_path / "broken"
    source.write_text(f"#include <stdlib.h>\nint main(int count, char **v) {{ (void)v; {BROKEN[message]} }}\n")
    flags = [f"-fsanitize={SANITIZE}", "-fno-sanitize-recover=all"]
    subprocess.run([TARGETS[target].compiler, *flags, source, "-o", program], check=True)
    status, said = emulate(target, program)
    assert status != 0
    assert message in said


def test_kernels_and_networks(target, proves):
    # unoptimised: GCC takes minutes to optimise instrumented kernels
    options = {"FG_TESTS": "ON", "FG_SANITIZE": SANITIZE, "CMAKE_C_FLAGS_RELEASE": "-O0"}
    folder = build(target, f"{target}-sanitized", **options)
    for kernel in KERNELS[target]:
        status, said = emulate(target, folder / "engine" / "test_kernels", "--kernel", kernel)
        assert status == 0, said[-4000:]
    status, said = emulate(target, folder / "golden", TINY, *write_random(FOLDER / f"random-{target}", RANDOM_NETWORKS))
    assert status == 0, said[-4000:]
    assert golden(said)[0] == json.loads(EXPECTED.read_text())
    proves(f"{target}, {SANITIZE}: {', '.join(KERNELS[target])}, {RANDOM_NETWORKS + 1} networks: no finding")
