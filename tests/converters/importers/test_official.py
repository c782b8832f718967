"""Networks with official Skip-Convolutions through the converter: the file computes what the module computes."""

from __future__ import annotations

import os
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

import converters
import runtime
from runtime.reference.reader import read_model

torch = pytest.importorskip("torch")

from ... import skip_official as vectors  # noqa: E402
from . import official  # noqa: E402 - needs torch

pytestmark = pytest.mark.filterwarnings("ignore")
SAMPLE = Path(__file__).resolve().parents[2] / "data" / "skipconv"
ASSETS = os.environ.get("FRAMEGATE_ASSETS")
SETS = [SAMPLE, *([Path(ASSETS) / "skipconv_official"] if ASSETS else [])]


class Named(torch.nn.Module):
    """A network whose input is called x and whose output z; its layers keep their names."""

    def __init__(self, network):
        super().__init__()
        self._modules.update(network.named_children())
        self._order = list(network._modules)

    def forward(self, x):
        for name in self._order:
            x = self._modules[name](x)
        return {"z": x}


def single(record, arrays):
    """The layer of a record, as the network's only one, called conv."""
    weight = torch.from_numpy(arrays["weight"])
    gate = {"gate_type": official.GateType.GUMBEL, "structure": record["structure"]}
    if record["gate"] != "gumbel":
        kind = official.NormGateType(record["gate"].removeprefix("norm-"))
        gate = {"gate_type": official.GateType.NORM, "norm": kind, "eps": record["eps"]}
    geometry = [record[key] for key in ("stride", "padding")]
    layer = official.SkipConv2d(
        weight.shape[1] * record["groups"],
        len(weight),
        tuple(weight.shape[2:]),
        *geometry,
        groups=record["groups"],
        bias="bias" in arrays,
        **gate,
    )
    keys = {"weight": "weight", "bias": "bias"}
    keys.update({f"gate.gate_network.0.{key}": f"gate_{key}" for key in ("weight", "bias")})
    layer.load_state_dict({key: torch.from_numpy(arrays[name]) for key, name in keys.items() if name in arrays})
    return torch.nn.Sequential(OrderedDict(conv=layer))


def blocks(record, arrays):
    network = official.network(record["gate"], record["eps"], record["structure"], record["blocks"])
    state = {key.removeprefix("state/"): value for key, value in arrays.items() if key.startswith("state/")}
    network.load_state_dict({key: torch.from_numpy(np.asarray(value)) for key, value in state.items()})
    return network


@pytest.mark.parametrize("folder", SETS, ids=lambda folder: folder.name)
@pytest.mark.parametrize("kind", ["layers", "nets"])
def test_vectors_of_the_official_module(folder, kind, tmp_path, backend):
    count = 0
    for record, arrays in vectors.entries(folder, kind):
        network = (single if kind == "layers" else blocks)(record, arrays)
        reset = record.get("reset_every", 0)
        description = {"gates": [{"match": "*", "reset_interval": reset}]}
        shape = (1, *arrays["x"].shape[1:])
        converters.convert(Named(network), tmp_path / "net.fgm", input_shape=shape, gates=description)
        layers = record.get("layers", ["conv"])
        stream = runtime.Stream(tmp_path / "net.fgm", backend=backend)
        found = vectors.judge(read_model(tmp_path / "net.fgm"), stream, arrays, layers, reset)
        assert found.problems == [], record
        assert found.worst <= 1e-5, record
        count += 1
    assert count


@pytest.mark.parametrize("kind", ["norm-input", "norm-output", "gumbel"])
@pytest.mark.parametrize("reset", [0, 3])
def test_a_random_network_frame_by_frame(kind, reset, tmp_path, backend):
    torch.manual_seed(1)
    eps = {"norm-input": 0.004, "norm-output": 0.0002}.get(kind, 0.0)
    network = official.network(kind, eps, 2, [[3, 8, 2], [8, 8, 1]], bias=True)
    official.randomize(network)
    description = {"gates": [{"match": "*", "reset_interval": reset}]}
    converters.convert(Named(network), tmp_path / "net.fgm", input_shape=(1, 3, 32, 40), gates=description)
    clip = official.moving_square(12, 32, 40)
    stream = runtime.Stream(tmp_path / "net.fgm", backend=backend)
    layers = {name: module for name, module in network.named_modules() if isinstance(module, official.SkipConv2d)}
    shares = []
    for t, expected in enumerate(official.resetting(network, clip, reset)):
        result = stream.push(np.ascontiguousarray(clip[t].transpose(1, 2, 0)))["z"][0]
        assert np.linalg.norm(result - expected) <= 1e-5 * np.linalg.norm(expected), t
        for name, layer in layers.items():
            assert stream.stats(name).macs_official == layer.mac, (t, name)
        shares.append(float(np.mean([float(layer.mask.mean()) for layer in layers.values()])))
    assert 0.01 < np.mean(shares[1:3]) < 0.5, "the clip must make gates fire somewhere, and not everywhere"


