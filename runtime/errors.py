"""Exceptions of framegate: each is an ``Error`` and the matching builtin."""

from .reference.errors import (
    ArgumentError,
    Error,
    FormatError,
    OutOfMemoryError,
    StateError,
    UnsupportedError,
    VersionError,
)

__all__ = [
    "ArgumentError",
    "Error",
    "FormatError",
    "OutOfMemoryError",
    "StateError",
    "UnsupportedError",
    "VersionError",
]
