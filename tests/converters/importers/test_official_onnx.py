"""The official module's vectors through ONNX, without torch: SkipConv nodes, and Conv nodes with a description."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

import converters
import runtime
from runtime.reference.reader import read_model

from ... import skip_official as vectors
from .models import model

SAMPLE = Path(__file__).resolve().parents[2] / "data" / "skipconv"
ASSETS = os.environ.get("FRAMEGATE_ASSETS")
SETS = [SAMPLE, *([Path(ASSETS) / "skipconv_official"] if ASSETS else [])]
GATE = "gate.gate_network.0"


class Builder:
    """An ONNX model of official layers, and the description that makes plain convolutions into them."""

    def __init__(self, record, arrays, plain):
        self.plain, self.nodes, self.constants = plain, [], {}
        kind = record["gate"].replace("-", "_")
        self.gate = {"gate": kind, "structure": record["structure"], "reset_interval": record.get("reset_every", 0)}
        self.gate.update({} if kind == "gumbel" else {"eps": float(record["eps"])})
        self.shape = (1, *arrays["x"].shape[1:])
        self.gate_weights = {}

    def node(self, op, inputs, output, **attributes):
        self.nodes.append(helper.make_node(op, inputs, [output], output, **attributes))
        return output

    def conv(self, name, x, tensors, stride, padding, groups=1):
        """``tensors`` by the keys of the module's state dict."""
        self.constants.update({f"{name}.{key}": data for key, data in tensors.items() if not key.startswith("gate")})
        inputs = [x, f"{name}.weight", f"{name}.bias" if "bias" in tensors else ""]
        geometry = {"strides": [stride] * 2, "pads": [padding] * 4, "group": groups}
        gates = {f"{name}.{key}": data for key, data in tensors.items() if key.startswith("gate")}
        if self.plain:
            self.gate_weights.update(gates)
            return self.node("Conv", inputs, name, **geometry)
        self.constants.update(gates)
        return self.node("SkipConv", [*inputs, *gates], name, domain="framegate", **geometry, **self.gate)

    def norm(self, name, x, state):
        keys = [f"{name}.{key}" for key in ("weight", "bias", "running_mean", "running_var")]
        self.constants.update({key: state[key] for key in keys})
        return self.node("BatchNormalization", [x, *keys], f"{name}.y", epsilon=1e-5)

    def convert(self, path, **options):
        """Converts to a file."""
        description = {"gates": [{"match": "*", **self.gate}], "weights": self.gate_weights} if self.plain else None
        made = model(self.nodes, {"x": self.shape}, self.constants, ["z"])
        converters.convert(made, path, gates=description, **options)


def layer(record, arrays, plain):
    made = Builder(record, arrays, plain)
    keys = {"weight": "weight", "bias": "bias", f"{GATE}.weight": "gate_weight", f"{GATE}.bias": "gate_bias"}
    tensors = {key: arrays[name] for key, name in keys.items() if name in arrays}
    made.conv("conv", "x", tensors, record["stride"], record["padding"], record["groups"])
    made.node("Identity", ["conv"], "z")
    return made


def blocks(record, arrays, plain):
    made = Builder(record, arrays, plain)
    state = {key.removeprefix("state/"): data for key, data in arrays.items() if key.startswith("state/")}

    def unit(conv, norm, x, stride):
        tensors = {key.removeprefix(f"{conv}."): data for key, data in state.items() if key.startswith(f"{conv}.")}
        return made.norm(norm, made.conv(conv, x, tensors, stride, tensors["weight"].shape[2] // 2), state)

    x = "x"
    for i, (_, _, stride) in enumerate(record["blocks"]):
        first = made.node("Relu", [unit(f"{i}.c1", f"{i}.b1", x, stride)], f"{i}.relu")
        second = unit(f"{i}.c2", f"{i}.b2", first, 1)
        total = made.node("Add", [second, unit(f"{i}.sc", f"{i}.b3", x, stride)], f"{i}.add")
        x = made.node("Relu", [total], "z" if i == len(record["blocks"]) - 1 else f"{i}.out")
    return made


@pytest.mark.parametrize("folder", SETS, ids=lambda folder: folder.name)
@pytest.mark.parametrize("make", [layer, blocks])
@pytest.mark.parametrize("plain", [False, True], ids=["nodes", "description"])
def test_vectors_of_the_official_module(folder, make, plain, tmp_path):
    count = 0
    for record, arrays in vectors.entries(folder, "layers" if make is layer else "nets"):
        path = tmp_path / "net.fgm"
        make(record, arrays, plain).convert(path)
        stream = runtime.Stream(path)
        layers, reset = record.get("layers", ["conv"]), record.get("reset_every", 0)
        found = vectors.judge(read_model(path), stream, arrays, layers, reset)
        assert found.problems == [], record
        assert found.worst <= 1e-5, record
        count += 1
    assert count


def test_one_switch_makes_any_of_them_a_closed_loop(tmp_path):
    record, arrays = next(vectors.entries(SAMPLE, "nets"))
    blocks(record, arrays, False).convert(tmp_path / "net.fgm", skip_mode="closed_loop")
    exact = runtime.Stream(tmp_path / "net.fgm", threshold_scale=0)
    dense = runtime.Stream(tmp_path / "net.fgm", gating=False)
    for frame in arrays["x"]:
        image = np.ascontiguousarray(frame.transpose(1, 2, 0))
        assert np.array_equal(exact.push(image)["z"], dense.push(image)["z"])
