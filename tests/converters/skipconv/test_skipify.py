"""Replacing the convolutions of a network."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

import converters  # noqa: E402
import runtime  # noqa: E402
from converters.skipconv import (  # noqa: E402
    GumbelGate,
    NormGate,
    SkipConv2d,
    as_clips,
    by_parent,
    skip_layers,
    skipify,
    statistics,
)


class Block(nn.Module):
    """An inverted residual block."""

    def __init__(self, channels, stride=1):
        super().__init__()
        self.expand = nn.Conv2d(channels, 2 * channels, 1)
        self.depthwise = nn.Conv2d(2 * channels, 2 * channels, 3, stride, 1, groups=2 * channels)
        self.project = nn.Conv2d(2 * channels, channels, 1, bias=False)

    def forward(self, x):
        return self.project(self.depthwise(self.expand(x).relu()).relu())


def network():
    torch.manual_seed(4)
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), Block(8), Block(8, 2), nn.Conv2d(8, 5, 1))


def test_weights_are_kept_and_open_gates_give_the_same_outputs():
    plain, gated = network().eval(), network().eval()
    names = skipify(gated, gate="norm_output", eps=-1, select=lambda _name, _conv: True)
    assert len(names) == 8
    assert not any(type(module) is nn.Conv2d for module in gated.modules())
    assert {n: p.shape for n, p in gated.named_parameters()} == {n: p.shape for n, p in plain.named_parameters()}
    with torch.no_grad():
        for _ in range(3):
            x = torch.rand(1, 3, 16, 16)
            np.testing.assert_allclose(gated(x).numpy(), plain(x).numpy(), atol=2e-6)


def test_state_dict_round_trip():
    first, second = network(), network()
    skipify(first, structure=2)
    skipify(second, structure=2)
    for parameter in first.parameters():
        nn.init.normal_(parameter, std=0.2)
    second.load_state_dict(first.state_dict())
    x = torch.rand(4, 3, 16, 16)
    with torch.no_grad(), as_clips(first, 4), as_clips(second, 4):
        np.testing.assert_array_equal(first.eval()(x).numpy(), second.eval()(x).numpy())


def test_selection_and_options():
    net = network().eval()
    assert skipify(net, structure=4, update="recompute", reference="fired") == ["0", "2.depthwise", "3.depthwise"]
    layers = skip_layers(net)
    assert list(layers) == ["0", "2.depthwise", "3.depthwise"]
    assert all(isinstance(layer.gate, GumbelGate) and layer.gate.structure == 4 for layer in layers.values())
    assert all(not layer.training for layer in layers.values())
    assert {layer.framegate_reference for layer in layers.values()} == {"fired"}
    assert len({id(layer.gate) for layer in layers.values()}) == 3
    with pytest.raises(ValueError, match="no convolution was selected"):
        skipify(net)  # all spatial ones are gated already
    with pytest.raises(ValueError, match="gate is 'learned'"):
        skipify(network(), gate="learned")


def test_gates_are_shared_by_block():
    net = network()
    skipify(net, gate="norm_input", eps=0.5, select=lambda name, _conv: "." in name, share=by_parent)
    layers = skip_layers(net)
    assert [name for name, layer in layers.items() if layer.leads] == ["2.expand", "3.expand"]
    assert layers["2.project"].gate is layers["2.expand"].gate is not layers["3.expand"].gate
    assert isinstance(net[0], nn.Conv2d)
    assert not isinstance(net[0], SkipConv2d)
    assert isinstance(layers["2.expand"].gate, NormGate)
    with as_clips(net, 4):
        y = net.train()(torch.rand(8, 3, 16, 16))
    assert y.shape == (8, 5, 4, 4)
    y.sum().backward()


def test_a_bare_convolution_has_no_parent():
    with pytest.raises(ValueError, match=r"nn\.Sequential"):
        skipify(nn.Conv2d(1, 1, 3))


@pytest.mark.filterwarnings("ignore:the compiled engine is missing", "ignore::DeprecationWarning")
@pytest.mark.parametrize("update", ["residual", "recompute"])
@pytest.mark.parametrize("reference", ["last", "fired"])
@pytest.mark.parametrize("gate", ["gumbel", "norm_input", "norm_output"])
def test_converted_it_gives_the_same_stream(gate, update, reference, tmp_path):
    """Outputs of the engine, frame by frame, and the positions it updates."""
    pytest.importorskip("onnx")
    torch.manual_seed(6)
    net = nn.Sequential(
        nn.Conv2d(3, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 6, 3, 1, 1), nn.ReLU(), nn.Conv2d(6, 2, 1)
    )
    nn.init.uniform_(net[1].weight, 0.5, 2)
    nn.init.uniform_(net[1].running_var, 0.5, 2)
    nn.init.normal_(net[1].running_mean)
    eps = {"norm_input": 1.7, "norm_output": 40.0, "gumbel": 0.0}[gate]
    skipify(net.eval(), gate=gate, eps=eps, structure=2, update=update, reference=reference)
    for layer in skip_layers(net).values():
        if gate == "gumbel":
            nn.init.uniform_(layer.gate.gate_network[0].weight, 0, 0.2)
            nn.init.constant_(layer.gate.gate_network[0].bias, -0.3)
    converters.convert(net, tmp_path / "net.fgm", input_shape=(1, 3, 17, 22))
    stream = runtime.Stream(tmp_path / "net.fgm", refresh=0)
    rng = np.random.default_rng(3)
    scene = rng.normal(size=(17, 22, 3)).astype(np.float32)
    executed = 0
    for t in range(6):
        frame = scene + rng.normal(0, 0.01, scene.shape).astype(np.float32)
        frame[4:8, 2 * t : 2 * t + 4] += 2
        with torch.no_grad():
            expected = net(torch.from_numpy(frame.transpose(2, 0, 1)[None]))
        result = stream.push(frame)
        executed += result.macs if t else 0
        np.testing.assert_allclose(result["output"], expected.numpy(), atol=1e-5)
    firing = [each.firing for each in statistics(net)]
    assert all(0 < share < 1 for share in firing)
    gated = [node for node in stream.model.nodes if node.gated]
    head = sum(node.macs for node in stream.model.nodes if not node.gated)
    counted = sum(share * node.macs for share, node in zip(firing, gated, strict=True))
    if reference == "last":
        assert executed / 5 >= counted * 0.999
    assert executed / 5 <= (counted + head) * 1.001  # closed loops leave out what moved to the same value
