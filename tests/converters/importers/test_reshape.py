from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from converters.importers.builder import Builder
from converters.importers.reshape import reshape
from runtime.reference.graph import Activation

from .models import run

SIZES = st.lists(st.sampled_from([1, 2, 3, 4, 6]), min_size=1, max_size=5)


@st.composite
def chains(draw):
    """A shape, then reshapes and transposes of it."""
    shape = tuple(draw(SIZES))
    steps, current = [], shape
    for _ in range(draw(st.integers(1, 4))):
        if draw(st.booleans()):
            perm = tuple(draw(st.permutations(range(len(current)))))
            steps.append(("transpose", perm))
            current = tuple(current[axis] for axis in perm)
        else:
            left, sizes = math.prod(current), []
            while left > 1 and len(sizes) < 4:
                sizes.append(draw(st.sampled_from([d for d in range(1, left + 1) if left % d == 0])))
                left //= sizes[-1]
            current = (*sizes, left)
            steps.append(("reshape", current))
    return shape, draw(st.permutations(range(len(shape))))[: draw(st.integers(0, min(2, len(shape))))], steps


@settings(max_examples=300, deadline=None)
@given(chains())
def test_chains_of_reshapes_and_transposes_move_the_right_numbers(case):
    shape, pixel_axes, steps = case
    builder = Builder()
    x = builder.input("x", shape, "float32")
    frame = np.arange(math.prod(shape), dtype=np.float32).reshape(shape)
    builder.begin("first")
    tensor = builder.bind(builder.unary(builder.as_layout(x, tuple(pixel_axes)), Activation.IDENTITY), "first")
    for number, (kind, argument) in enumerate(steps):
        builder.begin(f"n{number}")
        step = reshape(builder, tensor, argument) if kind == "reshape" else builder.transpose(tensor, argument)
        tensor = builder.bind(step, f"n{number}")
        frame = frame.reshape(argument) if kind == "reshape" else frame.transpose(argument)
    builder.output("y", tensor, "float32")
    source = np.arange(math.prod(shape), dtype=np.float32).reshape(shape)
    np.testing.assert_array_equal(run(builder.graph, {"x": source})["y"], frame)


def test_reshaping_back_undoes_a_reordering():
    builder = Builder()
    x = builder.input("x", (1, 6, 4, 5), "float32")
    builder.begin("a")
    flat = builder.bind(reshape(builder, x, (1, 120)), "a")
    assert builder.graph.nodes[-1].op == "transpose"
    assert reshape(builder, flat, (1, 6, 4, 5)).name == "x"
