"""Files the writer makes, opened by the engine's loader compiled alone."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from converters.passes import PIPELINE
from converters.writer import to_bytes
from runtime.reference.graph import Activation, Binary, Concat, Pool, Preprocess, ReducePixels, Resize, View

SOURCES = Path(__file__).parents[2] / "runtime" / "engine" / "src"
COMPILER = shutil.which("cc") or shutil.which("gcc")
pytestmark = pytest.mark.skipif(COMPILER is None, reason="no C compiler: install gcc or clang")


@pytest.fixture(scope="module")
def refusal(tmp_path_factory: pytest.TempPathFactory) -> Callable[[bytes], str]:
    """What the loader says to a file: "" where it opens it."""
    library = tmp_path_factory.mktemp("loader") / "loader.so"
    sources = [SOURCES / "status.c", *sorted(SOURCES.glob("model*.c"))]
    subprocess.run([str(COMPILER), "-std=c11", "-O0", "-shared", "-fPIC", "-o", library, *sources], check=True)
    engine = ctypes.CDLL(str(library))

    def check(data: bytes) -> str:
        model, error = (ctypes.c_uint64 * 16)(), (ctypes.c_uint64 * 32)()
        aligned = (ctypes.c_uint64 * (len(data) // 8 + 1))()
        ctypes.memmove(aligned, data, len(data))
        status = engine.fg_model_open(model, aligned, ctypes.c_size_t(len(data)), error)
        return ctypes.string_at(ctypes.addressof(error) + 16).decode() if status else ""  # message of fg_error

    return check


def test_operators_before_and_after_the_passes(network, refusal: Callable[[bytes], str]) -> None:
    n = network(12, 10, 3)
    n.graph.inputs[0].preprocess = Preprocess(Resize.STRETCH)
    y = n.unary(n.conv(n.pad("x", 1, 2, 1, 0), 8, kernel=3), Activation.RELU)
    z = n.binary(Binary.MUL, y, n.unary(y, Activation.SIGMOID))
    squeezed = n.unary(n.conv(n.node(ReducePixels(0), [z], (1, 1, 8)), 8), Activation.HARD_SIGMOID, 0.2, 0.5)
    z = n.binary(Binary.ADD, n.conv(n.binary(Binary.MUL, z, squeezed), 8, kernel=3, pad=1, groups=8), y)
    z = n.node(Concat(2), [z, n.conv(y, 24, groups=2)], (*n.extents(z)[:2], 32))
    rows, cols, channels = n.extents(z)
    pooled = n.node(Pool(0, 2, 2, 2, 2), [z], (rows // 2, cols // 2, channels))
    up = n.conv_transpose(pooled, 5)
    flat = n.node(View(), [pooled], (1, 1, rows // 2 * (cols // 2) * channels))
    graph = n.finish(up, n.conv(flat, 10))
    assert refusal(to_bytes(graph)) == ""
    for function in PIPELINE:
        graph = function(graph)
        assert refusal(to_bytes(graph)) == "", function.__name__
    assert any(node.gate for node in graph.nodes)


def test_the_loader_is_really_asked(network, refusal: Callable[[bytes], str]) -> None:
    n = network()
    data = bytearray(to_bytes(n.finish(n.conv("x", 2))))
    data[-1] ^= 1
    assert "checksum" in refusal(bytes(data))


def test_constants_keep_their_bits(network, refusal: Callable[[bytes], str]) -> None:
    n = network()
    graph = n.finish(n.binary(Binary.ADD, "x", np.array([np.inf, -0.0, 1e-40], np.float32)))
    assert refusal(to_bytes(graph)) == ""
