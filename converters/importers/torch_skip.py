"""Skip-Convolutions inside a PyTorch module: recognised by their attributes, exported as framegate::SkipConv nodes.

No package of theirs is imported. A module counts as one if its class is called SkipConv2d, derives from
torch.nn.Conv2d and has ``gate_type`` and ``gate``, as in the code of the CVPR 2021 paper and in ours.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib
import os
import pickle
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from runtime.reference.errors import ArgumentError, Error, UnsupportedError

from .skip import DOMAIN, OP, VERSION, Description, Floats, Gates, SkipSpec

NAME = "SkipConv2d"
GATE_KEY = "gate.gate_network.0."  # of a Gumbel gate's weight and bias in a state dict
QUANTUM = 1e5  # the official norm gate rounds down to multiples of 1 / QUANTUM


@dataclasses.dataclass(frozen=True)
class Found:
    """A convolution under its path in the network, to be exported as SkipConv, or, without a spec, as Conv."""

    path: str
    conv: Any
    spec: SkipSpec | None
    gate_weight: Floats | None = None
    gate_bias: Floats | None = None
    follows: bool = False  # its module takes another one's gate; without a spec in vain


@contextlib.contextmanager
def marked(torch: Any, root: Any, description: Description | None) -> Iterator[tuple[Any, list[Any]]]:
    """The network with every Skip-Convolution replaced by a marker that exports as one node, and those markers.

    On leaving, the network is as it was. Skip-Convolutions that the description makes plain export as Conv.

    Args:
        torch: the package.
        root: the network; a Skip-Convolution itself, perhaps.
        description: gates of plain convolutions, and attributes to set over those that modules have; or None.

    Raises:
        ArgumentError: the description does not fit. UnsupportedError: a module cannot be expressed; both name it.
    """
    markers: dict[int, Any] = {}
    convolutions = _convolutions(torch, root)
    leaders = {id(each.gate): path for path, each in convolutions.items() if is_skip_conv(each) and leads(each)}
    for path, module in convolutions.items():
        found = _found(path, module, description, leaders)
        if found is not None:
            markers[id(module)] = _marker_class(torch)(found)
    if description is not None:
        description.require_used(list(convolutions))
    swapped = [
        (parent, name, child)
        for parent in root.modules()
        for name, child in parent._modules.items()
        if id(child) in markers
    ]
    try:
        for parent, name, child in swapped:
            parent._modules[name] = markers[id(child)]
        yield markers.get(id(root), root), list(markers.values())
    finally:
        for parent, name, child in swapped:
            parent._modules[name] = child


def _convolutions(torch: Any, root: Any) -> dict[str, Any]:
    """The network's convolutions by path, without those that gates consist of.

    Raises:
        UnsupportedError: one is a Skip-Convolution in TorchScript.
    """
    found: dict[str, Any] = {}
    for path, module in root.named_modules():
        path = path or type(module).__name__
        if getattr(module, "original_name", None) == NAME:
            raise UnsupportedError(f"{path} is a scripted {NAME}, whose gate cannot be read: give the module itself")
        if isinstance(module, torch.nn.Conv2d) and not any(path.startswith(f"{outer}.") for outer in found):
            found[path] = module
    return found


def _found(path: str, module: Any, description: Description | None, leaders: Mapping[int, str]) -> Found | None:
    """The convolution as a Skip-Convolution; None: it is none, and stays one."""
    described = description.find([path]) if description is not None else None
    skips = is_skip_conv(module)
    if not skips and described is None:
        return None
    follows = skips and not leads(module)
    if follows and id(module.gate) not in leaders:
        return Found(path, module, None, follows=True)
    try:
        leader = leaders[id(module.gate)] if follows else ""
        spec, weight, bias = read_gate(module, leader) if skips else (None, None, None)
        if described is not None:
            spec = described.spec(spec)
            weight = weight if described.gate_weight is None else described.gate_weight
            bias = bias if described.gate_bias is None else described.gate_bias
        if spec is None:
            return Found(path, module, None) if skips else None
        spec.check()
        if spec.gate == "gumbel" and weight is None:
            raise ArgumentError(f"its gumbel gate has no weights: the description has no {path}.{GATE_KEY}weight")
        if module.padding_mode != "zeros":
            raise UnsupportedError(f"padding_mode is {module.padding_mode!r}; only zeros is supported behind a gate")
    except (ArgumentError, UnsupportedError) as error:
        raise type(error)(f"{path}: {error}") from error
    return Found(path, module, spec, weight, bias, follows and spec.gate == "shared")


def is_skip_conv(module: Any) -> bool:
    """Whether a Conv2d is a Skip-Convolution, the official one or ours."""
    named = any(cls.__name__ == NAME for cls in type(module).__mro__)
    return named and hasattr(module, "gate_type") and hasattr(module, "gate")


def leads(module: Any) -> bool:
    """Whether a Skip-Convolution evaluates its gate; else it takes what another one's evaluation gave."""
    return bool(getattr(module, "leads", True))


