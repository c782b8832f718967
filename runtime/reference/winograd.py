"""Winograd's F(4x4, 3x3): 4 x 4 output pixels from 6 x 6 input pixels with 36 products a channel pair instead of 144.

The points are 0, +-5/8, +-3/2 and infinity. All numbers of the transforms of inputs and outputs are exact in float32;
weights are transformed once, in float64, when a network is converted. docs/file_format.md, section 4, is normative.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .graph import CompactWinogradConv2d, WinogradConv2d

Floats = npt.NDArray[np.float32]
TILE, PATCH = 4, 6  # sides of a tile of output pixels and of the input pixels it depends on
P, Q = 0.625, 1.5
BLOCK = 128  # products of one partial sum


def _point_scales() -> npt.NDArray[np.float64]:
    """(6,): one over the product of a point's distances to the other finite ones; infinity 1."""
    points = [0, P, -P, Q, -Q]
    distances = [np.prod([point - other for other in points if other != point]) for point in points]
    return np.array([*(1 / distance for distance in distances), 1])


def _weight_matrix() -> npt.NDArray[np.float64]:
    """G, (6, 3): a kernel as a polynomial at each point, times the point's scale."""
    rows = np.stack([point ** np.arange(3) for point in np.array([0, P, -P, Q, -Q])])
    return np.vstack([rows, [0, 0, 1]]) * _point_scales()[:, None]


def transform_weights(weights: npt.NDArray[np.generic]) -> Floats:
    """(3, 3, C_in, C_out) to (6, 6, C_in, C_out), computed in float64."""
    g = _weight_matrix()
    out: Floats = np.einsum("ia,jb,abco->ijco", g, g, weights.astype(np.float64)).astype(np.float32)
    return out


def restore_weights(transformed: npt.NDArray[np.generic]) -> Floats:
    """The (3, 3, C_in, C_out) whose transform comes closest to (6, 6, C_in, C_out); to rounding what it was made of."""
    g = np.linalg.pinv(_weight_matrix())
    out: Floats = np.einsum("ai,bj,ijco->abco", g, g, transformed.astype(np.float64)).astype(np.float32)
    return out


def _transform_row(x: list[Floats]) -> list[Floats]:
    """Three weights along an axis to six; see ``transform_compact``."""
    e, f = _fma(P * P, x[2], x[0]), _fma(Q * Q, x[2], x[0])
    return [x[0], _fma(P, x[1], e), _fma(-P, x[1], e), _fma(Q, x[1], f), _fma(-Q, x[1], f), x[2]]


def transform_compact(weights: npt.NDArray[np.generic]) -> Floats:
    """(3, 3, C_in, C_out) to (6, 6, C_in, C_out) as the engine does it, in float32.

    Without the points' scales, which the sums get instead: so a channel pair takes 54 multiply-adds.
    """
    kernel = np.asarray(weights, np.float32)
    columns = [_transform_row([kernel[i, j] for i in range(3)]) for j in range(3)]
    return np.stack([np.stack(_transform_row([columns[j][i] for j in range(3)])) for i in range(PATCH)])


def _fma(a: float, b: Floats, c: Floats) -> Floats:
    """The engine's a * b + c, rounded once but where a double ends on a tie of floats by rounding: too rare to meet."""
    out: Floats = (np.float64(a) * b + c).astype(np.float32)
    return out


def _transform_input(d: list[Floats]) -> list[Floats]:
    """Six numbers along an axis of a patch to six."""
    e, o = _fma(-Q * Q, d[2], d[4]), _fma(-Q * Q, d[1], d[3])
    f, n = _fma(-P * P, d[2], d[4]), _fma(-P * P, d[1], d[3])
    product, total = P * P * Q * Q, P * P + Q * Q
    return [
        _fma(product, d[0], _fma(-total, d[2], d[4])),
        _fma(P, o, e),
        _fma(-P, o, e),
        _fma(Q, n, f),
        _fma(-Q, n, f),
        _fma(product, d[1], _fma(-total, d[3], d[5])),
    ]


def _transform_sums(m: list[Floats]) -> list[Floats]:
    """Six sums along an axis to four results."""
    s, t, u, v = m[1] + m[2], m[3] + m[4], m[1] - m[2], m[3] - m[4]
    return [
        (m[0] + s) + t,
        _fma(Q, v, np.float32(P) * u),
        _fma(Q**2, t, np.float32(P**2) * s),
        _fma(Q**3, v, _fma(P**3, u, m[5])),
    ]


def _multiply(x: Floats, weights: Floats) -> Floats:
    """(36, tiles, C_in) times (36, C_in, C_out) with the engine's bits: fused sums in blocks, blocks in order."""
    wide, factors = x.astype(np.float64), weights.astype(np.float64)
    shape = (x.shape[0], x.shape[1], weights.shape[2])
    out: Floats = np.zeros(shape, np.float32)
    product = np.empty(shape, np.float64)
    for begin in range(0, x.shape[2], BLOCK):
        total: Floats = np.zeros(shape, np.float32)
        for c in range(begin, min(begin + BLOCK, x.shape[2])):
            np.multiply(wide[:, :, c, None], factors[:, c, None], out=product)
            np.add(product, total, out=product)
            total[...] = product
        out = total if begin == 0 else out + total
    return out


def convolve(
    attributes: WinogradConv2d, x: Floats, weights: Floats, bias: Floats | None, rows: int, cols: int
) -> Floats:
    """The convolution without activation and residual, with the engine's bits.

    Args:
        attributes: its padding.
        x: (rows, cols, C_in).
        weights: transformed, (6, 6, C_in, C_out), or of a compact node (3, 3, C_in, C_out).
        bias: C_out numbers or None.
        rows: of the output.
        cols: of the output.

    Returns:
        (rows, cols, C_out).
    """
    down, across = -(-rows // TILE), -(-cols // TILE)
    padded = np.zeros((down * TILE + 2, across * TILE + 2, x.shape[2]), np.float32)
    top, left = attributes.pad_top, attributes.pad_left
    padded[top : top + x.shape[0], left : left + x.shape[1]] = x
    windows = np.lib.stride_tricks.sliding_window_view(padded, (PATCH, PATCH), (0, 1))[::TILE, ::TILE]
    patches = windows.reshape(down * across, x.shape[2], PATCH, PATCH)
    columns = [_transform_input([patches[:, :, i, j] for i in range(PATCH)]) for j in range(PATCH)]
    transformed = [_transform_input([columns[j][i] for j in range(PATCH)]) for i in range(PATCH)]
    compact = isinstance(attributes, CompactWinogradConv2d)
    factors = transform_compact(weights) if compact else weights
    sums = _multiply(np.stack([part for row in transformed for part in row]), factors.reshape(-1, *weights.shape[2:]))
    if compact:
        scales = _point_scales()
        sums = sums * np.outer(scales, scales).astype(np.float32).reshape(-1, 1, 1)
    columns = [_transform_sums([sums[i * PATCH + j] for i in range(PATCH)]) for j in range(PATCH)]
    tiles = np.stack([np.stack(_transform_sums([columns[j][i] for j in range(PATCH)])) for i in range(TILE)])
    if bias is not None:
        tiles = tiles + bias.reshape(-1)
    whole = tiles.reshape(TILE, TILE, down, across, -1).transpose(2, 0, 3, 1, 4)
    out: Floats = whole.reshape(down * TILE, across * TILE, -1)[:rows, :cols]
    return np.ascontiguousarray(out)
