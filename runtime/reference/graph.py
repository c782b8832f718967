"""The one graph representation of the project: what a `.fgm` file holds, and what the converters' passes work on.

Every value is a map of ``rows x cols`` pixels with ``channels`` numbers each (NHWC with N = 1); see
docs/file_format.md, sections 2 to 7, for the meaning of each operator and attribute.
"""

from __future__ import annotations

import dataclasses
import enum
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]


class Activation(enum.IntEnum):
    """Fused pointwise functions; ids as in the file."""

    IDENTITY = 0
    RELU = 1
    CLIP = 2
    LEAKY_RELU = 3
    SIGMOID = 4
    SILU = 5
    HARD_SIGMOID = 6
    HARD_SWISH = 7
    TANH = 8
    GELU = 9
    GELU_TANH = 10
    ERF = 11
    ELU = 12
    SELU = 13
    MISH = 14
    SOFTPLUS = 15
    SOFTSIGN = 16
    EXP = 17
    LOG = 18
    SQRT = 19
    RECIPROCAL = 20
    FLOOR = 21
    CEIL = 22
    ROUND = 23
    ABS = 24
    NEG = 25
    SIGN = 26
    TRUNC = 27
    NOT = 28
    POW = 29
    SQUARE = 30
    AFFINE = 31
    CELU = 32
    THRESHOLD = 33
    BOOL = 34


class Binary(enum.IntEnum):
    """Kinds of the binary operator."""

    ADD = 0
    SUB = 1
    MUL = 2
    DIV = 3
    MIN = 4
    MAX = 5
    POW = 6
    EQUAL = 7
    LESS = 8
    LESS_EQUAL = 9
    GREATER = 10
    GREATER_EQUAL = 11
    AND = 12
    OR = 13
    XOR = 14
    PRELU = 15
    MOD = 16
    FMOD = 17


class Reduce(enum.IntEnum):
    """Kinds of the reduce operators; the last two over channels only."""

    MEAN = 0
    SUM = 1
    MAX = 2
    MIN = 3
    PRODUCT = 4
    ARG_MAX = 5
    ARG_MIN = 6


class PoolKind(enum.IntEnum):
    """Kinds of the windowed pool."""

    MAX = 0
    AVERAGE = 1


class Residual(enum.IntEnum):
    """Where a convolution adds its residual input."""

    NONE = 0
    BEFORE_ACTIVATION = 1
    AFTER_ACTIVATION = 2


class GateNorm(enum.IntEnum):
    """Distance over a pixel's channels."""

    L1 = 0
    RMS = 1
    MAX = 2


class Resize(enum.IntEnum):
    """How a camera frame is brought to the network's size."""

    NONE = 0
    STRETCH = 1
    LETTERBOX = 2


class Align(enum.IntEnum):
    """Where a letterboxed frame lies."""

    TOP_LEFT = 0
    CENTER = 1


class ValueKind(enum.IntEnum):
    """Where a value comes from."""

    CONSTANT = 0
    INPUT = 1
    NODE = 2


@dataclass(frozen=True)
class Attributes:
    """Base of the operators' attributes: int or float fields, stored in order as 32-bit words.

    ``OP`` is the opcode, ``FLAGS`` are the node record's; a field annotated ``tuple[int, ...]`` takes ``LENGTHS[name]``
    words, padded with 0. Candidates are whole squares of side ``SQUARE``.
    """

    OP: ClassVar[int]
    NAME: ClassVar[str]
    FLAGS: ClassVar[int] = 0
    SQUARE: ClassVar[int] = 1
    SQUARE_WORK: ClassVar[int] = 1  # what a square costs, in pixels' multiply-accumulates
    LENGTHS: ClassVar[dict[str, int]] = {}


@dataclass(frozen=True)
class Conv2d(Attributes):
    """Convolution. Inputs: x, weights (kernel_h, kernel_w, C_in/groups, C_out), bias (C_out)?, residual?.

    With a skip gate also gate_weights?, residual_bias?; see ``SkipGate``.
    """

    OP: ClassVar[int] = 1
    NAME: ClassVar[str] = "conv2d"
    kernel_h: int
    kernel_w: int
    stride_h: int = 1
    stride_w: int = 1
    dilation_h: int = 1
    dilation_w: int = 1
    pad_top: int = 0
    pad_left: int = 0
    pad_bottom: int = 0
    pad_right: int = 0
    groups: int = 1
    residual: int = Residual.NONE

    @property
    def weight_sides(self) -> tuple[int, int]:
        """The first two axes of the weights."""
        return self.kernel_h, self.kernel_w


