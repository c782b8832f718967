"""Opening files: what a model tells about itself, and how it refuses."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import runtime
from runtime import _binding
from runtime.reference.reader import read_model


def test_infos(image_model):
    (frame,) = image_model.inputs
    assert frame == runtime.InputInfo("frame", 12, 16, 3, False, False, (1, 3, 12, 16), (2, 3))
    assert image_model.outputs[0] == runtime.OutputInfo("map", "float32", (1, 4, 12, 16), (2, 3))
    assert image_model.outputs[1] == runtime.OutputInfo("flat", "float32", (192, 4), ())
    conv = image_model.nodes[0]
    assert conv == runtime.NodeInfo("conv", "conv2d", 12, 16, 4, True, 12 * 16 * 4 * 27)
    assert [node.op for node in image_model.nodes] == ["conv2d", "view", "reduce_pixels"]
    assert image_model.macs == conv.macs
    assert image_model.metadata["source"] == "conftest"
    with pytest.raises(dataclasses.FrozenInstanceError):
        conv.macs = 0


def test_infos_without_the_engine_are_the_same(image_model, vectors_model, monkeypatch):
    for model in (image_model, vectors_model):
        with monkeypatch.context() as patch:
            patch.setattr(_binding, "IMPORT_ERROR", ImportError("none"))
            other = runtime.Model.from_bytes(bytes(model._data))
        assert other.engine is None
        assert (other.inputs, other.outputs, other.nodes) == (model.inputs, model.outputs, model.nodes)


def test_prepared_input(make_image_model):
    (frame,) = make_image_model(prepared=True).inputs
    assert frame.prepared
    assert frame.resized


def test_load_maps_the_file(image_model, tmp_path):
    path = tmp_path / "net.fgm"
    path.write_bytes(bytes(image_model._data))
    model = runtime.Model.load(path)
    assert model.path == path
    assert "net.fgm" in repr(model)
    path.unlink()  # the mapping keeps the bytes
    assert runtime.Stream(model).push(np.zeros((12, 16, 3), np.float32))["mean"].shape == (1, 4)
    assert list(model.graph.values) == list(read_model(bytes(image_model._data)).values)


@pytest.mark.parametrize("content", [b"", b"\x89FGM", b"not a model" * 100])
def test_damaged_file_is_named(content, tmp_path):
    path = tmp_path / "bad.fgm"
    path.write_bytes(content)
    with pytest.raises(runtime.FormatError, match=r"bad\.fgm: "):
        runtime.Model.load(path)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.fgm"):
        runtime.Stream(tmp_path / "none.fgm")


def test_version_error_is_a_format_error_with_status(image_model):
    data = bytearray(image_model._data)
    data[8] = 9
    with pytest.raises(runtime.VersionError) as caught:
        runtime.Model.from_bytes(data)
    assert isinstance(caught.value, runtime.FormatError)
    assert caught.value.status == "FG_ERR_VERSION"
    assert caught.value.node is None


def test_from_bytes_copies(image_model):
    data = bytearray(image_model._data)
    model = runtime.Model.from_bytes(data)
    data[:] = bytes(len(data))
    assert runtime.Stream(model).push(np.zeros((12, 16, 3), np.uint8)).macs == model.macs


def test_from_bytes_takes_unaligned_memory(image_model):
    data = b"x" + bytes(image_model._data)
    assert runtime.Model.from_bytes(memoryview(data)[1:]).nodes == image_model.nodes


def test_stream_takes_a_path(image_model, tmp_path):
    path = tmp_path / "net.fgm"
    path.write_bytes(bytes(image_model._data))
    for each in (path, str(path), Path(path)):
        assert runtime.Stream(each).push(np.zeros((12, 16, 3), np.uint8)).skipped == 0