def read_gate(module: Any, leader: str = "") -> tuple[SkipSpec, Floats | None, Floats | None]:
    """The gate of a Skip-Convolution, and a Gumbel gate's weights (1, C_in, kernel_h, kernel_w) and bias (1,).

    With ``leader``, the path of the one that evaluates it, it is shared and has no weights.

    Raises:
        ArgumentError, UnsupportedError: it has no gate of a known kind.
    """
    gate = module.gate
    kind = str(getattr(module.gate_type, "value", module.gate_type))
    own: dict[str, Any] = {  # what our modules say beyond the official ones
        "update": getattr(module, "framegate_update", "residual"),
        "reference": getattr(module, "framegate_reference", "last"),
        "residual_bias": bool(getattr(module, "residual_bias", True)),
        "quirks": bool(getattr(module, "framegate_quirks", True)),
    }
    if leader:
        return SkipSpec("shared", leader=leader, **own), None, None
    if kind == "gumbel-gate":
        network = gate.gate_network[0]
        _same_geometry(module, network)
        bias = np.zeros(1, np.float32) if network.bias is None else _array(network.bias)
        return SkipSpec("gumbel", structure=int(gate.structure), **own), _array(network.weight), bias
    if kind != "norm-gate":
        raise UnsupportedError(f"its gate is a {kind}; norm-gate and gumbel-gate are supported")
    if hasattr(gate, "kernel_size"):  # the official gate averages with avg_pool2d, whose limits are its own
        _same_geometry(module, gate)
    where = str(getattr(gate.type, "value", gate.type))
    if where not in ("input", "output"):
        raise UnsupportedError(f"its norm gate is of type {where}; input and output are supported")
    if getattr(gate, "norm", 1.0) != 1.0:
        raise UnsupportedError(f"its gate uses the {gate.norm:g}-norm; the 1-norm is supported")
    if own["quirks"] and getattr(gate, "qbin", QUANTUM) != QUANTUM:
        raise UnsupportedError(f"its gate rounds to 1/{gate.qbin:g}; 1/{QUANTUM:g} is supported")
    return SkipSpec(f"norm_{where}", eps=float(gate.eps), **own), None, None


def _array(tensor: Any) -> Floats:
    array: Floats = tensor.detach().cpu().float().numpy()
    return array


def _pair(value: Any) -> Any:
    return tuple(value) if isinstance(value, (tuple, list)) else value if isinstance(value, str) else (value, value)


def _same_geometry(module: Any, gate: Any) -> None:
    """Raises UnsupportedError where a gate's windows are not its convolution's, or not defined."""
    for name in ("kernel_size", "stride", "padding", "dilation"):
        own, other = _pair(getattr(module, name)), _pair(getattr(gate, name, 1))
        if own != other:
            raise UnsupportedError(f"its gate has {name} {other}, its convolution {own}; they must be equal")
    if hasattr(gate, "weight"):
        return
    if module.padding == "same":
        raise UnsupportedError("padding is 'same', which official norm gates do not take: give numbers")
    if any(2 * pad > side for pad, side in zip(_pads(module)[:2], module.kernel_size, strict=True)):
        raise UnsupportedError(
            f"padding {_pair(module.padding)} is more than half of the kernel {_pair(module.kernel_size)}, "
            "for which an official norm gate has no average"
        )


def _pads(module: Any) -> tuple[int, int, int, int]:
    """Zeros above, left, below and right."""
    left, right, top, bottom = module._reversed_padding_repeated_twice
    return int(top), int(left), int(bottom), int(right)


def load_gated(network: Any, state: Mapping[str, Any] | str | os.PathLike[str], gates: Gates) -> Description:
    """Loads the state of a Skip-Convolution network into its code, and gives the gates for ``convert(..., gates=...)``.

    A state dict holds the weights of convolutions and Gumbel gates, but neither kind, threshold nor structure of gates:
    ``gates`` tells those. The code may have plain ``Conv2d`` where the network was trained with gated ones.

    Args:
        network: the module that the network's code builds; its parameters are overwritten.
        state: the state dict, or a file of one, which is loaded without unpickling code.
        gates: a description (docs/skipconv.md), a JSON file or its content, by the paths of modules.

    Raises:
        ArgumentError: keys are missing or left over, or the description is wrong. Error: a file cannot be read.
    """
    description = Description.read(gates)
    if isinstance(state, (str, os.PathLike)):
        torch = importlib.import_module("torch")
        try:
            state = torch.load(state, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, pickle.UnpicklingError) as error:
            raise Error(f"cannot read the state dict {state}: {error}") from error
    assert isinstance(state, Mapping)
    own = {key for key in state if GATE_KEY in key and key not in network.state_dict()}
    try:
        network.load_state_dict({key: tensor for key, tensor in state.items() if key not in own})
    except RuntimeError as error:
        raise ArgumentError(f"the state dict does not fit the network: {error}") from error
    arrays = {key: _array(state[key]) for key in own}
    return dataclasses.replace(description, arrays={**arrays, **description.arrays})


