"""Counts what a frame costs other engines: their aarch64 wheels in an emulated Python, on the same network and input.

What comes from the registries is kept in ``build/firmware``: a Debian root with Python, and the engines' wheels. ncnn
and MNN take what their converters made of the network; ``framegate bench`` keeps that in ``~/.cache/framegate``. They
choose kernels by what /proc/cpuinfo says, so the emulated root gets one that fits the CPU model.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

import numpy as np

from runtime import Model
from runtime.bench import source_input

from ..arm_python import VERSION, ArmPython
from ..tools import FOLDER, run
from .counter import count
from .frames import smooth

ROOT = FOLDER / "rivals"
WHEELS = {"ort": "onnxruntime", "ncnn": "ncnn", "mnn": "MNN", "litert": "ai-edge-litert"}
PLATFORMS = ("manylinux2014_aarch64", *(f"manylinux_2_{minor}_aarch64" for minor in (17, 27, 28, 31, 34)))
BASE = "fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid"
PARTS = {  # CPU model: part number and features in /proc/cpuinfo
    "cortex-a53": ("0xd03", BASE),
    "cortex-a72": ("0xd08", BASE),
    "cortex-a76": ("0xd0b", BASE + " atomics fphp asimdhp asimdrdm lrcpc dcpop asimddp"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's command line."""
    parser.add_argument("net", type=Path, help="the network as .fgm: says what the input is")
    parser.add_argument("source", type=Path, help="the .onnx, ncnn's folder with net.ncnn.*, the .mnn or the .tflite")
    parser.add_argument("--engine", required=True, choices=list(WHEELS))
    parser.add_argument("--cpu", default="cortex-a72", choices=list(PARTS))
    parser.add_argument("--picture", type=Path, help="(H, W, C) uint8, as .npy; default: a made one")


def root() -> Path:
    """The emulated Python's file system; the engines' wheels lie beside it, in ROOT / "wheels"."""
    ROOT.mkdir(parents=True, exist_ok=True)
    if not (ROOT / "wheels").exists():
        words = ["--only-binary=:all:", "--no-deps", "--python-version", VERSION, "--target", ROOT / "wheels"]
        platforms = [f"--platform={name}" for name in PLATFORMS]
        run(sys.executable, "-m", "pip", "-q", "install", *words, *platforms, "numpy", *WHEELS.values())
    return ArmPython("aarch64").root


def pretend(debian: Path, cpu: str) -> None:
    """Writes the /proc/cpuinfo that the emulated program sees."""
    part, features = PARTS[cpu]
    core = (f"processor\t: {{}}\nFeatures\t: {features}\nCPU implementer\t: 0x41\nCPU architecture: 8\n"
            f"CPU variant\t: 0x0\nCPU part\t: {part}\nCPU revision\t: 3\n\n")  # fmt: skip
    (debian / "proc").mkdir(exist_ok=True)
    (debian / "proc/cpuinfo").write_text("".join(core.format(index) for index in range(4)))


def measure(
    net: Path, source: Path, engine: str, cpu: str, picture: np.ndarray | None = None
) -> dict[str, Counter[str]]:
    """Instructions of the second frame, by library and class; the arguments are those of the verb.

    Raises:
        AssertionError: the engine cannot run the network; with what it said.
    """
    debian = root()
    pretend(debian, cpu)
    model = Model.load(net)
    info = model.inputs[0]
    if picture is None:
        picture = smooth(info.height, info.width, info.channels)
    frame = ROOT / "frame.npy"
    np.save(frame, source_input(picture, model))
    emulator = ["qemu-aarch64", "-seed", "1", "-cpu", cpu, "-L", str(debian), "-E", "PYTHONHASHSEED=0",
                "-E", f"PYTHONPATH={ROOT / 'wheels'}", "-E", "OMP_NUM_THREADS=1"]  # fmt: skip
    script = Path(__file__).with_name("rival_guest.py")
    outputs = ",".join(output.name for output in model.outputs)
    python = debian / "usr" / "bin" / f"python{VERSION}"
    marks, maps, _ = count(emulator, python, script, engine, source, frame, outputs)
    return marks[0].by_file(maps)