@dataclass(frozen=True)
class WinogradConv2d(Conv2d):
    """A convolution computed by F(4x4, 3x3). Weights (6, 6, C_in, C_out), transformed; see winograd.py.

    The kernel is 3 x 3, strides, dilations and groups are 1. A pixel's bits depend on the inputs of its whole tile.
    """

    FLAGS: ClassVar[int] = 1
    SQUARE: ClassVar[int] = 4
    SQUARE_WORK: ClassVar[int] = 4

    @property
    def weight_sides(self) -> tuple[int, int]:
        """The first two axes of the weights."""
        return 6, 6


@dataclass(frozen=True)
class CompactWinogradConv2d(WinogradConv2d):
    """The same with weights (3, 3, C_in, C_out), which the engine transforms when it reads them; see winograd.py."""

    FLAGS: ClassVar[int] = 3
    weight_sides = Conv2d.weight_sides


@dataclass(frozen=True)
class ConvTranspose2d(Conv2d):
    """Transposed convolution. Weights (kernel_h, kernel_w, C_in/groups, C_out); the output value fixes the size."""

    OP: ClassVar[int] = 2
    NAME: ClassVar[str] = "conv_transpose2d"


@dataclass(frozen=True)
class Matmul(Attributes):
    """Matrix product of two running values, a (R, M, K) and b (R or 1, K, N)."""

    OP: ClassVar[int] = 3
    NAME: ClassVar[str] = "matmul"


@dataclass(frozen=True)
class Pool(Attributes):
    """Windowed max or average pooling."""

    OP: ClassVar[int] = 4
    NAME: ClassVar[str] = "pool"
    kind: int
    kernel_h: int
    kernel_w: int
    stride_h: int = 1
    stride_w: int = 1
    dilation_h: int = 1
    dilation_w: int = 1
    pad_top: int = 0
    pad_left: int = 0
    pad_bottom: int = 0
    pad_right: int = 0
    count_include_pad: int = 0


@dataclass(frozen=True)
class ReducePixels(Attributes):
    """Reduction over rows, cols or both (global pooling)."""

    OP: ClassVar[int] = 5
    NAME: ClassVar[str] = "reduce_pixels"
    kind: int
    over_rows: int = 1
    over_cols: int = 1


@dataclass(frozen=True)
class ReduceChannels(Attributes):
    """Reduction over the middle of channels seen as outer x count x inner."""

    OP: ClassVar[int] = 6
    NAME: ClassVar[str] = "reduce_channels"
    kind: int
    outer: int
    count: int
    inner: int
    select_last: int = 0


@dataclass(frozen=True)
class Softmax(Attributes):
    """(Log-)softmax over the middle of channels seen as outer x count x inner."""

    OP: ClassVar[int] = 7
    NAME: ClassVar[str] = "softmax"
    outer: int
    count: int
    inner: int
    log: int = 0


@dataclass(frozen=True)
class Unary(Attributes):
    """The node's activation and nothing else."""

    OP: ClassVar[int] = 8
    NAME: ClassVar[str] = "unary"


@dataclass(frozen=True)
class BinaryOp(Attributes):
    """Elementwise operator of two values, broadcasting extents of 1."""

    OP: ClassVar[int] = 9
    NAME: ClassVar[str] = "binary"
    kind: int


@dataclass(frozen=True)
class Where(Attributes):
    """Inputs condition, a, b."""

    OP: ClassVar[int] = 10
    NAME: ClassVar[str] = "where"


@dataclass(frozen=True)
class Gather(Attributes):
    """Index maps over rows, cols and channels; -1 gives ``fill``. Inputs: x, row_map?, col_map?, channel_map?."""

    OP: ClassVar[int] = 11
    NAME: ClassVar[str] = "gather"
    phase_rows: int = 1
    phase_cols: int = 1
    fill: float = 0.0


@dataclass(frozen=True)
class Concat(Attributes):
    """Inputs one behind the other along axis 0 rows, 1 cols or 2 channels."""

    OP: ClassVar[int] = 12
    NAME: ClassVar[str] = "concat"
    axis: int


