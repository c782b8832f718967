"""Writes the archive (cpio, "newc") that a Linux kernel unpacks as its first file system."""

from __future__ import annotations

import gzip
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

TRAILER = "TRAILER!!!"


def entries(root: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, Path]]:
    """(name in the archive, path) of the folders, files and links below root, folders before what they hold."""
    for folder, folders, files in os.walk(root):
        folders.sort()
        for name in [*folders, *sorted(files)]:
            path = Path(folder) / name
            inside = path.relative_to(root).as_posix()
            if wanted(inside):
                yield inside, path


def write_entry(out: BinaryIO, number: int, name: str, mode: int, data: bytes, changed: int = 0) -> None:
    """One member: a header of hexadecimal fields, the name, the data, each padded to 4 bytes.

    ``changed`` is the file's time, by which Python knows its compiled files.
    """
    encoded = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, changed, len(data), 0, 0, 0, 0, len(encoded), 0)
    header = b"070701" + b"".join(b"%08X" % field for field in fields)
    for part in (header + encoded, data):
        out.write(part + b"\0" * (-len(part) % 4))


def write_initramfs(path: Path, roots: dict[Path, str], wanted: Callable[[str], bool] = lambda name: True) -> None:
    """Packs folders and single files.

    Args:
        path: the compressed archive.
        roots: a folder, whose content goes to the archive's top, or a file, with its name there.
        wanted: whether a name of a folder's content is taken.
    """
    with gzip.open(path, "wb", compresslevel=1) as out:
        number = 0
        for root, top in roots.items():
            for name, source in entries(root, wanted) if root.is_dir() else [(top, root)]:
                about = source.lstat()
                mode = about.st_mode
                if stat.S_ISLNK(mode):
                    data = os.fsencode(source.readlink())
                else:
                    data = source.read_bytes() if stat.S_ISREG(mode) else b""
                number += 1
                write_entry(out, number, name, mode, data, int(about.st_mtime))
        write_entry(out, 0, TRAILER, 0, b"")
