"""Replacing the convolutions of a network."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from converters.skipconv import GumbelGate, NormGate, SkipConv2d, as_clips, by_parent, skip_layers, skipify  # noqa: E402


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
