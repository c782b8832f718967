from __future__ import annotations

from converters.importers.layout import (
    Refinement,
    Tensor,
    all_pixel_axes,
    atoms_of,
    default_pixel_axes,
    extents,
    free_layouts,
    input_pixel_axes,
    is_storable,
    joined,
    reshaped_pixel_axes,
    stored_order,
)


def test_extents_and_order():
    assert extents((1, 3, 4, 5), (2, 3)) == (4, 5, 3)
    assert extents((1, 3, 4, 5), (3,)) == (1, 5, 12)
    assert extents((), ()) == (1, 1, 1)
    assert stored_order((1, 3, 4, 5), (3, 2)) == (3, 2, 1)
    assert stored_order((1, 3, 1, 5), (2, 3)) == (3, 1)
    assert len(list(all_pixel_axes(4))) == 1 + 4 + 12
    assert not is_storable((1, 70000), (1,))


def test_layouts_of_inputs():
    assert input_pixel_axes((1, 3, 240, 320)) == (2, 3)
    assert input_pixel_axes((1, 240, 320, 3)) == (1, 2)
    assert input_pixel_axes((1, 16, 20, 20)) == (2, 3)
    assert input_pixel_axes((3, 24, 32)) == (1, 2)
    assert input_pixel_axes((24, 32, 3)) == (0, 1)
    assert input_pixel_axes((1, 64, 100)) == (2,)
    assert default_pixel_axes((1, 10)) == ()
    assert default_pixel_axes((1, 2, 70000)) == ()


def test_free_layouts():
    assert free_layouts(Tensor("x", (1, 3, 4, 5), (2, 3)))[0] == (2, 3)
    vector = free_layouts(Tensor("x", (1, 6, 1, 1)))
    assert (2, 3) in vector
    assert (1,) in vector


def test_refinement():
    cut = Refinement.of((1, 6, 4), (2, 12))
    assert [cut.sizes[atom] for atom in atoms_of([1, 2], cut.old)] == [2, 3, 4]
    assert atoms_of([1, 2], cut.old) == atoms_of([0, 1], cut.new)
    tangled = Refinement.of((6, 4, 3), (4, 6, 3))
    assert atoms_of([0], tangled.old) != atoms_of([0], tangled.new)
    assert joined(atoms_of([0, 1, 2], tangled.old)) == joined(atoms_of([0, 1, 2], tangled.new))
    assert joined(atoms_of([1, 0], tangled.old)) != joined(atoms_of([1, 0], tangled.new))


def test_reshaped_pixel_axes():
    def axes(shape, pixel_axes, new_shape):
        return reshaped_pixel_axes(Tensor("x", shape, pixel_axes), new_shape, Refinement.of(shape, new_shape))

    assert axes((1, 3, 4, 5), (2, 3), (1, 3, 20)) == (2,)
    assert axes((1, 3, 20), (2,), (1, 3, 4, 5)) == (2, 3)
    assert axes((1, 4, 5, 6), (1, 2), (1, 40, 3)) == (1,)
    assert axes((1, 4, 5, 6), (1, 2), (1, 120)) == ()
    assert axes((1, 3, 4, 5), (2, 3), (1, 60)) is None
    assert axes((1, 6), (), (1, 2, 3)) == ()
    assert axes((1, 300, 300, 2), (1, 2), (1, 90000, 2)) == ()  # more pixels than one axis may have