@dataclass(frozen=True)
class ResizeOp(Attributes):
    """Separable resampling by tables. Inputs: x, row_index, row_weight, col_index, col_weight."""

    OP: ClassVar[int] = 13
    NAME: ClassVar[str] = "resize"
    row_taps: int
    col_taps: int
    fill: float = 0.0


@dataclass(frozen=True)
class View(Attributes):
    """The same numbers in the same order with other extents."""

    OP: ClassVar[int] = 14
    NAME: ClassVar[str] = "view"


@dataclass(frozen=True)
class Transpose(Attributes):
    """Permutation of the numbers seen as an array of up to 8 axes."""

    OP: ClassVar[int] = 15
    NAME: ClassVar[str] = "transpose"
    LENGTHS: ClassVar[dict[str, int]] = {"dims": 8, "perm": 8}
    rank: int
    dims: tuple[int, ...]
    perm: tuple[int, ...]


OPS: dict[int, type[Attributes]] = {
    cls.OP: cls
    for cls in (
        Conv2d,
        ConvTranspose2d,
        Matmul,
        Pool,
        ReducePixels,
        ReduceChannels,
        Softmax,
        Unary,
        BinaryOp,
        Where,
        Gather,
        Concat,
        ResizeOp,
        View,
        Transpose,
    )
}


@dataclass(frozen=True)
class ActivationSpec:
    """An activation with its parameters."""

    kind: Activation = Activation.IDENTITY
    parameters: tuple[float, ...] = ()


@dataclass(frozen=True)
class HoldGate:
    """Keep the held value where the distance is at most alpha * std; std 0 is measured by the stream."""

    alpha: float
    norm: GateNorm = GateNorm.L1
    block: int = 1
    std: float = 0.0


class SkipKind(enum.IntEnum):
    """Skip-Convolution gates; ids as in the file."""

    NORM_INPUT = 2
    NORM_OUTPUT = 3
    GUMBEL = 4
    SHARED = 5  # another node's gates


class SkipUpdate(enum.IntEnum):
    """What happens at an output whose gate fires."""

    RECOMPUTE = 0  # z = conv(x) + bias
    RESIDUAL = 1  # z = z + gate * (conv(r) + residual bias)


class SkipReference(enum.IntEnum):
    """What the input is compared with."""

    LAST = 0  # the last frame, as in the official module
    FIRED = 1  # what the held output was computed from: a closed loop


@dataclass(frozen=True)
class SkipGate:
    """A Skip-Convolution gate on a conv2d; docs/file_format.md, section 5a.

    The node's inputs are x, weights, bias?, None, gate_weights?, residual_bias?. gate_weights (gumbel only) are a
    constant (1, 1, C_in, kernel_h * kernel_w), residual_bias one of C_out numbers. The defaults are the paper's
    semantics; the official module has ``floor`` and ``half`` on norm gates, too.

    Attributes:
        kind: norm_input (Eq. 5), norm_output (Eq. 7), gumbel (Eq. 8), or shared: the gates of ``leader``.
        eps: threshold of a norm gate; 0 for gumbel.
        scale: factor of a norm gate's sum of |r|; official: 1 / (kernel_h * kernel_w * rows of the output), for
            norm_output times mean |weights| before folding. 0 for gumbel.
        bias: of the gumbel gate's convolution; 0 for norm gates.
        block: structure; the gate of a block x block square is the largest of its pixels'.
        update: residual or recompute.
        reference: last or fired.
        floor: values are rounded down to multiples of 1e-5 (official norm gates).
        half: a value equal to eps gives a gate of 0.5 (official norm gates).
        reset: the node starts anew before every push t with t mod reset = 0; 0 never. shared: as the leader's.
        leader: shared only: the output of an earlier node with gates of its own and as many rows and cols. Then eps,
            scale and bias are 0, block is 1, and half is the leader's.
    """

    kind: SkipKind
    eps: float = 0.0
    scale: float = 0.0
    bias: float = 0.0
    block: int = 1
    update: SkipUpdate = SkipUpdate.RESIDUAL
    reference: SkipReference = SkipReference.LAST
    floor: bool = False
    half: bool = False
    reset: int = 0
    leader: str | None = None

    @property
    def fires_on_zero(self) -> bool:
        """Whether a zero residual passes: then gates are evaluated everywhere in every push."""
        if self.reference == SkipReference.FIRED or self.kind == SkipKind.SHARED:
            return False
        if self.kind == SkipKind.GUMBEL:
            return self.bias >= 0
        return self.eps < 0 or (self.half and self.eps == 0)


