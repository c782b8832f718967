"""What a core's pipeline could make of the hot loops, by llvm-mca: the share of its peak multiply-add rate.

llvm-mca 19, because its models of Cortex-A72 (one vector multiply-add a cycle) and Neoverse N1, the server's
Cortex-A76 (two), have the cores' real peaks; its Cortex-A76, A55 and A53 have not. It sees one loop with all loads from
the first cache: an upper bound.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..tools import FOLDER, ROOT, TARGETS, compiler, run

PEAK = {"cortex-a72": 1, "neoverse-n1": 2}  # vector multiply-adds a cycle
FEWEST = 16  # multiply-adds in a loop worth looking at
FMA = re.compile(r"\s(fmla|fmls)\s+v")
LABEL = re.compile(r"^(\.L\w+):")
JUMP = re.compile(r"^\s+(?:b\.?\w*|cbn?z|tbn?z)\s+.*?(\.L\w+)\s*$")
ITERATIONS = 200


@dataclass(frozen=True)
class Loop:
    """An innermost loop: instructions, those that multiply and add, and the share of each core's peak."""

    source: str
    line: int
    instructions: int
    fma: int
    share: dict[str, float]


def loops(assembly: str) -> list[tuple[int, list[str]]]:
    """Innermost loops of straight code in GNU assembly: (line, instructions)."""
    lines = assembly.splitlines()
    labels = {match[1]: index for index, line in enumerate(lines) if (match := LABEL.match(line))}
    found = []
    for index, line in enumerate(lines):
        jump = JUMP.match(line)
        start = labels.get(jump[1], index) if jump else index
        body = lines[start + 1 : index + 1]
        if start < index and not any(LABEL.match(each) for each in body):
            found.append((start + 1, [each for each in body if re.match(r"^\s+[a-z]", each)]))
    return found


def analyse(source: str) -> list[Loop]:
    """Loops of an engine source file with at least FEWEST multiply-adds, compiled as CMake would."""
    path = FOLDER / "loop.s"
    flags = ["-std=c11", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-fPIC", "-S", "-o", "-"]
    includes = [f"-I{ROOT / 'runtime/engine/include'}", f"-I{ROOT / 'runtime/engine/src'}"]
    assembly = run(*compiler(TARGETS["aarch64"]), *flags, *includes, ROOT / "runtime/engine/src" / source)
    result = []
    for line, body in loops(assembly):
        fma = sum(bool(FMA.search(each)) for each in body)
        if fma < FEWEST:
            continue
        path.write_text("\n".join(body) + "\n")
        share = {}
        for core, peak in PEAK.items():
            said = run("llvm-mca-19", "-mtriple=aarch64-linux-gnu", f"-mcpu={core}", f"-iterations={ITERATIONS}", path)
            cycles = int(re.search(r"Total Cycles:\s+(\d+)", said)[1]) / ITERATIONS
            share[core] = fma / peak / cycles
        result.append(Loop(source, line, len(body), fma, share))
    return result


def report() -> list[str]:
    """A line per loop of the kernels written for NEON."""
    rows = [loop for name in ("gemm", "depthwise") for loop in analyse(f"kernels/neon/{name}.c")]
    return [f"{row.source}:{row.line:<6}{row.instructions:5} instructions{row.fma:5} fma  "
            + "  ".join(f"{core} {share:6.1%}" for core, share in row.share.items()) for row in rows]  # fmt: skip