def test_closed_loop_follows_what_the_trained_mode_loses(tmp_path):
    torch.manual_seed(1)
    network = official.network("norm-input", 0.01, 1, [[3, 8, 2]])
    errors = {}
    for mode in ("trained", "closed_loop"):
        converters.convert(network, tmp_path / "net.fgm", input_shape=(1, 3, 32, 40), skip_mode=mode)
        gated, dense = (runtime.Stream(tmp_path / "net.fgm", gating=gating) for gating in (True, False))
        base = official.moving_square(1, 32, 40)[0].transpose(1, 2, 0)
        for t in range(60):
            frame = np.ascontiguousarray(base + np.float32(0.01 * t))
            a, b = (np.array(stream.push(frame)["output"]) for stream in (gated, dense))
        errors[mode] = float(np.linalg.norm(a - b) / np.linalg.norm(b))
    assert errors["closed_loop"] < 0.2 * errors["trained"], errors


@pytest.mark.parametrize("gate", ["norm_input", "norm_output", "gumbel"])
@pytest.mark.parametrize("update", ["residual", "recompute"])
@pytest.mark.parametrize("reference", ["last", "fired"])
def test_our_modules_frame_by_frame(gate, update, reference, tmp_path):
    skipconv = pytest.importorskip("converters.skipconv")
    torch.manual_seed(2)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, 2, 1), torch.nn.BatchNorm2d(8), torch.nn.ReLU(), torch.nn.Conv2d(8, 8, 3, 1, 1)
    )
    official.randomize(network)
    eps = {"norm_input": 0.5, "norm_output": 20.0}.get(gate, 0.0)
    names = skipconv.skipify(network, gate=gate, eps=eps, structure=4, update=update, reference=reference)
    for name in names if gate == "gumbel" else []:
        torch.nn.init.constant_(network.get_submodule(name).gate.gate_network[0].bias, -0.05)
    converters.convert(network, tmp_path / "net.fgm", input_shape=(1, 3, 30, 42))
    stream = runtime.Stream(tmp_path / "net.fgm", refresh=0)
    network.eval()
    for t, frame in enumerate(official.moving_square(10, 30, 42)):
        with torch.no_grad():
            expected = network(torch.from_numpy(frame)[None]).numpy()
        result = stream.push(np.ascontiguousarray(frame.transpose(1, 2, 0)))["output"]
        assert np.linalg.norm(result - expected) <= 1e-5 * np.linalg.norm(expected), t
        if t:
            layer = network.get_submodule(names[0])
            assert 0 < float(layer.firing) < 0.6
            if reference == "last":
                stats = stream.stats(names[0])
                assert stats.macs == round(float(layer.firing) * stats.macs_dense)


def test_layers_that_share_a_gate_come_nearer_to_dense(tmp_path):
    skipconv = pytest.importorskip("converters.skipconv")
    torch.manual_seed(2)
    expand, depthwise = torch.nn.Conv2d(3, 12, 1), torch.nn.Conv2d(12, 12, 3, 1, 1, groups=12)
    for project in (torch.nn.Identity(), torch.nn.Conv2d(12, 4, 1)):
        network = torch.nn.Sequential(expand, torch.nn.ReLU(), depthwise, torch.nn.ReLU(), project)
        names = skipconv.skipify(
            network, gate="norm_input", eps=0.5, reference="fired", select=lambda *_: True, share=lambda *_: "block"
        )
        converters.convert(network, tmp_path / "net.fgm", input_shape=(1, 3, 30, 42))
        stream, dense = (runtime.Stream(tmp_path / "net.fgm", gating=gating, refresh=0) for gating in (True, False))
        network.eval()
        for frame in official.moving_square(6, 30, 42):
            with torch.no_grad():
                module = network(torch.from_numpy(frame)[None]).numpy()
            image = np.ascontiguousarray(frame.transpose(1, 2, 0))
            found, exact = (np.array(each.push(image)["output"]) for each in (stream, dense))
        assert 0 < float(network.get_submodule(names[0]).firing) < 0.5
        own, theirs = (float(np.linalg.norm(result - exact)) for result in (found, module))
        assert own <= theirs + 1e-5 * float(np.linalg.norm(exact))
        if isinstance(project, torch.nn.Identity):  # the followers' masks reach all that the leader changes
            assert np.linalg.norm(found - module) <= 1e-5 * np.linalg.norm(module)
