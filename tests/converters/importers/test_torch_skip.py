from __future__ import annotations

import copy
import io

import numpy as np
import pytest

import converters
import runtime
from converters.importers import torch as importer
from converters.importers.torch import import_torch
from converters.importers.torch_skip import load_gated
from converters.text import to_text
from converters.verify import verify
from runtime.reference.errors import ArgumentError, Error, UnsupportedError
from runtime.reference.graph import SkipGate, SkipKind, SkipReference, SkipUpdate

torch = pytest.importorskip("torch")

from . import official  # noqa: E402 - needs torch

pytestmark = pytest.mark.filterwarnings("ignore")
SHAPE = (1, 3, 16, 20)
BLOCKS = [[3, 8, 2], [8, 6, 1]]
GATES = {"norm-input": SkipKind.NORM_INPUT, "norm-output": SkipKind.NORM_OUTPUT, "gumbel": SkipKind.GUMBEL}


def gates(graph):
    return {node.name: node.gate for node in graph.nodes if node.gate is not None}


def random_network(kind, eps=0.25, structure=1):
    torch.manual_seed(3)
    return official.network(kind, eps, structure, BLOCKS).eval()


@pytest.mark.parametrize("kind", list(GATES))
def test_gates_are_read_from_a_live_module(kind):
    network = random_network(kind, structure=2)
    graph = verify(import_torch(network, SHAPE))
    found = gates(graph)
    assert sorted(found) == [f"{block}.{name}" for block in "01" for name in ("c1", "c2", "sc")]
    for name, gate in found.items():
        conv = network.get_submodule(name)
        assert (gate.kind, gate.update, gate.reference) == (GATES[kind], SkipUpdate.RESIDUAL, SkipReference.LAST)
        assert (gate.floor, gate.half) == ((False, False) if kind == "gumbel" else (True, True))
        if kind == "gumbel":
            assert (gate.block, gate.bias, gate.scale) == (2, np.float32(0.6), 0.0)
            continue
        mean = float(conv.weight.abs().mean()) if kind == "norm-output" else 1.0
        assert gate.eps == 0.25
        assert gate.scale == pytest.approx(mean / (conv.kernel_size[0] ** 2 * 8), rel=1e-6)


@pytest.mark.parametrize("dynamo", [False, True], ids=["script", "dynamo"])
def test_both_exporters_keep_the_gates(monkeypatch, dynamo):
    if dynamo:
        pytest.importorskip("onnxscript")
    monkeypatch.setattr(importer, "OPSETS", {dynamo: importer.OPSETS[dynamo]})
    network = official.network("gumbel", 0.0, 4, [[3, 4, 1]])
    graph = import_torch(network, SHAPE)
    assert gates(graph)["0.c2"] == SkipGate(SkipKind.GUMBEL, bias=float(np.float32(0.6)), block=4)
    weights = next(node for node in graph.nodes if node.name == "0.c2").inputs[4]
    np.testing.assert_array_equal(
        graph.values[weights].data[0, 0], network[0].c2.gate.gate_network[0].weight.detach().numpy()[0].reshape(4, 9)
    )


def test_a_pickled_network_gives_the_same():
    network = random_network("gumbel")
    buffer = io.BytesIO()
    with official.installed():
        torch.save(network, buffer)
        assert b"lib.skip_conv" in buffer.getvalue()
        buffer.seek(0)
        again = torch.load(buffer, weights_only=False)
    assert to_text(import_torch(again, SHAPE)) == to_text(import_torch(network, SHAPE))


def test_state_is_ignored_and_the_module_left_as_it_was():
    network = random_network("norm-input")
    fresh = to_text(import_torch(network, SHAPE))
    layer = network[0].c1
    with torch.no_grad():
        network(torch.ones(SHAPE))
    held = layer.z0
    network.train()
    network[0].b1.eval()
    layer.x0, layer.z0 = torch.ones(SHAPE), held
    assert to_text(import_torch(network, SHAPE)) == fresh
    assert network[0].c1 is layer
    assert layer.z0 is held
    assert (layer.training, network[0].b1.training, network[0].b2.training) == (True, False, True)


def test_a_lone_layer():
    layer = official.SkipConv2d(3, 4, 3, padding=1, bias=True, eps=0.5)
    graph = import_torch(layer, SHAPE)
    assert gates(graph)["SkipConv2d"].eps == 0.5
    assert graph.nodes[-1].inputs[5] == graph.nodes[-1].inputs[2]  # the bias comes again with every residual


