"""Gates against the equations written out in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from converters.skipconv import GumbelGate, NormGate  # noqa: E402
from converters.skipconv.gates import spread, straight_through, window_sum  # noqa: E402

GEOMETRIES = [
    {"kernel_size": 3, "padding": 1},
    {"kernel_size": (3, 5), "stride": 2, "padding": (1, 2)},
    {"kernel_size": 3, "dilation": 2, "padding": "same"},
    {"kernel_size": 2, "padding": "same"},
    {"kernel_size": 3, "stride": 2, "padding": "valid"},
    {"kernel_size": 1},
]


def windows(values, conv):
    """(C_in, H, W) to (H_out, W_out, C_in * window): what each output position reads, zero-padded."""
    size = conv(torch.zeros(1, conv.in_channels, *values.shape[1:])).shape[-2:]
    if conv.padding == "same":
        total = [d * (k - 1) for d, k in zip(conv.dilation, conv.kernel_size, strict=True)]
        pads = [(t // 2, t - t // 2) for t in total]
    else:
        pads = [(0, 0)] * 2 if conv.padding == "valid" else [(p, p) for p in conv.padding]
    padded = np.pad(values, [(0, 0), *pads])
    out = np.zeros((*size, conv.in_channels, *conv.kernel_size))
    for i, j, a, b in np.ndindex(*size, *conv.kernel_size):
        at = [p * s + k * d for p, s, k, d in zip((i, j), conv.stride, (a, b), conv.dilation, strict=True)]
        out[i, j, :, a, b] = padded[:, at[0], at[1]]
    return out.reshape(*size, -1)


def case(geometry, channels=3, size=(9, 11)):
    torch.manual_seed(3)
    conv = torch.nn.Conv2d(channels, 4, **geometry)
    residual = torch.randn(1, channels, *size) * (torch.rand(1, 1, *size) < 0.2)
    return conv, residual


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize("kind", ["input", "output"])
def test_norm_gate_is_its_equation(geometry, kind):
    conv, residual = case(geometry)
    norms = np.abs(windows(residual[0].numpy().astype(np.float64), conv)).sum(-1)
    if kind == "output":
        norms = norms * np.abs(conv.weight.detach().numpy().astype(np.float64)).sum()
    eps = float(np.median(norms[norms > 0]))  # half of what changed fires
    eps = (eps + norms[norms > eps].min()) / 2  # clear of any norm
    mask = NormGate(kind, eps)(residual, conv)
    assert 0 < mask.mean() < 1
    np.testing.assert_array_equal(mask[0, 0].numpy(), 1 / (1 + np.exp(eps - norms)) > 0.5)


def test_a_norm_equal_to_the_threshold_does_not_fire():
    conv = torch.nn.Conv2d(2, 1, 1)
    residual = torch.tensor([0.25, -0.5]).view(1, 2, 1, 1)
    assert NormGate("input", 0.75)(residual, conv).item() == 0
    assert NormGate("input", 0.74)(residual, conv).item() == 1
    assert NormGate("input", 0)(torch.zeros(1, 2, 1, 1), conv).item() == 0
    assert NormGate("input", -1)(torch.zeros(1, 2, 1, 1), conv).item() == 1


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize("structure", [1, 2, 4, 8])
def test_gumbel_gate_is_its_equation(geometry, structure):
    conv, residual = case(geometry)
    gate = GumbelGate(conv, structure).eval()
    network = gate.gate_network[0]
    with torch.no_grad():
        network.bias.fill_(-0.5)
        mask = gate(residual, conv)[0, 0].numpy()
    weights = network.weight.detach().numpy().astype(np.float64).reshape(-1)
    logits = np.abs(windows(residual[0].numpy().astype(np.float64), conv)) @ weights - 0.5
    expected = np.zeros_like(logits)
    for i in range(0, logits.shape[0], structure):  # the last blocks are cut
        for j in range(0, logits.shape[1], structure):
            block = np.s_[i : i + structure, j : j + structure]
            expected[block] = logits[block].max() >= 0
    np.testing.assert_array_equal(mask, expected)


def test_gumbel_gate_refuses_other_structures():
    with pytest.raises(ValueError, match="structure is 3"):
        GumbelGate(torch.nn.Conv2d(1, 1, 3), 3)


def test_straight_through_samples_the_probability_and_has_the_relaxed_gradient():
    torch.manual_seed(0)
    for probability in (0.1, 0.5, 0.9):
        logits = torch.full((20000,), float(np.log(probability / (1 - probability))), requires_grad=True)
        sample = straight_through(logits)
        assert set(np.unique(sample.detach().numpy().round(6))) <= {0.0, 1.0}
        assert abs(float(sample.detach().mean()) - probability) < 0.015
        sample.mean().backward()
        assert float(logits.grad.sum()) > 0.05


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_spread_is_the_transpose_of_window_sum(geometry):
    conv, residual = case(geometry)
    x = torch.randn(1, 1, *residual.shape[2:], dtype=torch.float64)
    y = torch.randn_like(window_sum(x, conv))
    left, right = (window_sum(x, conv) * y).sum(), (x * spread(y, conv, x.shape[2:])).sum()
    assert float(left) == pytest.approx(float(right), rel=1e-12)
