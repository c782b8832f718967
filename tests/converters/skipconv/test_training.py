"""Clips, the sparsity loss against a hand computation, statistics."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from converters.skipconv import as_clips, gate_loss, reset, skip_layers, skipify, statistics  # noqa: E402


def network():
    """Gates that fire exactly where |x_t - x_{t-1}| > 0.5 (first layer) and everywhere (second)."""
    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Conv2d(2, 4, 3, 1, 1))
    skipify(net, gate="norm_input", eps=0.5, select=lambda name, _conv: name == "0")
    skipify(net, gate="norm_input", eps=-1)
    return net


def clips():
    """Two clips of three frames 4 x 4: 2, then 6 positions change in one, 4 in both steps of the other."""
    x = torch.zeros(2, 3, 1, 4, 4)
    x[0, 1:, 0, 0, :2] = 1
    x[0, 2, 0, 2:, 1:] = 1
    x[1, 1, 0, :, 3] = 1
    return x.flatten(0, 1)


def test_gate_loss_is_the_equation():
    net = network().eval()
    with as_clips(net, 3):
        net(clips())
    first, second = 16 * 2, 16 * 4 * 2 * 9  # multiply-accumulates of a dense frame
    expected = first * (2 + 6 + 4 + 4) / (4 * 16) + second * 1.0
    assert float(gate_loss(net, relative=False)) == pytest.approx(expected)
    assert float(gate_loss(net)) == pytest.approx(expected / (first + second))


def test_gate_loss_needs_clips():
    net = network()
    with pytest.raises(ValueError, match="as_clips"):
        gate_loss(net)
    net(clips())  # a plain convolution in training mode
    with pytest.raises(ValueError, match="as_clips"):
        gate_loss(net)
    with pytest.raises(ValueError, match="at least one"), as_clips(net, 0):
        pass


def test_statistics_of_clips_and_streams():
    net = network().eval()
    with as_clips(net, 3):
        net(clips())
    first, second = statistics(net, clear=True)
    assert (first.name, first.macs, first.gate_macs, first.frames) == ("0", 32, 0, 2)
    assert (first.firing, second.firing) == (pytest.approx(0.25), pytest.approx(1.0))
    assert statistics(net)[0].frames == 0
    x = clips()
    for index in (0, 1, 1):
        net(x[index : index + 1])
    assert statistics(net)[0].firing == pytest.approx(2 / 16 / 2)
    reset(net)
    assert all(layer.x0 is None for layer in skip_layers(net).values())


def test_gate_macs_of_a_learned_gate():
    net = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1))
    skipify(net)
    with as_clips(net, 2):
        net(torch.rand(2, 3, 8, 8))
    (layer,) = statistics(net)
    assert (layer.macs, layer.gate_macs) == (16 * 8 * 27, 16 * 27)


def test_clip_lengths_are_put_back_after_an_error():
    net = network()
    with pytest.raises(RuntimeError), as_clips(net, 3):
        raise RuntimeError
    assert all(layer.frames is None for layer in skip_layers(net).values())
