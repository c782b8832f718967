"""A machine booted whole: Debian's kernel for AArch64, with 64 MB of memory for C and 512 MB for Python.

The program under test is the first process. Its exit ends the kernel, which then says with what status.
"""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from .arm_python import VERSION, ArmPython, wheel
from .debian import download
from .initramfs import write_initramfs
from .networks import EXPECTED, TINY
from .tools import FOLDER, ROOT, build, golden, run

# Of Debian's and PyPI's packages what the front-end does not import; most of the time goes to unpacking.
NOT_NEEDED = re.compile(
    r"(^|/)(tests?|config-3[^/]*|ensurepip|lib2to3|pydoc_data|distutils|f2py|pip|pip-[^/]*)(/|$)|\.(a|h|pxd|pyi)$"
    r"|dist-packages/(converters|framegate[^/]*|runtime)(/|$)|^(etc|proc|var|usr/(include|sbin|share))(/|$)"
    r"|/lib(crypto|db-5|gssapi_krb5|krb5|sqlite3|ssl)\b[^/]*$|\.pyc\.\d+$"  # the last: being written by another part
)
FRAMES = 3


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


def boot(kernel, archive, megabytes, command, cpu="cortex-a53", variable="IN=initramfs"):
    """What the console shows until the first process ends; its exit status must be 0."""
    line = f"console=ttyAMA0 quiet panic=-1 rdinit={command[0]} {variable} -- {' '.join(command[1:])}"
    machine = ["-M", "virt", "-cpu", cpu, "-smp", "2", "-m", str(megabytes), "-nic", "none", "-nographic", "-no-reboot"]
    said = run("qemu-system-aarch64", *machine, "-kernel", kernel, "-initrd", archive, "-append", line, timeout=900)
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


@pytest.fixture(scope="module")
def front_end(scene, tmp_path_factory):
    """An archive with CPython, NumPy, cffi, the wheel in /site and frames of the clip; what this machine answers."""
    try:
        python = ArmPython("aarch64")
    except FileNotFoundError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("python")
    site, frames, archive = folder / "top" / "site", folder / "frames.npy", folder / "python.gz"
    with zipfile.ZipFile(wheel("aarch64")) as packed:
        packed.extractall(site)
    python("-c", f"import sys; sys.path.insert(0, '{site}'); import runtime", cpu="cortex-a53")  # compiles modules
    np.save(frames, np.stack(list(itertools.islice(scene.frames(), FRAMES))))
    script = ROOT / "firmware_tests" / "front_end.py"
    files = {python.root: "", site.parent: "", script: "front_end.py", scene.model: "net.fgm", frames: "frames.npy"}
    write_initramfs(archive, files, lambda name: not NOT_NEEDED.search(name))
    return archive, json.loads(run(sys.executable, script, scene.model, frames, folder / "here.npz"))


def test_python_in_512_mb(kernel, scene, front_end, proves):
    archive, here = front_end
    command = [f"/usr/bin/python{VERSION}", "/front_end.py", "/net.fgm", "/frames.npy", "/outputs.npz"]
    said = boot(kernel, archive, 512, command, variable="PYTHONPATH=/site")
    there = json.loads(next(line for line in said.splitlines() if line.startswith("{")))
    megabytes = there["megabytes"]
    assert megabytes["machine"] < 512
    assert (there["machine"], there["isa"], there["framegate"]) == ("aarch64", "neon", here["framegate"])
    assert there["modes"] == here["modes"]  # outputs' bits and executed work, dense, exact and gated
    assert min(there["modes"]["gated"]["mac_share"]) < 1
    versions = f"Python {there['python']}, NumPy {there['numpy']} and the wheel"
    proves(
        f"cortex-a53, 512 MB: {versions} on Debian's kernel; {scene.name}, {FRAMES} frames: outputs and work equal "
        f"x86's bit for bit; Python's peak {megabytes['peak']} MB; of {megabytes['machine']} MB {megabytes['free']} "
        "are free at the end, the file system in memory counted as taken"
    )
