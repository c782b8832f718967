"""C packages that must not be shipped are refused. Good ones are built and used in firmware_tests."""

from __future__ import annotations

import pytest

from cffi_build import cross, package


@pytest.fixture
def unpacked(tmp_path, monkeypatch):
    for name in package.FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    names = frozenset(cross.engine_functions())
    library = cross.Library("EM_AARCH64", frozenset(), names, frozenset(), (2, 17), True)
    monkeypatch.setattr(cross, "inspect", lambda path: library)
    return tmp_path


def test_good_package(unpacked):
    assert "needs glibc 2.17" in package.check(unpacked, "aarch64")


def test_missing_file(unpacked):
    (unpacked / "share/doc/framegate/LICENSE").unlink()
    with pytest.raises(cross.BuildError, match="lacks share/doc/framegate/LICENSE"):
        package.check(unpacked, "aarch64")


def test_other_machine(unpacked):
    with pytest.raises(cross.BuildError, match=r"libframegate.so is for EM_AARCH64, not EM_X86_64"):
        package.check(unpacked, "x86_64")


def test_engine_that_grew(unpacked):
    (unpacked / "lib/libframegate.so").write_bytes(b"x" * (cross.TARGETS["aarch64"].largest_engine + 1))
    with pytest.raises(cross.BuildError, match="bytes, more than"):
        package.check(unpacked, "aarch64")


def test_path_of_the_build(unpacked):
    (unpacked / "lib/pkgconfig/framegate.pc").write_text(f"prefix={cross.ROOT}/build")
    with pytest.raises(cross.BuildError, match="names the folder it was built in"):
        package.check(unpacked, "aarch64")
