"""What a shared library may need and offer, and headers for another word size. Builds are tested in firmware_tests."""

from __future__ import annotations

import dataclasses

import pytest

from cffi_build import cross
from runtime import _engine

GOOD = cross.Library("EM_AARCH64", frozenset({"libc.so.6"}), frozenset({"f"}), frozenset({"memcpy"}), (2, 17), True)


def test_good_library_has_no_complaints():
    assert cross.complaints(GOOD, "aarch64", {"f"}) == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"machine": "EM_X86_64"}, "is for EM_X86_64, not EM_AARCH64"),
        ({"needed": frozenset({"libgomp.so.1", "libc.so.6"})}, "needs libgomp.so.1"),
        ({"glibc": (2, 34)}, "needs glibc 2.34, more than 2.17"),
        ({"exported": frozenset({"f", "internal"})}, "exports internal too many or too few"),
        ({"exported": frozenset()}, "exports f too many or too few"),
        ({"stripped": False}, "is not stripped"),
    ],
)
def test_complaints(change, complaint):
    assert cross.complaints(dataclasses.replace(GOOD, **change), "aarch64", {"f"}) == [complaint]


def test_inspect_reads_the_extension():
    pytest.importorskip("elftools")
    library = cross.inspect(cross.Path(_engine.__file__))
    assert library.exported >= {"PyInit__engine"}
    assert "libc.so.6" in library.needed
    assert "memcpy" in library.imported
    assert library.glibc >= (2, 2)
    assert library.machine.startswith("EM_")


def test_extension_is_small():
    elffile = pytest.importorskip("elftools.elf.elffile")
    with cross.Path(_engine.__file__).open("rb") as file:
        elf = elffile.ELFFile(file)
        targets = [target for target in cross.TARGETS.values() if target.machine == elf["e_machine"]]
        if not targets:
            pytest.skip("no limit for this machine")
        loaded = 2  # SHF_ALLOC: what strip leaves
        size = sum(section["sh_size"] for section in elf.iter_sections() if section["sh_flags"] & loaded)
    assert size <= targets[0].largest_engine + cross.GLUE


def test_engine_functions_are_those_of_the_header():
    bound = {name for name in dir(_engine.lib) if name.startswith("fg_")}
    assert cross.engine_functions() == bound


def test_sizes_become_the_compilers():
    text = "#define SIZEOF_LONG 8\n#define SIZEOF_LONG_LONG 8\n# define SIZEOF_SIZE_T 8\n#define SIZEOF_INT 4\n"
    expected = (
        "#define SIZEOF_LONG __SIZEOF_LONG__\n#define SIZEOF_LONG_LONG 8\n"
        "#define SIZEOF_SIZE_T __SIZEOF_POINTER__\n#define SIZEOF_INT 4\n"
    )
    assert cross.sized_by_compiler(text) == expected


def test_toolchain_names_target_and_glibc(monkeypatch, tmp_path):
    monkeypatch.setattr(cross, "BUILD", tmp_path)
    monkeypatch.setattr(cross, "zig", lambda: "/x/zig")
    path = cross.toolchain("armv7l")
    text = path.read_text()
    assert 'set(CMAKE_C_COMPILER "/x/zig" cc -target arm-linux-gnueabihf.2.17 ' in text
    assert "set(CMAKE_SYSTEM_PROCESSOR armv7l)" in text
    before = path.stat().st_mtime_ns
    assert cross.toolchain("armv7l").stat().st_mtime_ns == before


def test_failed_command_is_an_error():
    with pytest.raises(cross.BuildError, match="false ended with status 1"):
        cross.run("false")
