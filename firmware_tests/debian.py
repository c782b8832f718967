"""Debian's packages of another architecture, downloaded with apt under a folder of its own; nothing is installed."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from .tools import FOLDER, run

SUITE = "bookworm"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SOURCES = (Path("/etc/apt/sources.list.d/debian.sources"), Path("/etc/apt/sources.list"))


def mirror() -> str:
    """The address of the Debian mirror this machine uses."""
    for path in SOURCES:
        found = (
            re.search(r"(?m)^(?:URIs:|deb)\s.*?(https?://\S+/debian)/?(?:\s|$)", path.read_text())
            if path.exists()
            else None
        )
        if found:
            return found[1]
    return "http://deb.debian.org/debian"


def download(architecture: str, packages: list[str], name: str = "apt") -> list[Path]:
    """Fetches packages and what they depend on into a folder of that name; paths of the .deb files.

    Raises:
        FileNotFoundError: this is no Debian machine: apt or the archive's keys are missing.
    """
    if not shutil.which("apt-get") or not KEYRING.exists():
        raise FileNotFoundError("needs apt-get and /usr/share/keyrings/debian-archive-keyring.gpg: Debian 12")
    folder = FOLDER / f"{name}-{architecture}"
    for name in ("lists/partial", "archives/partial"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "status").touch()
    (folder / "sources.list").write_text(f"deb [signed-by={KEYRING}] {mirror()} {SUITE} main\n")
    settings = {
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
        "APT::Install-Recommends": "false",
        "Acquire::Retries": "5",
        "Debug::NoLocking": "1",
        "Dir::Cache": folder,
        "Dir::Etc::sourcelist": folder / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State": folder,
        "Dir::State::lists": folder / "lists",
        "Dir::State::status": folder / "status",
    }
    options = [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]
    run("apt-get", "-q", *options, "update")
    run("apt-get", "-q", "-y", *options, "install", "--download-only", *packages)
    return sorted((folder / "archives").glob("*.deb"))
