"""Every Python module has a test file where one looks for it: a/b/c.py is tested by tests/a/b/test_c.py."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ELSEWHERE = {  # tested through what uses them
    "runtime/_binding.py": "tests/runtime/test_binding.py",
    "runtime/__main__.py": "tests/runtime/test_main.py",
    "runtime/rivals/litert.py": "tests/runtime/rivals/test_rivals.py",
    "runtime/rivals/mnn.py": "tests/runtime/rivals/test_rivals.py",
    "runtime/rivals/ncnn.py": "tests/runtime/rivals/test_rivals.py",
    "runtime/rivals/openvino.py": "tests/runtime/rivals/test_rivals.py",
    "runtime/rivals/ort.py": "tests/runtime/rivals/test_rivals.py",
    "runtime/clip.py": "tests/runtime/test_main.py",
    "runtime/info.py": "tests/runtime/test_main.py",
    "runtime/run.py": "tests/runtime/test_main.py",
    "runtime/work_map.py": "tests/runtime/test_main.py",
    "runtime/errors.py": "tests/runtime/test_binding.py",
    "runtime/reference/errors.py": "tests/runtime/test_binding.py",
    "runtime/reference/format.py": "tests/runtime/reference/test_reader.py",
    "runtime/reference/graph.py": "tests/runtime/reference/test_reader.py",
}


def test_every_module_has_a_mirror():
    missing = []
    for package in ("runtime", "converters", "cffi_build"):
        for path in sorted((ROOT / package).rglob("*.py")):
            name = path.relative_to(ROOT)
            if path.name == "__init__.py":
                continue
            mirror = ROOT / ELSEWHERE.get(name.as_posix(), f"tests/{name.parent.as_posix()}/test_{name.stem}.py")
            if not mirror.exists():
                missing.append(f"{name}: no {mirror.relative_to(ROOT)}")
    assert missing == []
