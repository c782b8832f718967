"""What a core's pipeline could make of the hot loops, by llvm-mca: the share of its peak multiply-add rate.

llvm-mca 19, because its models of Cortex-A72 (one vector multiply-add a cycle) and Neoverse N1, the server's
Cortex-A76 (two), have the cores' real peaks; its Cortex-A76, A55 and A53 have not. It sees one loop with all loads from
the first cache: an upper bound. Branches in a loop count as not taken.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..tools import FOLDER, ROOT, TARGETS, compiler, run

PEAK = {"cortex-a72": 1, "neoverse-n1": 2}  # vector multiply-adds a cycle
FEWEST = 16  # multiply-adds in a loop worth looking at
SYMBOL = re.compile(r"^[0-9a-f]+ <(\w+)>:$")
INSTRUCTION = re.compile(r"^\s+([0-9a-f]+):\s+(.*?)(?:\s+//.*)?$")
TARGET = re.compile(r"([0-9a-f]+) <.*>$")
CONDITIONAL = re.compile(r"^(b\.|cbn?z|tbn?z)")
FMA = re.compile(r"^(fmla|fmls)\s+v")
ITERATIONS = 200


@dataclass(frozen=True)
class Loop:
    """An innermost loop: instructions, those that multiply and add, and the share of each core's peak."""

    function: str
    offset: int
    instructions: int
    fma: int
    share: dict[str, float]


def loops(disassembly: str) -> list[tuple[str, int, list[str]]]:
    """Innermost loops in objdump's words: (function, offset in it, instructions)."""
    found: list[tuple[str, int, list[str]]] = []
    function, code = "", dict[int, str]()
    for line in disassembly.splitlines():
        if symbol := SYMBOL.match(line):
            function, code = symbol[1], {}
        elif match := INSTRUCTION.match(line):
            address, text = int(match[1], 16), match[2]
            code[address] = TARGET.sub(".L", text)
            target = TARGET.search(text)
            if not target or not CONDITIONAL.match(text) or int(target[1], 16) not in code:
                continue
            start = int(target[1], 16) - min(code)
            if not any(name == function and start <= other for name, other, _ in found):
                found.append((function, start, [each for at, each in code.items() if at - min(code) >= start]))
    return found


def analyse(source: str) -> list[Loop]:
    """Loops of an engine source file with at least FEWEST multiply-adds, compiled as CMake would."""
    path, program = FOLDER / "loop.s", FOLDER / "loop.o"
    flags = ["-std=c11", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-fPIC"]
    includes = [f"-I{ROOT / 'runtime/engine/include'}", f"-I{ROOT / 'runtime/engine/src'}"]
    run(*compiler(TARGETS["aarch64"]), *flags, *includes, "-c", ROOT / "runtime/engine/src" / source, "-o", program)
    result = []
    for function, offset, body in loops(run("aarch64-linux-gnu-objdump", "-d", "--no-show-raw-insn", program)):
        fma = sum(bool(FMA.search(each)) for each in body)
        if fma < FEWEST:
            continue
        path.write_text("\n".join(body) + "\n")
        share = {}
        for core, peak in PEAK.items():
            said = run("llvm-mca-19", "-mtriple=aarch64-linux-gnu", f"-mcpu={core}", f"-iterations={ITERATIONS}", path)
            cycles = int(re.search(r"Total Cycles:\s+(\d+)", said)[1]) / ITERATIONS
            share[core] = fma / peak / cycles
        result.append(Loop(function, offset, len(body), fma, share))
    return result


def report() -> list[str]:
    """A line per loop of the kernels written for NEON."""
    rows = [loop for name in ("gemm", "depthwise", "winograd") for loop in analyse(f"kernels/neon/{name}.c")]
    return [f"{row.function}+{row.offset:#x}: {row.instructions} instructions, {row.fma} fma  "
            + "  ".join(f"{core} {share:6.1%}" for core, share in row.share.items()) for row in rows]  # fmt: skip
