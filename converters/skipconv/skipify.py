"""Turns the convolutions of an existing network into gated ones."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from .conv import SkipConv2d
from .gates import Gate, GumbelGate, NormGate

Select = Callable[[str, nn.Conv2d], bool]
Group = Callable[[str, nn.Conv2d], "str | None"]
GATES = ("gumbel", "norm_input", "norm_output")


def spatial(_name: str, conv: nn.Conv2d) -> bool:
    """The usual choice: kernels above 1 x 1. A gate in front of a 1 x 1 head saves little and costs agreement."""
    return bool(max(conv.kernel_size) > 1)


def by_parent(name: str, _conv: nn.Conv2d) -> str | None:
    """Layers of one submodule share a gate: expand, depthwise and project of an inverted residual block."""
    return name.rpartition(".")[0] or None


def skipify(
    network: nn.Module,
    *,
    gate: str = "gumbel",
    eps: float = 0.1,
    structure: int = 1,
    update: str = "residual",
    reference: str = "last",
    select: Select = spatial,
    share: Group | None = None,
) -> list[str]:
    """Replaces convolutions by ``SkipConv2d`` with the same weights, in place.

    Args:
        network: any module; transposed and 1-D or 3-D convolutions are left alone.
        gate: "gumbel", which must be trained, "norm_input" or "norm_output".
        eps: threshold of norm gates.
        structure: side of the blocks that Gumbel gates decide on: 1, 2, 4 or 8.
        update: "residual" or "recompute", see ``SkipConv2d``.
        reference: "last" or "fired" (closed loop), see ``SkipConv2d``.
        select: ``select(name, conv)`` says whether to gate a convolution; default: kernels above 1 x 1.
        share: ``share(name, conv)`` gives the key of a group whose layers share one gate, or None; the first of a
            group, in the order of ``named_modules``, evaluates it. ``by_parent`` takes submodules as groups.

    Returns:
        The names of the replaced convolutions.

    Raises:
        ValueError: an option is wrong, or nothing was selected.
    """
    if gate not in GATES:
        raise ValueError(f"gate is {gate!r}; possible are {', '.join(GATES)}")
    own_parts = {id(part) for module in network.modules() if isinstance(module, Gate) for part in module.modules()}
    found = [
        (name, module)
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d) and not isinstance(module, SkipConv2d) and id(module) not in own_parts
    ]
    found = [(name, conv) for name, conv in found if select(name, conv)]
    if not found:
        raise ValueError("no convolution was selected: look at network.named_modules() and at select")
    leaders: dict[str, Gate] = {}
    for name, conv in found:
        key = share(name, conv) if share is not None else None
        own = None if key in leaders else _gate(conv, gate, eps, structure)
        shared = leaders[key] if key is not None and own is None else own
        assert shared is not None
        if key is not None:
            leaders.setdefault(key, shared)
        _replace(network, name, gated(conv, shared, own is not None, update, reference))
    return [name for name, _ in found]


def _gate(conv: nn.Conv2d, kind: str, eps: float, structure: int) -> Gate:
    if kind == "gumbel":
        return GumbelGate(conv, structure)
    return NormGate(kind.removeprefix("norm_"), eps)


def gated(conv: nn.Conv2d, gate: Gate, leads: bool, update: str, reference: str) -> SkipConv2d:
    """A gated convolution that shares the weights of a plain one."""
    layer = SkipConv2d(
        conv.in_channels,
        conv.out_channels,
        conv.kernel_size,
        conv.stride,
        conv.padding,
        conv.dilation,
        conv.groups,
        conv.bias is not None,
        conv.padding_mode,
        gate=gate,
        leads=leads,
        update=update,
        reference=reference,
    )
    layer.weight, layer.bias = conv.weight, conv.bias
    layer.to(conv.weight.device, conv.weight.dtype)
    layer.train(conv.training)
    return layer


def _replace(network: nn.Module, name: str, layer: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    if not name:
        raise ValueError("the network is a convolution itself; put it into an nn.Sequential")
    setattr(network.get_submodule(parent), last, layer)
