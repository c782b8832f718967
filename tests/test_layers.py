"""The floors: who may include or import whom. docs/architecture.md has the picture."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SRC = ROOT / "runtime" / "engine" / "src"
KERNELS, OPS, THREADS = SRC / "kernels", SRC / "ops", SRC / "threads"
PUBLIC = ROOT / "runtime" / "engine" / "include" / "framegate.h"
BELOW_OPS = {"checked.h", "format.h", "graph.h", "mask.h", "node.h"}  # and kernels/
STANDARD = {"float.h", "limits.h", "math.h", "stdatomic.h", "stdbool.h", "stddef.h", "stdint.h", "string.h"}
DETECTION = {"cpuid.h", "sys/auxv.h"}


def c_files() -> list[Path]:
    return sorted(path for suffix in ("c", "h", "def") for path in SRC.rglob(f"*.{suffix}"))


def includes(path: Path) -> tuple[set[Path], set[str]]:
    """(files of ours, system headers) that a C file includes."""
    text = path.read_text(encoding="utf-8")
    own = {(path.parent / name).resolve() for name in re.findall(r'^\s*#\s*include\s+"([^"]+)"', text, re.MULTILINE)}
    return own, set(re.findall(r"^\s*#\s*include\s+<([^>]+)>", text, re.MULTILINE))


def python_files(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """(absolute name of a module, whether the import stands in a function) of a Python file."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]

    def visit(node: ast.AST, inside: bool) -> Iterator[tuple[str, bool]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from ((alias.name, inside) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                base = ".".join(package[: len(package) + 1 - child.level]) if child.level else ""
                module = ".".join(filter(None, (base, child.module)))
                yield from ((module if child.module else f"{module}.{alias.name}", inside) for alias in child.names)
            else:
                yield from visit(child, inside or isinstance(child, ast.FunctionDef))

    yield from visit(ast.parse(path.read_text(encoding="utf-8")), False)


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", c_files(), ids=relative)
def test_c_floor(path):
    own, system = includes(path)
    if THREADS in path.parents:
        assert own <= {PUBLIC}
        return
    assert not any(THREADS in other.parents for other in own)
    extra = {"immintrin.h", "arm_neon.h"} if KERNELS in path.parents else set()
    assert system <= STANDARD | extra | (DETECTION if path.name == "isa.c" else set())
    if KERNELS in path.parents:
        isa = path.relative_to(KERNELS).parts[0]
        for other in own - {SRC / "format.h"} - ({PUBLIC} if path.name == "isa.c" else set()):
            assert KERNELS in other.parents, f"a kernel knows nothing above it, so not {other}"
            assert other.parent == KERNELS or other.relative_to(KERNELS).parts[0] == isa, f"another ISA: {other}"
        assert not re.search(r"\b(fg_model|fg_stream|fg_graph|FG_OP_\w+)\b", path.read_text(encoding="utf-8"))
    elif OPS in path.parents:
        for other in own - {PUBLIC}:
            assert {OPS, KERNELS} & set(other.parents) or other.name in BELOW_OPS, f"above the operators: {other}"


def test_c_files_stay_small():
    long = {relative(path): len(path.read_text(encoding="utf-8").splitlines()) for path in c_files()}
    assert {name: lines for name, lines in long.items() if lines > 600} == {}


@pytest.mark.parametrize("path", python_files("runtime"), ids=relative)
def test_runtime_floor(path):
    for module, inside in imports(path):
        top = module.partition(".")[0]
        assert top not in ("onnx", "torch", "onnxruntime"), module
        assert top != "converters" or (path.name == "__main__.py" and inside), "the convert verb imports lazily"
        if "reference" in path.parts:
            assert top != "runtime" or module.startswith("runtime.reference"), (
                f"the specification stands alone: {module}"
            )


@pytest.mark.parametrize("path", python_files("converters"), ids=relative)
def test_converters_floor(path):
    for module, inside in imports(path):
        top = module.partition(".")[0]
        assert top != "runtime" or module.startswith("runtime.reference"), module
        assert not top.startswith("onnx") or "importers" in path.parts, module
        training = {"skipconv", "tuning"} & set(path.parts)  # PyTorch, an extra that nothing else imports
        assert top != "torch" or inside or training, "torch only inside a function"
        extra = module.startswith(("converters.skipconv", "converters.tuning"))
        assert training or inside or not extra, "it needs torch"


@pytest.mark.parametrize("package", ["runtime", "converters"])
def test_imports_inside_a_package_are_relative(package):
    for path in python_files(package):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            assert not any(name.partition(".")[0] == package for name in names), path
