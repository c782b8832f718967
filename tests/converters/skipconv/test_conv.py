"""The gated convolution: streams, clips, both updates and references, gradients."""

from __future__ import annotations

import copy

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from converters.skipconv import GumbelGate, NormGate, SkipConv2d, as_clips, gate_loss, reset  # noqa: E402

MODES = [("residual", "last"), ("recompute", "last"), ("residual", "fired"), ("recompute", "fired")]


def layer(gate="norm", update="residual", reference="last", eps=1.0, **options):
    torch.manual_seed(1)
    options = {"kernel_size": 3, "padding": 1, **options}
    plain = torch.nn.Conv2d(4, 6, **options)
    made = NormGate("input", eps) if gate == "norm" else GumbelGate(plain, 2)
    if gate == "gumbel":
        torch.nn.init.uniform_(made.gate_network[0].weight, 0, 0.1)
        torch.nn.init.constant_(made.gate_network[0].bias, -0.2)
    return SkipConv2d(4, 6, gate=made, update=update, reference=reference, **options)


def frames(count=6, batch=2, size=(10, 12)):
    """Noise everywhere and a patch that moves: (batch, count, 4, H, W)."""
    torch.manual_seed(2)
    clip = torch.rand(batch, 1, 4, *size).repeat(1, count, 1, 1, 1) + 0.01 * torch.randn(batch, count, 4, *size)
    for t in range(count):
        clip[:, t, :, t : t + 3, t : t + 4] += 1
    return clip


@pytest.mark.parametrize(("update", "reference"), MODES)
def test_a_stream_is_its_equation(update, reference):
    """Position by position in NumPy, from the dense outputs of whatever the reference is."""
    conv = layer(update=update, reference=reference).eval()
    with torch.no_grad():
        x = frames(batch=1)
        outputs = [conv(x[:, t]) for t in range(x.shape[1])]
        held = x[:, 0]
        z = conv._dense(held)
        for t in range(1, x.shape[1]):
            residual = x[:, t] - held
            summed = residual.abs().sum(1)[0].numpy().astype(np.float64)
            padded = np.pad(summed, 1)
            norm = sum(padded[a : a + 10, b : b + 12] for a in range(3) for b in range(3))
            mask = norm > 1.0
            assert 0 < mask.mean() < 1
            if reference == "last":
                full = z + torch.nn.functional.conv2d(residual, conv.weight, None, 1, 1)
                full = full if update == "residual" else conv._dense(x[:, t])
                z = torch.where(torch.from_numpy(mask), full, z)
                held = x[:, t]
            else:
                wide = np.pad(mask, 1)
                moved = np.any([wide[a : a + 10, b : b + 12] for a in range(3) for b in range(3)], axis=0)
                held = torch.where(torch.from_numpy(moved), x[:, t], held)
                z = conv._dense(held)
            np.testing.assert_allclose(outputs[t].numpy(), z.numpy(), atol=2e-6)


@pytest.mark.parametrize("gate", ["norm", "gumbel"])
@pytest.mark.parametrize(("update", "reference"), MODES)
def test_clips_equal_the_stream(gate, update, reference):
    conv = layer(gate, update, reference, stride=2).eval()
    x = frames()
    with torch.no_grad():
        streamed = torch.stack([conv(x[:, t]) for t in range(x.shape[1])], 1)
        np.testing.assert_allclose(conv(x).numpy(), streamed.numpy(), atol=2e-6)
        with as_clips(conv, x.shape[1]):
            np.testing.assert_allclose(conv(x.flatten(0, 1)).numpy(), streamed.flatten(0, 1).numpy(), atol=2e-6)


@pytest.mark.parametrize(("update", "reference"), MODES)
def test_an_open_gate_is_the_dense_convolution_bias_once(update, reference):
    conv = layer(eps=-1, update=update, reference=reference).eval()
    x = frames()
    with torch.no_grad():
        for t in range(x.shape[1]):
            np.testing.assert_allclose(conv(x[:, t]).numpy(), conv._dense(x[:, t]).numpy(), atol=5e-6)


