"""ncnn, converted by pnnx, without its half-precision formats."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from .. import video
from ..errors import Error
from . import Array, Run, Task

DISTRIBUTION = "ncnn"
HALF = ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage", "use_bf16_packed")


def converted(task: Task) -> Path:
    """Folder with the network as ``net.ncnn.param`` and ``net.ncnn.bin``, made if it is not there."""
    folder = Path(task.cache) / "ncnn"
    if (folder / "net.ncnn.bin").exists():
        return folder
    program = shutil.which("pnnx", path=str(Path(sys.executable).parent)) or shutil.which("pnnx")
    if program is None:
        raise video.MissingPackageError("converting for ncnn needs pnnx: pip install 'framegate[bench]'")
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(task.onnx, folder / "net.onnx")
    shape = ",".join(map(str, task.shape))
    command = [program, "net.onnx", f"inputshape=[{shape}]f32", "fp16=0"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if (folder / "net.ncnn.param").exists():
        traced = (folder / "net.pnnx.param").read_text()
        param = folder / "net.ncnn.param"
        param.write_text(with_parts(with_focus(param.read_text(), traced)))
    for path in folder.iterdir():
        if path.name not in ("net.ncnn.param", "net.ncnn.bin"):
            path.unlink()
    if not (folder / "net.ncnn.bin").exists():
        raise Error(f"pnnx cannot convert {task.onnx}: {(done.stdout + done.stderr).strip()[-200:]}")
    return folder


def with_focus(param: str, traced: str) -> str:
    """The network with a focus stem's four slices of stride 2, which ncnn does not have, as its Reorg and Slice layers.

    ``traced`` is pnnx's own description, which still says where the slices start. Anything else stays as it was.
    """
    starts = dict(re.findall(r"^Tensor\.slice +(\S+) .*starts=\((\S+)\) steps=\(2,2\)", traced, re.MULTILINE))
    lines = param.splitlines()
    outputs = {starts[words[1]]: words[-1] for words in map(str.split, lines) if words[0] == "Tensor.slice"
               and words[1] in starts}  # fmt: skip
    if sorted(outputs) != ["0,0", "0,1", "1,0", "1,1"]:
        return param
    split = next(i for i, line in enumerate(lines) if line.startswith("Split ") and line.split()[3] == "4")
    parts = " ".join(outputs[start] for start in sorted(outputs))
    lines[split] = (
        f"Reorg focus 1 1 {lines[split].split()[4]} focus 0=2 1=1\n"  # 1=1: parts outermost, their channels inside
        f"Slice focus_parts 1 4 focus {parts} -23300=4,-233,-233,-233,-233 1=0"
    )
    layers, blobs = map(int, lines[1].split())
    lines[1] = f"{layers - 3} {blobs - 3}"
    return "\n".join(line for line in lines if not line.startswith("Tensor.slice ")) + "\n"


def with_parts(param: str) -> str:
    """The network with the parts of splits named where pnnx left them out, without which ncnn ends with a fault.

    pnnx drops the arguments of an ONNX Split without sizes: equal parts, here of the channels.
    """
    lines = param.splitlines()
    for i, words in enumerate(map(str.split, lines)):
        if words[0] == "Slice" and "=" not in words[-1]:
            parts = int(words[3])
            lines[i] += f" -23300={parts}{',-233' * parts} 1=0"
    return "\n".join(lines) + "\n"


def open_session(task: Task) -> Run:
    """As ``rivals.open_session``."""
    ncnn = video.required("bench", "comparing with ncnn", "ncnn")
    folder = converted(task)
    net = ncnn.Net()
    net.opt.num_threads = task.threads
    net.opt.use_vulkan_compute = False
    for option in HALF:
        if hasattr(net.opt, option):
            setattr(net.opt, option, False)
    if net.load_param(str(folder / "net.ncnn.param")) or net.load_model(str(folder / "net.ncnn.bin")):
        raise Error(f"ncnn cannot load what pnnx made of {task.onnx}")
    source = net.input_names()[0]
    targets = sorted(net.output_names(), key=lambda name: int(name.removeprefix("out")))
    if len(targets) != len(task.outputs):
        raise Error(f"pnnx made {len(targets)} outputs of {len(task.outputs)} in {task.onnx}")

    def run(x: Array) -> list[Array]:
        extractor = net.create_extractor()
        extractor.input(source, ncnn.Mat(x[0]))  # a view; its first axis is the batch
        found = []
        for name in targets:
            status, out = extractor.extract(name)
            if status:
                raise Error(f"ncnn cannot compute {name} of {task.onnx}")
            found.append(np.array(out, copy=False))
        return found

    return run
