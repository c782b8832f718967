"""Skip-Convolutions in PyTorch: build, train and convert them. Needs torch (``pip install 'framegate[torch]'``).

from converters.skipconv import as_clips, gate_loss, skipify

skipify(network, gate="gumbel")                      # every convolution becomes a SkipConv2d
with as_clips(network, frames=4):                    # a batch holds clips of 4 frames, one behind the other
    loss = task_loss(network(images), labels) + beta * gate_loss(network)

The equations are those of Habibian, Abati, Cohen, Ehteshami Bejnordi, "Skip-Convolutions for Efficient Video
Processing", CVPR 2021. docs/training.md shows how to use them.
"""

from .conv import SkipConv2d
from .gates import GateType, GumbelGate, NormGate, NormType
from .skipify import by_parent, skipify
from .training import LayerStatistics, as_clips, gate_loss, reset, skip_layers, statistics

__all__ = [
    "GateType",
    "GumbelGate",
    "LayerStatistics",
    "NormGate",
    "NormType",
    "SkipConv2d",
    "as_clips",
    "by_parent",
    "gate_loss",
    "reset",
    "skip_layers",
    "skipify",
    "statistics",
]
