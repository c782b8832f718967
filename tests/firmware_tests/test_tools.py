"""Which compilers the firmware tests take, and what they install: apt's first, else PyPI's ziglang, else a word."""

from __future__ import annotations

import importlib.util
import os
import shutil
from types import SimpleNamespace

import pytest

pytest.importorskip("fcntl")  # the parts run on Linux

from cffi_build import cross
from firmware_tests import tools

CROSS = [name for name in tools.TARGETS if name != "host"]


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine to be equipped: the programs it has, whether ziglang is one of its packages; what was called."""
    there = SimpleNamespace(programs=set(), zig=False, calls=[])

    def call(*command, check=True):
        there.calls.append([str(word) for word in command])
        there.zig |= cross.REQUIREMENTS[0] in there.calls[-1]
        return 0

    spec = importlib.util.find_spec

    def find_spec(name, *rest):
        return (
            (SimpleNamespace(origin="/site/ziglang/__init__.py") if there.zig else None)
            if name == "ziglang"
            else spec(name, *rest)
        )

    monkeypatch.setattr(shutil, "which", lambda name, **_: f"/usr/bin/{name}" if name in there.programs else None)
    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    monkeypatch.setattr(tools, "call", call)
    monkeypatch.setattr(tools, "FOLDER", tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 0, raising=False)
    return there


@pytest.mark.parametrize("name", CROSS)
def test_a_compiler_of_the_machine_comes_first(machine, name):
    target = tools.TARGETS[name]
    machine.zig, machine.programs = True, {target.compiler}
    assert tools.compiler(target) == [f"/usr/bin/{target.compiler}"]
    definitions = tools.toolchain(name)
    assert definitions["CMAKE_C_COMPILER"] == f"/usr/bin/{target.compiler}"
    assert definitions["CMAKE_C_FLAGS"] == target.flags
    assert definitions["CMAKE_SYSTEM_NAME"] == target.system


@pytest.mark.parametrize("name", CROSS)
def test_else_zig_compiles(machine, name):
    machine.zig = True
    target = tools.TARGETS[name]
    words = tools.compiler(target)
    assert words[:3] == ["/site/ziglang/zig", "cc", "-target"]
    assert words[3:] == target.zig.split()
    definitions = tools.toolchain(name)
    assert definitions.keys() == {"CMAKE_TOOLCHAIN_FILE"}
    written = (tools.FOLDER / f"{name}.cmake").read_text()
    assert f'set(CMAKE_C_COMPILER "/site/ziglang/zig" cc -target {target.zig})' in written
    assert f"set(CMAKE_SYSTEM_NAME {target.system})" in written


def test_zig_stands_in_for_compilers_only(machine):
    programs = ["qemu-aarch64", *sorted(tools.COMPILERS)]
    assert tools.missing(programs) == programs
    machine.zig = True
    assert tools.missing(programs) == ["qemu-aarch64"]


def test_with_apt_packages_are_installed(machine, monkeypatch):
    machine.programs = {"apt-get"}

    def call(*command, check=True):
        machine.calls.append(list(command))
        machine.programs |= {"aarch64-linux-gnu-gcc"} if "install" in command else set()

    monkeypatch.setattr(tools, "call", call)
    tools.installed(["aarch64-linux-gnu-gcc"])
    assert [("update" in words, "install" in words) for words in machine.calls] == [(True, False), (False, True)]
    assert machine.calls[-1][-2:] == ["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"]


def test_without_apt_zig_is_installed_and_qemu_asked_for(machine, capsys):
    tools.installed(["qemu-aarch64", "aarch64-linux-gnu-gcc"])
    assert [words[1:4] for words in machine.calls] == [["-m", "pip", "install"]]
    assert machine.calls[0][-1].startswith("ziglang==")
    said = capsys.readouterr().out
    assert "missing: qemu-aarch64. " in said
    assert "apt install" in said
    assert "qemu-user" in said


def test_what_is_there_is_left_alone(machine, capsys):
    machine.programs = {"qemu-arm", "arm-none-eabi-gcc"}
    tools.installed(["qemu-arm", "arm-none-eabi-gcc"])
    assert machine.calls == []
    assert capsys.readouterr().out == ""


def test_zig_can_be_preferred(machine, monkeypatch):
    machine.programs = {"apt-get", "qemu-arm", *tools.COMPILERS}
    monkeypatch.setenv(tools.ZIG, "1")
    tools.installed(["qemu-arm", "arm-none-eabi-gcc"])
    assert [words[-1] for words in machine.calls] == [cross.REQUIREMENTS[0]]  # apt is not asked for compilers
    assert tools.compiler(tools.TARGETS["m4f"])[0] == "/site/ziglang/zig"
    assert tools.toolchain("m4f").keys() == {"CMAKE_TOOLCHAIN_FILE"}
