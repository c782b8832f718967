from __future__ import annotations

import importlib.util

import pytest

from converters.importers.torch import import_torch
from runtime.reference.errors import ArgumentError


@pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="torch is installed")
def test_says_how_to_get_torch():
    with pytest.raises(ArgumentError, match="pip install torch"):
        import_torch(object(), (1, 3, 8, 8))


def test_exports_and_imports():
    torch = pytest.importorskip("torch")
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.ReLU())
    graph = import_torch(module, (1, 3, 16, 20))
    assert graph.values[graph.outputs[0].value].shape == (1, 8, 14, 18)
    assert module.training
