"""What ``python build.py firmware`` runs: installs what the parts need, runs them two at a time, says what they proved.

    python -m firmware_tests [--only PART ...] [--ready] [--zig] [pytest's arguments]

A part NAME is the file test_NAME.py beside this one. ``--ready`` runs the parts whose programs are there and installs
nothing. ``--zig`` compiles with PyPI's ziglang, as where there are no cross compilers. QEMU counts no cycles: nothing
here says anything about speed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from .tools import CROSS, FOLDER, ROOT, ZIG, installed, missing

USER_MODE = ["qemu-aarch64", "qemu-arm", *CROSS]
BOOT = ["qemu-system-aarch64", "qemu-aarch64", "aarch64-linux-gnu-gcc"]
BARE = ["qemu-system-arm", "qemu-system-aarch64", "arm-none-eabi-gcc", "aarch64-linux-gnu-gcc"]


@dataclass(frozen=True)
class Part:
    """A file of tests and the programs it cannot do without."""

    about: str
    programs: list[str]


PARTS = {  # the longest first: two at a time, they should end together
    "python": Part("wheels, and the Python front-end on them", ["qemu-aarch64", "qemu-arm"]),
    "linux": Part("kernels, dispatch and golden outputs on AArch64 and Armv7 Linux", USER_MODE),
    "sanitizers": Part("kernels and networks with AddressSanitizer and UndefinedBehaviorSanitizer", USER_MODE),
    "boot": Part("Debian's kernel on AArch64: C in 64 MB of memory, Python in 512 MB", BOOT),
    "bare_metal": Part("Cortex-M4F, M7, A7 and AArch64 without operating system, heap or C library", BARE),
    "package": Part("the C package, and a program that uses it", [*USER_MODE, "pkg-config"]),
    "instructions": Part("executed instructions per frame within their budgets", USER_MODE),
}


def run_part(name: str, arguments: list[str]) -> tuple[int, str, str, list[str]]:
    """(pytest's exit status, the time it took, its output, what was proved)."""
    proofs = FOLDER / f"proved-{name}.json"
    proofs.unlink(missing_ok=True)
    started = time.monotonic()
    options = ["-q", "--tb=short", "--maxfail=5", f"--proofs={proofs}"]
    command = [sys.executable, "-m", "pytest", f"firmware_tests/test_{name}.py", *options, *arguments]
    result = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    said = json.loads(proofs.read_text()) if proofs.exists() else {"proved": [], "cpu": 0}
    took = f"{time.monotonic() - started:7.1f} s, {said['cpu']:5.1f} s of CPU"
    return result.returncode, took, result.stdout, said["proved"]


def main() -> int:
    """Exit status 0 if all parts passed."""
    parser = argparse.ArgumentParser(prog="build.py firmware", description="Arm under QEMU", allow_abbrev=False)
    about = "; ".join(f"{name}: {part.about}" for name, part in PARTS.items())
    parser.add_argument("--only", action="append", choices=list(PARTS), help=about)
    parser.add_argument("--ready", action="store_true", help="install nothing, leave out what cannot run")
    parser.add_argument("--zig", action="store_true", help="compile with PyPI's ziglang, whatever else is there")
    options, arguments = parser.parse_known_args()
    if options.zig:
        os.environ[ZIG] = "1"
    chosen = {name: PARTS[name] for name in options.only or PARTS}
    FOLDER.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    if not options.ready:
        installed({program for part in chosen.values() for program in part.programs})
    lacking = {name: missing(part.programs) for name, part in chosen.items()}
    runnable = [name for name in chosen if not lacking[name]]
    print(f"{'tools':14}{time.monotonic() - started:7.1f} s", flush=True)
    status = 0
    with ThreadPoolExecutor(2) as pool:
        jobs = {name: pool.submit(run_part, name, arguments) for name in runnable}
        for name, job in jobs.items():
            code, took, output, proved = job.result()
            failed = code not in (0, 5)  # 5: the arguments select nothing here
            status |= failed
            print(output if failed else output.strip().splitlines()[-1])
            print(f"{name:14}{took}  {'FAILED' if failed else 'passed'}", *proved, sep="\n    - ", flush=True)
    print(f"{'all':14}{time.monotonic() - started:7.1f} s")
    for name in chosen.keys() - set(runnable):
        print(f"{name:14} NOT RUN, needs {', '.join(lacking[name])}")
        status |= not options.ready
    return status


if __name__ == "__main__":
    sys.exit(main())
