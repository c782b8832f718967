"""Maxima over windows of several sizes around the same pixels: a larger one from the next smaller one's result."""

from __future__ import annotations

import dataclasses
import itertools
from collections import defaultdict

from runtime.reference.graph import Graph, Node, Pool, PoolKind

from .rewrite import Rewriter


def chain_max_pools(graph: Graph) -> Graph:
    """Replaces spatial pyramid pooling (YOLOX: windows of 5, 9 and 13 over one map) by a chain.

    The maximum over a window of k is the one over k - j + 1 of maxima over j: 3 x 25 numbers a pixel instead of
    25 + 81 + 169. Exact, at the edges too, where windows are cut. Only windows centred on their pixel.
    """
    rewriter = Rewriter(graph)
    pools: dict[str, list[tuple[Node, Pool]]] = defaultdict(list)
    for node in rewriter.live():
        if isinstance(node.attributes, Pool) and node.gate is None and _is_centred(node.attributes):
            pools[str(node.inputs[0])].append((node, node.attributes))
    for nodes in pools.values():
        for (smaller, a), (larger, b) in itertools.pairwise(nodes):  # in order: it reads what stands before it
            rows, cols = b.kernel_h - a.kernel_h + 1, b.kernel_w - a.kernel_w + 1
            if rows < 1 or cols < 1:
                break
            larger.attributes = _centred(rows, cols)
            rewriter.set_inputs(larger, [smaller.output])
    return rewriter.finish()


def _centred(rows: int, cols: int) -> Pool:
    pads = {"pad_top": rows // 2, "pad_left": cols // 2, "pad_bottom": rows // 2, "pad_right": cols // 2}
    return Pool(PoolKind.MAX, rows, cols, **pads)


def _is_centred(a: Pool) -> bool:
    odd = a.kernel_h % 2 == 1 and a.kernel_w % 2 == 1
    return odd and dataclasses.replace(a, count_include_pad=0) == _centred(a.kernel_h, a.kernel_w)
