from __future__ import annotations

import json

import numpy as np
import pytest

from converters.importers.skip import Description, SkipSpec
from runtime.reference.errors import ArgumentError, Error


def read(*entries, **more):
    return Description.read({"gates": list(entries), **more})


def test_later_entries_set_over_earlier_ones():
    description = read(
        {"match": "*", "gate": "norm_output", "eps": 0.5},
        {"match": ["body.*", "neck.*"], "eps": 0.25, "reset_interval": 4},
        {"match": "head", "gate": "none"},
    )
    stem, body, head = (description.find([name]) for name in ("stem", "body.0", "head"))
    assert stem.spec(None) == SkipSpec("norm_output", eps=0.5)
    assert body.spec(None) == SkipSpec("norm_output", eps=0.25, reset_interval=4)
    assert head.spec(None) is None
    with pytest.raises(ArgumentError, match=r"matches nothing with \['neck.\*'\]; there are: stem, body.0, head"):
        description.require_used(["stem", "body.0", "head"])


def test_what_the_network_carries_stays_where_the_description_is_silent():
    carried = SkipSpec("gumbel", structure=4, quirks=False)
    found = read({"match": "a", "reset_interval": 8}).find(["a"])
    assert found.spec(carried) == SkipSpec("gumbel", structure=4, quirks=False, reset_interval=8)
    assert read({"match": "a"}).find(["b"]) is None
    with pytest.raises(ArgumentError, match="plain convolution: the description must name its gate"):
        found.spec(None)


def test_any_of_the_names_matches():
    assert read({"match": "/body/*"}).find(["body.0", "/body/0/Conv"]) is not None


def test_weights_from_a_file(tmp_path):
    weight, bias = np.ones((1, 3, 1, 1), np.float32), np.full(1, -0.5)
    np.savez(tmp_path / "gates.npz", **{"a.gate.gate_network.0.weight": weight, "mine": bias})
    entry = {"match": "a", "gate": "gumbel", "gate_bias": "mine"}
    path = tmp_path / "gates.json"
    path.write_text(json.dumps({"gates": [entry], "weights": "gates.npz"}))
    found = Description.read(path).find(["a"])
    np.testing.assert_array_equal(found.gate_weight, weight)
    np.testing.assert_array_equal(found.gate_bias, bias)
    assert found.gate_bias.dtype == np.float32
    entry["gate_bias"] = "{name}.other"
    path.write_text(json.dumps({"gates": [entry], "weights": "gates.npz"}))
    with pytest.raises(ArgumentError, match=r"gate_bias '\{name\}.other' is not among the weights: a.gate"):
        Description.read(path).find(["a"])


def test_says_what_is_wrong(tmp_path):
    for entry, message in (
        ({"gate": "gumbel"}, 'entry 0 of the gates description has no "match"'),
        ({"match": 3}, '"match" is 3'),
        ({"match": "a", "gate": "hold"}, "gate is 'hold'; possible are norm_input, norm_output, gumbel, shared, none"),
        ({"match": "a", "epsilon": 1}, "has 'epsilon'; possible are match, gate, eps"),
        ({"match": "a", "eps": "big"}, "eps is 'big', which is no float"),
        ({"match": "a", "structure": True}, "structure is True, which is no int"),
    ):
        with pytest.raises(ArgumentError, match=message):
            read(entry)
    for given, message in (
        ({}, "is an object"),
        ({"gates": {}}, "is an object"),
        ({"gates": [], "wights": 1}, "wights"),
    ):
        with pytest.raises(ArgumentError, match=message):
            Description.read(given)
    with pytest.raises(Error, match="cannot read the gates description"):
        Description.read(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(ArgumentError, match="is not JSON"):
        Description.read(tmp_path / "bad.json")
    with pytest.raises(Error, match="cannot read the gates' weights"):
        read(weights=tmp_path / "none.npz")
    with pytest.raises(ArgumentError, match=r"are no \.npz of arrays"):
        read(weights=tmp_path / "bad.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"structure": 3}, "structure is 3; possible are 1, 2, 4, 8"),
        ({"update": "both"}, "update is 'both'"),
        ({"reference": "first"}, "reference is 'first'"),
        ({"eps": float("nan")}, "eps is nan"),
        ({"weight_norm": -1.0}, "weight_norm is -1.0"),
        ({"reset_interval": -1}, "reset_interval is -1"),
    ],
)
def test_wrong_gates(change, message):
    with pytest.raises(ArgumentError, match=message):
        SkipSpec(**{"gate": "gumbel", **change}).check()


def test_a_shared_gate_names_its_leader():
    spec = SkipSpec("shared", leader="a")
    assert SkipSpec.from_attributes(spec.to_attributes()) == spec
    for wrong in (SkipSpec("shared"), SkipSpec("gumbel", leader="a")):
        with pytest.raises(ArgumentError, match="shared gates, and no others, have one"):
            wrong.check()
    own = Description.read({"gates": [{"match": "*", "gate": "norm_input", "eps": 1}]}).find(["b"])
    assert own.spec(spec) == SkipSpec("norm_input", eps=1)


def test_attributes_there_and_back():
    spec = SkipSpec("norm_output", 0.25, 1, "recompute", "fired", False, False, 5, 0.5)
    assert SkipSpec.from_attributes({**spec.to_attributes(), "strides": [1, 1], "module": b"a"}) == spec
    assert SkipSpec.from_attributes({"gate": b"gumbel"}) == SkipSpec("gumbel")
    with pytest.raises(ArgumentError, match="no attribute gate"):
        SkipSpec.from_attributes({})
    with pytest.raises(ArgumentError, match=r"it has attributes \['epsilon'\]"):
        SkipSpec.from_attributes({"gate": b"gumbel", "epsilon": 1.0})
