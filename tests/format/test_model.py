"""Valid files open, and tell what was put into them."""

from __future__ import annotations

import ctypes
import sys
import time

import numpy as np
import pytest

from runtime.reference import format as fgm

from .builder import Builder, assemble
from .conftest import Loader
from .networks import CONV, DECONV, GATHER, POOL, conv_only, every_op, window


def test_every_op_opens(loader: Loader) -> None:
    net, _ = every_op()
    opened = loader.open(net.build().seal())
    assert opened.outcome.status == "OK", opened.outcome
    assert [opened.count(what) for what in ("input", "output", "node")] == [2, 4, len(net.nodes)]


def test_input_info(loader: Loader) -> None:
    opened = loader.open(every_op()[0].build().seal())
    image, state = opened.info("input", 0), opened.info("input", 1)
    assert (image.name, image.height, image.width, image.channels) == (b"input0", 8, 8, 3)
    assert (image.prepared, image.resized) == (1, 1)
    assert (state.height, state.width, state.channels, state.prepared, state.resized) == (1, 1, 8, 0, 0)


def test_output_info_strides_follow_the_stored_order(loader: Loader) -> None:
    """Strides of the source's shape over pixel axes first, the rest behind; by the output's own element size."""
    opened = loader.open(every_op()[0].build().seal())
    strides = [list(info.stride_bytes)[: info.rank] for info in (opened.info("output", i) for i in range(4))]
    assert strides == [[16, 4, 128, 16], [8, 32, 8], [4, 64], [1, 64, 16]]
    info = opened.info("output", 1)
    assert (info.name, info.dtype, info.rank, list(info.shape)) == (b"output1", 5, 3, [1, 4, 4, 0, 0, 0, 0, 0])
    assert (info.rows, info.cols) == (4, 4)


def test_node_info(loader: Loader) -> None:
    net, _ = every_op()
    opened = loader.open(net.build().seal())
    names = [opened.info("node", i).name.decode() for i in range(len(net.nodes))]
    nodes = {name: opened.info("node", i) for i, name in enumerate(names)}
    assert (nodes["conv"].op, nodes["conv"].gated, nodes["pool"].gated) == (b"conv2d", 1, 0)
    macs = {name: node.macs for name, node in nodes.items() if node.macs}
    assert macs == {
        "conv": 64 * 9 * 3 * 16,
        "depthwise": 16 * 9 * 16,
        "grouped": 16 * 8 * 8,
        "residual": 16 * 8 * 8,
        "deconv": 16 * (1 + 2 + 2 + 4) * 8 * 4,
        "matmul": 16 * 16 * 16,
        **dict.fromkeys(("norm", "gumbel"), 16 * 9 * 16 * 16),
        "shared": 16 * 16 * 16,
        "winograd": 64 * 9 * 16 * 16,
    }


@pytest.mark.parametrize(
    ("kernel", "stride", "dilation", "pad", "out"), [(4, 2, 1, 1, 9), (3, 4, 3, 5, 7), (2, 5, 1, 0, 3)]
)
def test_transposed_macs_count_taps_by_phase(
    loader: Loader, kernel: int, stride: int, dilation: int, pad: int, out: int
) -> None:
    net = Builder()
    x = net.input((4, 4, 2), (4, 4, 2), (0, 1))
    weights = net.constant(np.ones(kernel**2 * 2 * 16))
    words = (*window(kernel, stride, pad, dilation), 1, 0)
    y = net.node("deconv", DECONV, [x, weights, None, None], (out, out, 3), words)
    net.output(y, (out, out, 3), (0, 1))
    taps = sum((i % stride + pad - k * dilation) % stride == 0 for i in range(out) for k in range(kernel))
    assert loader.open(net.build().seal()).info("node", 0).macs == taps**2 * 2 * 3


def test_infos_refuse_bad_arguments(loader: Loader) -> None:
    opened = loader.open(conv_only().build().seal())
    for what in ("input", "output", "node"):
        function = getattr(loader.library, f"fg_model_{what}_info")
        assert function(opened.model, 1, ctypes.create_string_buffer(256)) == 1
        assert function(opened.model, 0, None) == 1
        assert getattr(loader.library, f"fg_model_{what}_count")(None) == 0