def test_a_description_sets_over_the_modules():
    network = random_network("norm-input")
    description = importer.Description.read(
        {"gates": [{"match": "*", "reset_interval": 4}, {"match": "*.sc", "gate": "none"}, {"match": "0.c1", "eps": 1}]}
    )
    found = gates(import_torch(network, SHAPE, gates=description))
    assert sorted(found) == ["0.c1", "0.c2", "1.c1", "1.c2"]
    assert {gate.reset for gate in found.values()} == {4}
    assert (found["0.c1"].eps, found["0.c2"].eps) == (1.0, 0.25)
    gumbel = random_network("gumbel")
    assert len(gates(import_torch(gumbel, SHAPE, gates=importer.Description.read({"gates": [{"match": "*"}]})))) == 6
    with pytest.raises(ArgumentError, match=r"matches nothing with \['2.c1'\]; there are: 0.c1, 0.c2, 0.sc, 1.c1"):
        import_torch(network, SHAPE, gates=importer.Description.read({"gates": [{"match": "2.c1", "eps": 0}]}))


class Plain:
    """Gates of the test networks as descriptions, for code with plain convolutions."""

    KINDS = {  # noqa: RUF012
        "norm-input": {"match": "*", "gate": "norm_input", "eps": 0.25},
        "norm-output": {"match": "*", "gate": "norm_output", "eps": 0.25},
        "gumbel": {"match": "*", "gate": "gumbel", "structure": 2},
    }

    @staticmethod
    def network():
        def make(channels, out, kernel, stride):
            return torch.nn.Conv2d(channels, out, kernel, stride, kernel // 2, bias=False)

        return torch.nn.Sequential(*(official.Block(make, *block) for block in BLOCKS))


@pytest.mark.parametrize("kind", list(GATES))
def test_a_state_dict_with_plain_code_gives_the_same(kind, tmp_path):
    network = random_network(kind, structure=2)
    torch.save(network.state_dict(), tmp_path / "net.pt")
    plain = Plain.network()
    for state in (network.state_dict(), tmp_path / "net.pt"):
        description = load_gated(plain, state, {"gates": [Plain.KINDS[kind]]})
        assert to_text(import_torch(plain, SHAPE, gates=description)) == to_text(import_torch(network, SHAPE))


def test_a_state_dict_that_does_not_fit(tmp_path):
    state = random_network("norm-input").state_dict()
    description = {"gates": [Plain.KINDS["gumbel"]]}
    with pytest.raises(
        ArgumentError, match=r"0.c1: its gumbel gate has no weights: .* 0.c1.gate.gate_network.0.weight"
    ):
        import_torch(Plain.network(), SHAPE, gates=load_gated(Plain.network(), state, description))
    with pytest.raises(ArgumentError, match=r"the state dict does not fit the network: (.|\n)*Unexpected(.|\n)*other"):
        load_gated(Plain.network(), {**state, "other": torch.ones(1)}, description)
    with pytest.raises(Error, match="cannot read the state dict"):
        load_gated(Plain.network(), tmp_path / "none.pt", description)


class Overwriting(torch.nn.Module):
    """A layer, a batch norm or not, an in-place ReLU."""

    def __init__(self, between):
        super().__init__()
        self.layer = official.SkipConv2d(3, 4, 3, padding=1)
        self.between = torch.nn.BatchNorm2d(4) if between else torch.nn.Identity()
        self.act = torch.nn.ReLU(inplace=True)
        self.unused = official.SkipConv2d(3, 4, 1)

    def forward(self, x):
        return self.act(self.between(self.layer(x)))


def test_notes():
    unused = "unused is a Skip-Convolution that the network does not call"
    assert import_torch(Overwriting(True), SHAPE).metadata["notes"] == [unused]
    first, second = import_torch(Overwriting(False), SHAPE).metadata["notes"]
    assert first.startswith("layer: what it reads or gives is overwritten in place")
    assert second == unused


class Repeated(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = official.SkipConv2d(3, 3, 3, padding=1)

    def forward(self, x):
        return self.layer(self.layer(x))


class Scripted(torch.nn.Module):
    """As far as a converter can see of one in TorchScript."""

    original_name = "SkipConv2d"


def layer(change=None, gate=official.GateType.NORM, **options):
    made = official.SkipConv2d(3, 4, options.pop("kernel_size", 3), gate_type=gate, **options)
    if change is not None:
        change(made)
    return torch.nn.Sequential(torch.nn.Identity(), made)


GUMBEL = official.GateType.GUMBEL


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layer(dilation=2), r"1: its gate has dilation \(1, 1\), its convolution \(2, 2\)"),
        (lambda: layer(dilation=2, gate=GUMBEL), r"1: its gate has dilation \(1, 1\), its convolution \(2, 2\)"),
        (lambda: layer(padding_mode="reflect", padding=1), "1: padding_mode is 'reflect'"),
        (lambda: layer(padding="same"), "1: padding is 'same', which official norm gates do not take"),
        (lambda: layer(kernel_size=1, padding=1), r"1: padding \(1, 1\) is more than half of the kernel \(1, 1\)"),
        (lambda: layer(lambda m: setattr(m.gate, "norm", 2.0)), "1: its gate uses the 2-norm"),
        (lambda: layer(lambda m: setattr(m.gate, "qbin", 1e4)), "1: its gate rounds to 1/10000"),
        (lambda: layer(lambda m: setattr(m.gate, "stride", 2)), r"1: its gate has stride \(2, 2\)"),
        (lambda: layer(lambda m: setattr(m.gate, "type", "both")), "1: its norm gate is of type both"),
        (lambda: layer(lambda m: setattr(m, "gate_type", "magic")), "1: its gate is a magic"),
        (Scripted, "Scripted is a scripted SkipConv2d, whose gate cannot be read"),
        (Repeated, "layer is called 2 times per frame"),
    ],
)
def test_refuses_what_has_no_meaning(make, message):
    with pytest.raises(UnsupportedError, match=message):
        import_torch(make(), SHAPE)