Gate = HoldGate | SkipGate
GATE_WEIGHTS, RESIDUAL_BIAS = 4, 5  # positions among a skip-gated node's inputs


@dataclass
class Value:
    """A tensor. ``data`` holds constants: f32 or int32 of shape (rows, cols, channels).

    Weights of convolutions are kept in their natural 4-D shape (kernel_h, kernel_w, C_in/groups, C_out); only the file
    packs them. ``shape``, ``pixel_axes`` tell how the source model saw the value: its stored order is the pixel axes,
    then the remaining source axes in order. ``source_dtype`` is a NumPy dtype name.
    """

    name: str
    kind: ValueKind
    rows: int = 1
    cols: int = 1
    channels: int = 1
    data: Array | None = None
    shape: tuple[int, ...] = ()
    pixel_axes: tuple[int, ...] = ()
    source_dtype: str = "float32"

    @property
    def extents(self) -> tuple[int, int, int]:
        """(rows, cols, channels)."""
        return self.rows, self.cols, self.channels

    @property
    def elements(self) -> int:
        """Numbers in the value."""
        return self.rows * self.cols * self.channels


@dataclass
class Node:
    """An operator; values are referred to by name, an absent optional input is None."""

    name: str
    attributes: Attributes
    inputs: list[str | None]
    output: str
    activation: ActivationSpec = ActivationSpec()
    gate: Gate | None = None

    @property
    def op(self) -> str:
        """The operator's name."""
        return self.attributes.NAME

    @property
    def reads(self) -> list[str]:
        """The values it depends on: its inputs, and the output of the node whose gate it shares."""
        leader = self.gate.leader if isinstance(self.gate, SkipGate) else None
        return [name for name in (*self.inputs, leader) if name is not None]


@dataclass(frozen=True)
class Preprocess:
    """How a uint8 camera frame becomes the network's input, in this order: resize, gate, channel order, mean, scale."""

    resize: Resize = Resize.NONE
    align: Align = Align.TOP_LEFT
    fill: int = 0
    channel_order: tuple[int, ...] = (0, 1, 2)
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    scale: tuple[float, ...] = (1.0, 1.0, 1.0)


@dataclass
class Input:
    """A network input: its value, the input gate and the preparation of frames."""

    name: str
    value: str
    threshold: float = 0.0
    grey_level: float = 0.0
    preprocess: Preprocess | None = None


@dataclass
class Output:
    """A network output; ``dtype`` is a NumPy dtype name (float32, int32, int64, bool)."""

    name: str
    value: str
    dtype: str = "float32"


@dataclass
class Graph:
    """A network: values by name, nodes in execution order."""

    values: dict[str, Value] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    inputs: list[Input] = field(default_factory=list)
    outputs: list[Output] = field(default_factory=list)
    metadata: dict[str, object] = field(default_factory=dict)

    def producers(self) -> dict[str, Node]:
        """Node by the name of its output."""
        return {node.output: node for node in self.nodes}

    def consumers(self) -> dict[str, list[Node]]:
        """Nodes by the name of a value they read."""
        readers: dict[str, list[Node]] = {name: [] for name in self.values}
        for node in self.nodes:
            for name in dict.fromkeys(n for n in node.inputs if n is not None):
                readers[name].append(node)
        return readers


def winograd_fits(attributes: Conv2d) -> bool:
    """Whether F(4x4, 3x3) can compute a convolution."""
    a = attributes
    geometry = (a.kernel_h, a.kernel_w, a.stride_h, a.stride_w, a.dilation_h, a.dilation_w, a.groups)
    return not isinstance(a, ConvTranspose2d) and geometry == (3, 3, 1, 1, 1, 1, 1)


def attribute_words(attributes: Attributes) -> list[int | float]:
    """The attributes as the words of a node record, floats as floats."""
    words: list[int | float] = []
    for item in dataclasses.fields(attributes):
        value = getattr(attributes, item.name)
        if item.name in attributes.LENGTHS:
            words.extend(list(value) + [0] * (attributes.LENGTHS[item.name] - len(value)))
        elif item.type == "float":
            words.append(float(value))
        else:
            words.append(int(value))
    return words
