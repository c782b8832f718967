"""A machine booted whole: Debian's kernel for AArch64 with 64 MB of memory.

The program under test is the first process. Its exit ends the kernel, which then says with what status.
"""

from __future__ import annotations

import json
import re
import subprocess

import pytest

from .debian import download
from .initramfs import write_initramfs
from .networks import EXPECTED, TINY
from .tools import FOLDER, build, golden, run


@pytest.fixture(scope="module")
def kernel():
    """Debian's kernel, out of its package."""
    path = FOLDER / "vmlinuz"
    if not path.exists():
        try:
            packages = download("arm64", ["linux-image-arm64"], "kernel")
        except FileNotFoundError as error:
            pytest.skip(str(error))
        package = next(one for one in packages if re.match(r"linux-image-\d", one.name))
        pack = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE)
        command = ["tar", "-x", "-O", "--wildcards", "./boot/vmlinuz-*"]
        path.write_bytes(subprocess.run(command, stdin=pack.stdout, capture_output=True, check=True).stdout)
        assert pack.wait() == 0
    return path


def boot(kernel, archive, megabytes, command, cpu="cortex-a53"):
    """What the console shows until the first process ends; its exit status must be 0."""
    line = f"console=ttyAMA0 quiet panic=-1 rdinit={command[0]} -- {' '.join(command[1:])}"
    machine = ["-M", "virt", "-cpu", cpu, "-smp", "2", "-m", str(megabytes), "-nic", "none", "-nographic", "-no-reboot"]
    said = run("qemu-system-aarch64", *machine, "-kernel", kernel, "-initrd", archive, "-append", line, timeout=300)
    assert "Attempted to kill init! exitcode=0x00000000" in said, said[-4000:]
    return said


@pytest.fixture(scope="module")
def small(kernel):
    """An archive with the two C programs and the committed network."""
    folder = build("aarch64", FG_TESTS="ON", CMAKE_EXE_LINKER_FLAGS="-static")
    archive = FOLDER / "small.gz"
    write_initramfs(archive, {folder / "golden": "golden", folder / "minimal": "minimal", TINY: "tiny.fgm"})
    return archive


@pytest.mark.parametrize("cpu", ["cortex-a53", "cortex-a72"])
def test_the_committed_network_in_64_mb(kernel, small, cpu, proves):
    said = boot(kernel, small, 64, ["/golden", "/tiny.fgm"], cpu)
    line = next(line for line in said.splitlines() if line.startswith("{"))
    assert golden(line) == [json.loads(EXPECTED.read_text())]
    assert json.loads(line)["isa"] == "neon"
    proves(f"{cpu}, 64 MB: Debian's kernel boots, golden outputs bit-equal to x86")


def test_the_example_in_64_mb(kernel, small, proves):
    said = boot(kernel, small, 64, ["/minimal", "/tiny.fgm"])
    skipped = [float(share) for share in re.findall(r"([\d.]+) % of MACs skipped", said)]
    assert len(skipped) == 10
    assert skipped[0] == 0
    assert skipped[1] > 0
    proves("cortex-a53, 64 MB: examples/minimal.c runs as the first process")