def test_failed_model_is_empty(loader: Loader) -> None:
    opened = loader.open(b"")
    assert [opened.count(what) for what in ("input", "output", "node")] == [0, 0, 0]


def test_status_texts(loader: Loader) -> None:
    for function in (loader.library.fg_status_name, loader.library.fg_status_message, loader.library.fg_op_name):
        function.restype = ctypes.c_char_p
    names = [loader.library.fg_status_name(status) for status in range(8)]
    assert names[:3] == [b"FG_OK", b"FG_ERR_ARGUMENT", b"FG_ERR_FORMAT"]
    assert names[7] == b"unknown status"
    assert len({loader.library.fg_status_message(status) for status in range(8)}) == 8
    assert [loader.library.fg_op_name(op) for op in (0, 1, 15, 16)] == [b"unknown", b"conv2d", b"transpose", b"unknown"]
    assert loader.library.fg_version() == 0x000100


def test_sections_that_may_be_skipped(loader: Loader) -> None:
    sections = conv_only().sections()
    data = assemble([*sections, (fgm.METADATA, 0, b'{"a": 1}'), (0x8000FFFF, 0, b"")]).seal()
    assert loader.open(data).outcome.status == "OK"


def test_minor_version_is_ignored(loader: Loader) -> None:
    file = conv_only().build()
    file.put_header("version_minor", 9)
    assert loader.open(file.seal()).outcome.status == "OK"


def test_no_nodes_and_no_constants(loader: Loader) -> None:
    net = Builder()
    net.output(net.input((1, 1, 1), ()), ())
    data = net.build().seal()
    opened = loader.open(data)
    assert (opened.outcome.status, opened.count("node")) == ("OK", 0)


@pytest.mark.parametrize(("in_", "kernel", "stride", "pad", "out", "opens"), [
    (8, 3, 2, 0, 3, True), (8, 3, 2, 0, 4, True), (8, 3, 2, 0, 5, False), (8, 3, 2, 0, 2, False),
    (7, 3, 2, 1, 4, True), (7, 3, 2, 1, 5, False),  # a fifth window would start in the trailing padding
    (2, 3, 2, 0, 1, True), (1, 4, 1, 0, 1, False),
])  # fmt: skip
def test_pool_sizes(loader: Loader, in_: int, kernel: int, stride: int, pad: int, out: int, opens: bool) -> None:
    net = Builder()
    x = net.input((in_, in_, 1), (in_, in_), (0, 1))
    y = net.node("pool", POOL, [x], (out, out, 1), (0, *window(kernel, stride, pad), 0))
    net.output(y, (out, out), (0, 1))
    assert (loader.open(net.build().seal()).outcome.status == "OK") is opens


def test_names_in_messages_are_short_and_printable(loader: Loader) -> None:
    net = Builder()
    x = net.input((1, 1, 1), ())
    y = net.node(
        "n" * 39 + "\n" + "m" * 500, CONV, [x, net.constant(np.ones(16)), None, None], (1, 1, 1), (*window(1), 1, 3)
    )
    net.output(y, ())
    outcome = loader.open(net.build().seal()).outcome
    assert outcome.message == f"node 0 '{'n' * 39}?' (conv2d): residual is 3, must be 0 to 2"


def test_shared_tables_do_not_make_opening_slow(loader: Loader) -> None:
    """Nodes may share a table; without a bound on their sum opening would take nodes times entries."""
    net = Builder()
    x = net.input((1, 65536, 1), (65536,), (0,))
    table = net.constant(np.zeros(65536, int))
    for i in range(1025):
        y = net.node(str(i), GATHER, [x, None, table, None], (1, 65536, 1), (1, 1))
    net.output(y, (65536,), (0,))
    data = net.build().seal()
    start = time.perf_counter()
    outcome = loader.open(data).outcome
    assert time.perf_counter() - start < 5
    assert outcome.message == "node 1024 '1024' (gather): col_map of 65536 entries: all tables together exceed 67108864"


def test_little_endian() -> None:
    assert sys.byteorder == "little"
