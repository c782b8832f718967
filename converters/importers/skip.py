"""What a Skip-Convolution node says about its gate, and the description that supplies it from outside.

docs/skipconv.md is the reference: the attributes here are those of the ONNX convention and of the JSON description.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import json
import math
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.reference.errors import ArgumentError, Error

DOMAIN, OP, VERSION = "framegate", "SkipConv", 1  # of the ONNX convention
GEOMETRY = ("kernel_shape", "strides", "pads", "dilations", "group", "auto_pad")  # its attributes that Conv has, too
Floats = npt.NDArray[np.float32]
GATES = ("norm_input", "norm_output", "gumbel", "shared")
UPDATES = ("residual", "recompute")
REFERENCES = ("last", "fired")
STRUCTURES = (1, 2, 4, 8)


@dataclass(frozen=True)
class SkipSpec:
    """The gate of one convolution; the defaults are what the official module of the CVPR 2021 paper does.

    Attributes:
        gate: "norm_input" (Eq. 5), "norm_output" (Eq. 7), "gumbel" (Eq. 8), or "shared": the gates of ``leader``.
        eps: threshold of a norm gate, as the source network has it.
        structure: side of the blocks that fire as one: 1, 2, 4 or 8.
        update: "residual" adds the convolution of the residual to the held output, "recompute" replaces the output.
        reference: "last" compares with the last frame, "fired" with what was last let through (a closed loop).
        residual_bias: whether the residual's convolution adds the bias again.
        quirks: a norm gate divides by kernel_h * kernel_w * (rows of the output) and by the number of weights, rounds
            down to 1e-5, and applies half of the residual at equality. Without: the paper's sums.
        reset_interval: every so many frames all is computed anew; 0: never.
        weight_norm: sum of the absolute weights, for "norm_output"; 0: of the weights as they are. To be given where
            those are no longer the ones the network was trained with (a batch norm folded into them).
        leader: name (``module``) or output of an earlier SkipConv with as many rows and cols, for "shared"; its eps,
            structure and reset_interval serve both.
    """

    gate: str
    eps: float = 0.0
    structure: int = 1
    update: str = "residual"
    reference: str = "last"
    residual_bias: bool = True
    quirks: bool = True
    reset_interval: int = 0
    weight_norm: float = 0.0
    leader: str = ""

    def check(self) -> None:
        """Raises ArgumentError, naming the attribute, its value and what is possible."""
        for name, allowed in (("gate", GATES), ("update", UPDATES), ("reference", REFERENCES)):
            _one_of(name, getattr(self, name), allowed)
        _one_of("structure", self.structure, STRUCTURES)
        if not math.isfinite(self.eps):
            raise ArgumentError(f"eps is {self.eps}; it is a finite number")
        if not (math.isfinite(self.weight_norm) and self.weight_norm >= 0):
            raise ArgumentError(f"weight_norm is {self.weight_norm}; it is a finite number, 0 or more")
        if (self.gate == "shared") != bool(self.leader):
            raise ArgumentError(
                f"gate is {self.gate} and leader {self.leader!r}; shared gates, and no others, have one"
            )
        if self.reset_interval < 0:
            raise ArgumentError(f"reset_interval is {self.reset_interval}; it is a number of frames, 0: never")

    def to_attributes(self) -> dict[str, Any]:
        """The attributes of a SkipConv node that tell of the gate."""
        values = dataclasses.asdict(self)
        given = {name: value for name, value in values.items() if value or name != "leader"}
        return {name: int(value) if isinstance(value, bool) else value for name, value in given.items()}

    @classmethod
    def from_attributes(cls, attributes: Mapping[str, Any]) -> SkipSpec:
        """The gate of a SkipConv node.

        Raises:
            ArgumentError: an attribute is missing, unknown or wrong.
        """
        kinds = {item.name: item.type for item in dataclasses.fields(cls)}
        unknown = sorted(set(attributes) - set(kinds) - {*GEOMETRY, "module"})
        if unknown:
            raise ArgumentError(f"it has attributes {unknown}; known are {', '.join(kinds)}")
        if "gate" not in attributes:
            raise ArgumentError(f"it has no attribute gate; possible are {', '.join(GATES)}")
        values: dict[str, Any] = {}
        for name in kinds.keys() & attributes.keys():
            value = attributes[name]
            value = value.decode() if isinstance(value, bytes) else value
            values[name] = bool(value) if kinds[name] == "bool" else value
        spec = cls(**values)
        spec.check()
        return spec


def _one_of(name: str, value: object, allowed: Sequence[object]) -> None:
    if value not in allowed:
        raise ArgumentError(f"{name} is {value!r}; possible are {', '.join(map(str, allowed))}")


@dataclass(frozen=True)
class Described:
    """What a description says about one convolution: attributes to set, and a Gumbel gate's weights if it has them.

    ``gate_weight`` is (1, C_in, kernel_h, kernel_w), ``gate_bias`` (1,).
    """

    attributes: Mapping[str, Any]
    gate_weight: Floats | None = None
    gate_bias: Floats | None = None

    def spec(self, base: SkipSpec | None) -> SkipSpec | None:
        """The gate that results from what the network itself carries; None: a plain convolution.

        Raises:
            ArgumentError: an attribute is wrong, or the convolution has no gate and none is named.
        """
        kind = self.attributes.get("gate")
        if kind == "none":
            return None
        if base is None and kind is None:
            raise ArgumentError(f"it is a plain convolution: the description must name its gate ({', '.join(GATES)})")
        base = base or SkipSpec(str(kind))
        if kind not in (None, "shared"):
            base = dataclasses.replace(base, leader="")
        spec = dataclasses.replace(base, **self.attributes)
        spec.check()
        return spec


_TYPES: dict[str, tuple[type, ...]] = {
    "gate": (str,),
    "eps": (int, float),
    "structure": (int,),
    "update": (str,),
    "reference": (str,),
    "residual_bias": (bool,),
    "quirks": (bool,),
    "reset_interval": (int,),
    "weight_norm": (int, float),
    "leader": (str,),
}
_KEYS = {"gate_weight": "{name}.gate.gate_network.0.weight", "gate_bias": "{name}.gate.gate_network.0.bias"}


@dataclass
class Description:
    """A gates description: entries that match convolutions by name, later ones setting over earlier ones.

    Attributes:
        entries: each has ``match`` (patterns), attributes of ``SkipSpec``, and ``gate_weight``, ``gate_bias``: keys in
            ``arrays`` with ``{name}`` for the convolution's name.
        arrays: weights of Gumbel gates.
        unused: patterns that matched nothing so far.
    """

    entries: list[dict[str, Any]]
    arrays: Mapping[str, Any] = field(default_factory=dict)
    unused: set[str] = field(default_factory=set)

    @classmethod
    def read(cls, source: Gates) -> Description:
        """From a JSON file, or its content.

        Raises:
            ArgumentError: it is not such a description; names the entry and what is wrong. Error: it cannot be read.
        """
        if isinstance(source, Description):
            return source
        folder = Path()
        if not isinstance(source, Mapping):
            path = Path(source)
            folder = path.parent
            try:
                source = json.loads(path.read_text(encoding="utf-8"))
            except OSError as error:
                raise Error(f"cannot read the gates description {path}: {error.strerror or error}") from error
            except ValueError as error:
                raise ArgumentError(f"the gates description {path} is not JSON: {error}") from error
        if not isinstance(source, Mapping) or not isinstance(source.get("gates"), list):
            raise ArgumentError('a gates description is an object {"gates": [{"match": "*", "gate": ...}, ...]}')
        unknown = sorted(set(source) - {"gates", "weights"})
        if unknown:
            raise ArgumentError(f"the gates description has {unknown}; possible are gates, weights")
        entries = [_entry(number, entry) for number, entry in enumerate(source["gates"])]
        patterns = {pattern for entry in entries for pattern in entry["match"]}
        return cls(entries, _arrays(source.get("weights"), folder), patterns)

    def find(self, names: Sequence[str]) -> Described | None:
        """What the description says about a convolution known by these names; None: nothing.

        Raises:
            ArgumentError: weights that an entry names are not there.
        """
        attributes: dict[str, Any] = {}
        keys: dict[str, str] = dict(_KEYS)
        found = False
        for entry in self.entries:
            hits = {p for p in entry["match"] if any(fnmatch.fnmatchcase(name, p) for name in names)}
            if not hits:
                continue
            found = True
            self.unused -= hits
            attributes.update({key: value for key, value in entry.items() if key in _TYPES})
            keys.update({key: value for key, value in entry.items() if key in _KEYS})
        if not found:
            return None
        return Described(attributes, *(self._array(key, keys[key], names) for key in _KEYS))

    def _array(self, role: str, key: str, names: Sequence[str]) -> Floats | None:
        for name in names:
            if key.replace("{name}", name) in self.arrays:
                return np.asarray(self.arrays[key.replace("{name}", name)], np.float32)
        if key != _KEYS[role]:
            raise ArgumentError(
                f"{role} {key!r} is not among the weights: {', '.join(self.arrays) or 'there are none'}"
            )
        return None

    def require_used(self, known: Sequence[str]) -> None:
        """Raises ArgumentError where a pattern matched none of the convolutions."""
        if self.unused:
            some = ", ".join(known[:8]) + (", ..." if len(known) > 8 else "")
            raise ArgumentError(f"the gates description matches nothing with {sorted(self.unused)}; there are: {some}")


def _entry(number: int, given: Any) -> dict[str, Any]:
    where = f"entry {number} of the gates description"
    if not isinstance(given, Mapping) or "match" not in given:
        raise ArgumentError(f'{where} has no "match", a pattern of names such as "layer1.*"')
    entry = dict(given)
    patterns = entry["match"]
    entry["match"] = [patterns] if isinstance(patterns, str) else patterns
    if not isinstance(entry["match"], list) or not all(isinstance(item, str) for item in entry["match"]):
        raise ArgumentError(f'{where}: "match" is {patterns!r}; it is a pattern or a list of patterns')
    for key, value in entry.items():
        if key == "match":
            continue
        types = (str,) if key in _KEYS else _TYPES.get(key)
        if types is None:
            raise ArgumentError(f"{where} has {key!r}; possible are match, {', '.join((*_TYPES, *_KEYS))}")
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            raise ArgumentError(f"{where}: {key} is {value!r}, which is no {types[-1].__name__}")
    if "gate" in entry and entry["gate"] not in (*GATES, "none"):
        raise ArgumentError(f"{where}: gate is {entry['gate']!r}; possible are {', '.join((*GATES, 'none'))}")
    return entry


def _arrays(source: Any, folder: Path) -> Mapping[str, Any]:
    if source is None or isinstance(source, Mapping):
        return source or {}
    path = folder / str(source)
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except OSError as error:
        raise Error(f"cannot read the gates' weights {path}: {error.strerror or error}") from error
    except (ValueError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise ArgumentError(f"the gates' weights {path} are no .npz of arrays: {error}") from error


Gates = Description | Mapping[str, Any] | str | os.PathLike[str]  # a description, its content, or its JSON file