def test_what_the_official_gumbel_gate_takes_is_taken():
    for options in ({"kernel_size": 1, "padding": 1}, {"padding": "same"}, {"kernel_size": (3, 5), "padding": (1, 2)}):
        graph = import_torch(layer(gate=GUMBEL, **options), SHAPE)
        assert gates(graph)["1"].kind == SkipKind.GUMBEL
        assert graph.values[graph.outputs[0].value].shape == (
            1,
            4,
            18 if options["padding"] == 1 else 16,
            22 if options["padding"] == 1 else 20,
        )


def test_wrong_structure_names_the_module():
    with pytest.raises(ArgumentError, match="1: structure is 3"):
        import_torch(layer(lambda m: setattr(m.gate, "structure", 3), gate=GUMBEL), SHAPE)


def test_our_modules():
    skipconv = pytest.importorskip("converters.skipconv")
    for kind, scale in (("gumbel", 0.0), ("norm_input", 1.0), ("norm_output", None)):
        network = Plain.network()
        skipconv.skipify(network, gate=kind, eps=0.5, update="recompute", reference="fired")
        graph = verify(import_torch(copy.deepcopy(network), SHAPE))
        found = gates(graph)
        assert sorted(found) == ["0.c1", "0.c2", "1.c1", "1.c2"]
        gate = found["1.c2"]
        assert (gate.kind.name.lower(), gate.floor, gate.half) == (kind, False, False)
        assert (gate.update, gate.reference) == (SkipUpdate.RECOMPUTE, SkipReference.FIRED)
        total = float(network[1].c2.weight.abs().sum())
        assert gate.scale == pytest.approx(total if scale is None else scale, rel=1e-6)


def test_layers_that_share_a_gate():
    skipconv = pytest.importorskip("converters.skipconv")
    network = Plain.network()
    skipconv.skipify(network, share=skipconv.by_parent)
    graph = import_torch(network, SHAPE)
    found = gates(graph)
    assert sorted(found) == ["0.c1", "0.c2", "1.c1", "1.c2"]
    outputs = {node.name: node.output for node in graph.nodes}
    for block in "01":
        shared = found[f"{block}.c2"]
        assert shared == SkipGate(SkipKind.SHARED, leader=outputs[f"{block}.c1"])
    assert not any("share" in note for note in graph.metadata["notes"])


class Inverted(torch.nn.Module):
    """An inverted residual block: expand, depthwise, project."""

    def __init__(self, stride=1):
        super().__init__()
        self.expand = torch.nn.Conv2d(3, 12, 1)
        self.depthwise = torch.nn.Conv2d(12, 12, 3, stride, 1, groups=12)
        self.project = torch.nn.Conv2d(12, 3, 1)

    def forward(self, x):
        y = torch.relu(self.depthwise(torch.relu(self.expand(x))))
        return self.project(y)