def test_slow_brightening_drifts_with_the_last_reference_and_not_with_the_fired_one():
    errors = {}
    for reference in ("last", "fired"):
        conv = layer(update="recompute", reference=reference, eps=1.0).eval()
        x = torch.rand(1, 4, 10, 12)
        with torch.no_grad():
            for t in range(100):
                z = conv(x + 0.01 * t)
            errors[reference] = float((z - conv._dense(x + 0.99)).abs().max())
            bound = float(conv.weight.abs().max()) * 1.0  # |w * r| <= max|w| |r|_1 and no window is left above eps
    assert errors["fired"] <= bound + 1e-5
    assert errors["last"] > 3 * errors["fired"]


@pytest.mark.parametrize(("update", "reference"), MODES)
def test_gradients_flow_through_the_gates(update, reference):
    conv = layer("gumbel", update, reference).train()
    torch.manual_seed(5)
    with as_clips(conv, 6):
        y = conv(frames().flatten(0, 1))
        y.square().mean().backward()
        of_task = conv.gate.gate_network[0].weight.grad.clone()
        assert float(of_task.abs().sum()) > 0
        assert float(conv.weight.grad.abs().sum()) > 0
        assert float(conv.bias.grad.abs().sum()) > 0
        conv.zero_grad()
        conv(frames().flatten(0, 1))
        gate_loss(conv).backward()
        assert float(conv.gate.gate_network[0].bias.grad) > 0  # closing the gate lowers the loss
        assert conv.weight.grad is None


def test_an_in_place_function_behind_does_not_touch_the_state():
    conv, twin = layer().eval(), layer().eval()
    x = frames(batch=1)
    relu = torch.nn.ReLU(inplace=True)
    with torch.no_grad():
        for t in range(x.shape[1]):
            given = x[:, t].clone()
            got = relu(conv(given))
            given.zero_()
            np.testing.assert_array_equal(got.numpy(), twin(x[:, t]).clamp(min=0).numpy())


def test_layers_that_share_a_gate_reuse_the_leaders_mask():
    gate = NormGate("input", 1.0)
    lead = SkipConv2d(4, 8, 1, gate=gate)
    follow = SkipConv2d(8, 8, 3, 2, 1, groups=8, gate=gate, leads=False)
    network = torch.nn.Sequential(lead, follow).eval()
    x = frames(batch=1)
    with torch.no_grad():
        for t in range(3):
            network(x[:, t])
        mask = gate.masks[0]
        assert float(follow.firing) == pytest.approx(
            float(torch.nn.functional.adaptive_max_pool2d(mask, (5, 6)).mean())
        )
        reset(network)
        gate.masks = []
        follow(torch.rand(1, 8, 10, 12))
        with pytest.raises(RuntimeError, match="leader must run before"):
            follow(torch.rand(1, 8, 10, 12))
    assert [name for name, _ in network.named_parameters()] == ["0.weight", "0.bias", "1.weight", "1.bias"]


def test_modes_and_state():
    conv = layer()
    x = frames(batch=1)
    with torch.no_grad():
        np.testing.assert_array_equal(conv.train()(x[:, 1]).numpy(), conv._dense(x[:, 1]).numpy())
        conv.eval()
        first = conv(x[:, 0])
        assert conv.x0 is not None
        assert copy.deepcopy(conv).x0 is None
        conv(x[:, 3])
        conv.reset()
        np.testing.assert_array_equal(conv(x[:, 0]).numpy(), first.numpy())
        conv.train()
        assert conv.x0 is None
        with pytest.raises(ValueError, match="whole clips of 4"), as_clips(conv, 4):
            conv(x[0, :3])
    for options, message in ((("twice", "last"), "update is"), (("residual", "first"), "reference is")):
        with pytest.raises(ValueError, match=message):
            SkipConv2d(1, 1, 1, gate=NormGate(), update=options[0], reference=options[1])


def test_attributes_by_which_the_importer_recognises_a_layer():
    norm, gumbel = layer(update="recompute", reference="fired"), layer("gumbel")
    assert type(norm).__name__ == "SkipConv2d"
    assert isinstance(norm, torch.nn.Conv2d)
    assert (norm.gate_type.value, norm.gate.type.value, norm.gate.eps) == ("norm-gate", "input", 1.0)
    assert (gumbel.gate_type.value, gumbel.gate.structure) == ("gumbel-gate", 2)
    assert gumbel.gate.gate_network[0].weight.shape == (1, 4, 3, 3)
    assert (norm.framegate_update, norm.framegate_reference) == ("recompute", "fired")
    assert not norm.residual_bias
    assert not norm.framegate_quirks
    assert norm.x0 is None
    assert norm.z0 is None
