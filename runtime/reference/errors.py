"""Exceptions of the whole project: each is a framegate ``Error`` and the matching builtin."""

from __future__ import annotations


class Error(Exception):
    """Base of all framegate errors.

    Attributes:
        status: name of the engine's status code, "" where the engine was not involved.
        node: index of the node the message is about, or None.
        offset: byte of the file the message is about, or None.
    """

    def __init__(self, message: str, *, status: str = "", node: int | None = None, offset: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.node = node
        self.offset = offset


class ArgumentError(Error, ValueError):
    """A frame, index or option is wrong."""


class FormatError(Error, ValueError):
    """The file breaks docs/file_format.md."""


class VersionError(FormatError):
    """The file has a major version this release does not read."""


class UnsupportedError(Error, NotImplementedError):
    """Valid, but this release lacks the operator, dtype, gate or flag."""


class OutOfMemoryError(Error, MemoryError):
    """Memory handed to the engine is too small or misaligned."""


class StateError(Error, RuntimeError):
    """The call is not allowed now."""