def shared_block(gate, stride=1, **options):
    """The block in a sequence, gates shared."""
    skipconv = pytest.importorskip("converters.skipconv")
    torch.manual_seed(7)
    network = torch.nn.Sequential(Inverted(stride), torch.nn.ReLU())
    skipconv.skipify(network, gate=gate, select=lambda *_: True, share=skipconv.by_parent, **options)
    for name, parameter in network.named_parameters():
        if name.endswith("gate_network.0.bias"):
            torch.nn.init.constant_(parameter, -0.2)
    return network.eval()


UPDATES = [("residual", "last"), ("recompute", "last"), ("recompute", "fired"), ("residual", "fired")]


@pytest.mark.parametrize(("update", "reference"), UPDATES)
@pytest.mark.parametrize(("gate", "options"), [("gumbel", {"structure": 2}), ("norm_input", {"eps": 0.3})])
def test_a_shared_gate_gives_what_the_module_gives(tmp_path, gate, options, update, reference):
    network = shared_block(gate, update=update, reference=reference, **options)
    path = tmp_path / "shared.fgm"
    converters.convert(network, path, input_shape=SHAPE)
    stream = runtime.Stream(runtime.Model.load(path), refresh=0)
    random = np.random.default_rng(5)
    image = random.random(SHAPE).astype(np.float32)
    fired, closed = [], reference == "fired"
    for t in range(12):
        if t:
            row, col = random.integers(0, 12), random.integers(0, 16)
            image[0, :, row : row + 4, col : col + 4] += random.normal(0, 0.4, (3, 4, 4))
            image += random.normal(0, 0.005, SHAPE).astype(np.float32)
        with torch.no_grad():
            want = network(torch.from_numpy(image)).numpy()
        got = next(iter(stream.push(np.ascontiguousarray(image[0].transpose(1, 2, 0))).values()))
        np.testing.assert_allclose(got, want, atol=1e-5)
        if not t:
            continue
        mask = network[0].expand.gate.masks[0][0, 0].numpy()
        for name in ("0.expand", "0.depthwise", "0.project"):
            np.testing.assert_array_equal(stream.gate_map(name), mask)
            stats = stream.stats(name)
            assert (stats.macs_gate > 0) == (name == "0.expand" and gate == "gumbel")
            if not closed:
                own = stats.macs_gate and stats.macs_dense // 12
                assert stats.macs_official == stats.macs_dense // mask.size * mask.sum() + own
        fired.append(mask.mean())
    assert 0.01 < np.mean(fired) < 0.6


def test_a_gate_is_not_shared_across_a_stride():
    graph = verify(import_torch(shared_block("norm_input", stride=2), SHAPE))
    assert list(gates(graph)) == ["0.expand"]
    (note,) = (note for note in graph.metadata["notes"] if "share" in note)
    assert note.startswith("0.depthwise, 0.project: these share the gate of a layer whose output has other sides")


def test_a_description_sets_over_shared_gates():
    network = shared_block("norm_input", eps=0.3)

    def found(*entries):
        return gates(import_torch(network, SHAPE, gates=importer.Description.read({"gates": list(entries)})))

    assert {gate.reset for gate in found({"match": "*", "reset_interval": 4}).values()} == {4}
    assert [gate.reset for gate in found({"match": "*.expand", "reset_interval": 4}).values()] == [4, 4, 4]
    own = found({"match": "*.project", "gate": "norm_output", "eps": 0.5})["0.project"]
    assert (own.kind, own.eps, own.leader) == (SkipKind.NORM_OUTPUT, 0.5, None)
    assert sorted(found({"match": "*.project", "gate": "none"})) == ["0.depthwise", "0.expand"]
    assert found({"match": "*.expand", "gate": "none"}) == {}
    with pytest.raises(UnsupportedError, match="reset_interval is 3, that of its leader 0"):
        found({"match": "*.project", "reset_interval": 3})


def test_closed_loops_and_passes_keep_shared_gates(tmp_path):
    """The leader takes its activation in, and its output is another value then; followers know."""
    network = shared_block("norm_input", eps=0.3)
    converters.convert(network, tmp_path / "a.fgm", input_shape=SHAPE, skip_mode="closed_loop")
    graph = runtime.Model.load(tmp_path / "a.fgm").graph
    expand, depthwise, _project = graph.nodes
    assert expand.activation.kind
    assert depthwise.activation.kind
    assert [node.gate.leader for node in graph.nodes] == [None, expand.output, expand.output]
    assert "shared(" in to_text(graph)