@functools.cache
def _marker_class(torch: Any) -> Any:
    """The module that stands for a Skip-Convolution while a network is run and exported."""

    class Node(torch.autograd.Function):  # type: ignore[misc]
        """A SkipConv node for the exporter that traces."""

        @staticmethod
        def forward(ctx: Any, marker: Any, x: Any, *inputs: Any) -> Any:  # noqa: ARG004
            return marker.plain(x)

        @staticmethod
        def symbolic(g: Any, marker: Any, x: Any, *inputs: Any) -> Any:
            kinds = {str: "s", int: "i", float: "f", list: "i"}
            named = {f"{key}_{kinds[type(value)]}": value for key, value in marker.attributes.items()}
            result = g.op(f"{DOMAIN}::{OP}", x, *(_absent(torch, g) if i is None else i for i in inputs), **named)
            result.setType(x.type().with_sizes(marker.output_shape))
            return result

    class Marker(torch.nn.Module):  # type: ignore[misc]
        """A plain convolution that knows the gate; ``exporter``: "" runs it, "script" and "dynamo" export a node."""

        def __init__(self, found: Found) -> None:
            super().__init__()
            self.found, self.exporter = found, ""
            self.seen: list[tuple[Any, int]] = []  # what calls read and gave, with the tensors' versions at that time
            self.attributes = node_attributes(found) if found.spec is not None else {}
            self.output_shape: list[int] = []
            for name in ("weight", "bias"):
                tensor = getattr(found.conv, name)
                self.register_buffer(name, None if tensor is None else tensor.detach())
            for name in ("gate_weight", "gate_bias"):
                array = getattr(found, name)
                tensor = None if array is None else torch.from_numpy(array).to(found.conv.weight.device)
                self.register_buffer(name, tensor)

        def plain(self, x: Any) -> Any:
            return torch.nn.Conv2d._conv_forward(self.found.conv, x, self.weight, self.bias)

        def forward(self, x: Any) -> Any:
            inputs = (self.weight, self.bias, self.gate_weight, self.gate_bias)
            if not self.exporter or self.found.spec is None:
                y = self.plain(x)
                if not self.exporter:
                    self.seen += [(x, x._version), (y, y._version)]
                    self.output_shape = list(y.shape)
                return y
            if self.exporter == "script":
                return Node.apply(self, x, *inputs)
            kind = {"dtype": x.dtype, "shape": self.output_shape, "version": VERSION}
            return torch.onnx.ops.symbolic(f"{DOMAIN}::{OP}", (x, *inputs), attrs=self.attributes, **kind)

    return Marker


def _absent(torch: Any, g: Any) -> Any:
    """An optional input that is not there."""
    none = g.op("prim::Constant")
    none.setType(torch._C.OptionalType.ofTensor())
    return none


def node_attributes(found: Found) -> dict[str, Any]:
    """The attributes of the SkipConv node, docs/skipconv.md."""
    spec, conv = found.spec, found.conv
    assert spec is not None
    geometry = {
        "strides": list(_pair(conv.stride)),
        "pads": list(_pads(conv)),
        "dilations": list(_pair(conv.dilation)),
        "group": int(conv.groups),
    }
    return {**geometry, **spec.to_attributes(), "module": found.path}


def _settle(markers: list[Any]) -> None:
    """After a run, when sizes are known: takes shared gates away that the file cannot express."""
    led = {marker.found.path: marker for marker in markers if marker.found.spec and marker.found.spec.gate != "shared"}
    for marker in markers:
        spec = marker.found.spec
        if not marker.found.follows or spec is None:
            continue
        leader = led.get(spec.leader)
        if leader is None or leader.output_shape[2:] != marker.output_shape[2:]:
            marker.found, marker.attributes = dataclasses.replace(marker.found, spec=None), {}


def notes_on(markers: list[Any]) -> list[str]:
    """What to know about the modules after a run of the network: which were not reached, whose numbers are overwritten.

    Raises:
        UnsupportedError: a module was called more than once, where one state would serve several places.
    """
    _settle(markers)
    alone = [marker.found.path for marker in markers if marker.found.follows and marker.found.spec is None]
    notes = []
    if alone:
        notes.append(
            f"{', '.join(alone)}: these share the gate of a layer whose output has other sides, or that has none; they "
            "run without gate, wherever their input changed"
        )
    for marker in markers:
        path, calls = marker.found.path, len(marker.seen) // 2
        if calls > 1 and marker.found.spec is not None:
            raise UnsupportedError(
                f"{path} is called {calls} times per frame; its state belongs to one place: use a module for each"
            )
        if not calls:
            notes.append(f"{path} is a Skip-Convolution that the network does not call")
        official = marker.found.spec is not None and not hasattr(marker.found.conv, "framegate_update")
        if official and any(tensor._version != version for tensor, version in marker.seen):
            notes.append(
                f"{path}: what it reads or gives is overwritten in place behind it (an in-place ReLU?); the official "
                "module's state is damaged by that, the converted network's is not, so results differ from it"
            )
        marker.seen.clear()
    return notes
