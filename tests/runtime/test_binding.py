"""The extension: declarations, status codes, thread pools."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import runtime
from runtime import _binding, _engine

ROOT = Path(__file__).resolve().parents[2]


def test_version_is_the_header_s():
    header = (ROOT / "runtime" / "engine" / "include" / "framegate.h").read_text()
    assert f'FG_VERSION_STRING "{runtime.__version__}"' in header


def test_constants_survive():
    assert _engine.lib.FG_NONE == 0xFFFFFFFF
    assert _engine.lib.FG_MEMORY_ALIGN == 64


def test_only_the_binding_imports_the_extension():
    for path in (ROOT / "runtime").rglob("*.py"):
        if path.name != "_binding.py":
            assert "_engine import" not in path.read_text(), path
            assert "import _engine" not in path.read_text(), path


@pytest.mark.parametrize(
    ("status", "error", "builtin"),
    [
        (1, runtime.ArgumentError, ValueError),
        (2, runtime.FormatError, ValueError),
        (3, runtime.VersionError, ValueError),
        (4, runtime.UnsupportedError, NotImplementedError),
        (5, runtime.OutOfMemoryError, MemoryError),
        (6, runtime.StateError, RuntimeError),
    ],
)
def test_status_becomes_an_exception(status, error, builtin):
    failure = _engine.ffi.new("fg_error *", {"status": status, "node": 3, "offset": 70, "message": b"what is wrong"})
    with pytest.raises(error, match="what is wrong") as caught:
        _binding._check(status, failure)
    assert isinstance(caught.value, builtin)
    assert isinstance(caught.value, runtime.Error)
    assert (caught.value.node, caught.value.offset) == (3, 70)
    assert caught.value.status.startswith("FG_ERR_")


def test_ok_and_messages_without_a_story():
    _binding._check(0)
    with pytest.raises(runtime.StateError, match=r"\w"):
        _binding._check(6)


def test_isa_name():
    assert _binding.isa_name(_binding.SCALAR_ISA)
    assert _binding.isa_name(_binding.BEST_ISA)


def test_aligned_bytes():
    for size in (1, 64, 1000):
        memory = _binding.aligned_bytes(size)
        assert memory.size == size
        assert _binding.address(memory) % 64 == 0


def test_pools_are_shared():
    assert _binding._pools.get(2) == _binding._pools.get(2)


def test_streams_share_a_pool_from_many_threads(image_model, rng):
    clip = [rng.integers(0, 9, (12, 16, 3)).astype(np.uint8) for _ in range(30)]
    expected = [runtime.Stream(image_model, gating=False).push(frame)["map"].copy() for frame in clip]

    def work(_):
        stream = runtime.Stream(image_model, threads=3)
        return all(np.array_equal(stream.push(frame)["map"], y) for frame, y in zip(clip, expected, strict=True))

    with ThreadPoolExecutor(4) as executor:
        assert all(executor.map(work, range(8)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_stream_goes_on_after_a_fork(image_model, rng):
    frame = rng.integers(0, 9, (12, 16, 3)).astype(np.uint8)
    stream = runtime.Stream(image_model, threads=2)
    expected = stream.push(frame)["map"].copy()
    child = os.fork()
    if child == 0:
        try:
            fresh = runtime.Stream(image_model, threads=2)
            same = all(np.array_equal(each.push(frame)["map"], expected) for each in (stream, fresh))
        except BaseException:
            os._exit(2)
        os._exit(0 if same else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_import_error_names_the_remedy():
    assert _binding.IMPORT_ERROR is None, f"run `{sys.executable} build.py develop`"
