"""The passes from an imported graph to the one that is written, each a function Graph -> Graph in its own module."""

from __future__ import annotations

from collections.abc import Callable

from runtime.reference.graph import Graph

from .chain_max_pools import chain_max_pools
from .compose_gathers import compose_gathers
from .fold_affine import fold_affine
from .fold_constants import fold_constants
from .fold_pad import fold_pad
from .fold_space_to_depth import fold_space_to_depth
from .fuse_activation import fuse_activation
from .fuse_patterns import fuse_patterns
from .fuse_residual import fuse_residual
from .place_gates import GatePolicy, choose_alpha, place_gates
from .remove_dead import remove_dead

Pass = Callable[[Graph], Graph]

# In this order. fuse_patterns sees factors before fold_affine moves them into weights; place_gates stands before
# fuse_residual, which leaves gated values alone.
PIPELINE: tuple[Pass, ...] = (
    fold_constants,
    compose_gathers,
    fold_pad,
    fold_space_to_depth,
    chain_max_pools,
    fuse_patterns,
    fold_affine,
    fuse_activation,
    place_gates,
    fuse_residual,
    remove_dead,
)

__all__ = ["PIPELINE", "GatePolicy", "Pass", "choose_alpha"]
