from __future__ import annotations

import copy
import importlib.util

import pytest

from converters.importers.torch import import_torch
from runtime.reference.errors import ArgumentError, UnsupportedError


@pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="torch is installed")
def test_says_how_to_get_torch():
    with pytest.raises(ArgumentError, match="pip install torch"):
        import_torch(object(), (1, 3, 8, 8))


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


@pytest.fixture
def module(torch):
    return torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.ReLU())


def names(graph):
    return [item.name for item in (*graph.inputs, *graph.outputs)]


def test_exports_and_imports(module):
    module[1].eval()
    graph = import_torch(module, (1, 3, 16, 20))
    assert graph.values[graph.outputs[0].value].shape == (1, 8, 14, 18)
    assert names(graph) == ["input", "output"]
    assert [each.training for each in module] == [True, False, True]
    assert module.training


@pytest.mark.filterwarnings("ignore")
def test_wrapped_and_other_precisions(torch, module):
    for other in (torch.jit.script(module), torch.compile(module), copy.deepcopy(module).double()):
        assert names(import_torch(other, [1, 3, 16, 20])) == ["input", "output"]


def test_several_inputs_and_outputs(torch):
    class Two(torch.nn.Module):
        def forward(self, left, right):
            return left + right, left * right

    class Named(torch.nn.Module):
        def forward(self, image):
            return {"low": image - 1, "high": image + 1}

    assert names(import_torch(Two(), [(1, 3, 4, 5), (1, 3, 4, 5)])) == ["left", "right", "output_0", "output_1"]
    assert names(import_torch(Named(), (1, 3, 4, 5))) == ["image", "low", "high"]


@pytest.mark.filterwarnings("ignore")
def test_takes_the_newer_exporter_where_the_older_one_fails(torch):
    pytest.importorskip("onnxscript")

    class Antialiased(torch.nn.Module):
        def forward(self, x):
            return torch.nn.functional.interpolate(x, size=(4, 5), mode="bilinear", antialias=True)

    graph = import_torch(Antialiased(), (1, 3, 16, 20))
    assert graph.values[graph.outputs[0].value].shape == (1, 3, 4, 5)


@pytest.mark.filterwarnings("ignore")
def test_says_what_is_wrong(torch, module, capsys):
    class SingularValues(torch.nn.Module):
        def forward(self, x):
            return torch.linalg.svd(x)[1]

    for shape in (3, (), (1, 3, 0, 5), "abc", [(1, 3), 4]):
        with pytest.raises(ArgumentError, match="it is a shape such as"):
            import_torch(module, shape)
    with pytest.raises(ArgumentError, match=r"Sequential does not run on inputs of shapes \[\(1, 4, 8, 8\)\]"):
        import_torch(module, (1, 4, 8, 8))
    assert module.training
    with pytest.raises(ArgumentError, match=r"cannot export SingularValues, with dynamo=False"):
        import_torch(SingularValues(), (1, 3, 4, 5))
    with pytest.raises(UnsupportedError, match="LSTM"):
        import_torch(torch.nn.LSTM(3, 4), (1, 5, 3))
    assert "graph(" not in capsys.readouterr().out
