"""Frozen instruction budgets: what each network's frames may cost, by class, in ``budgets.json``."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from ..tools import FOLDER, TARGETS, compiler, run
from .counter import CLASSES
from .frames import CPUS, measure
from .networks import write

FILE = Path(__file__).with_name("budgets.json")
SLACK = 0.005  # by as much a frame may cost more before the test fails: edits elsewhere move code, and with it spills


def compiled_with(target: str) -> str:
    """The compiler's own words on its version: another one's code is another budget."""
    return run(*compiler(TARGETS[target]), "--version").splitlines()[0]


def measured() -> dict[str, Any]:
    """What ``budgets.json`` holds: compilers, and instructions by network, target, kind of frame and class."""
    networks = write(FOLDER / "counted")
    counts = {
        name: {
            target: {kind: dict(frame.total()) | {"macs": frame.macs} for kind, frame in measure(path, target).items()}
            for target in CPUS
        }
        for name, path in networks.items()
    }
    return {"compilers": {target: compiled_with(target) for target in CPUS}, "networks": counts}


def update() -> None:
    """Freezes what is executed now."""
    FILE.write_text(json.dumps(measured(), indent=1, sort_keys=True) + "\n")


def difference(name: str, was: dict[str, int], now: dict[str, int]) -> str:
    """One line per class whose count changed, and the total."""
    old, new = Counter({c: was.get(c, 0) for c in CLASSES}), Counter({c: now.get(c, 0) for c in CLASSES})
    rows = [(c, old[c], new[c]) for c in CLASSES if old[c] != new[c]] + [("all", old.total(), new.total())]
    lines = [f"    {c:8}{a:14,}{b:14,}{b - a:+14,}{(b - a) / max(a, 1):+9.2%}" for c, a, b in rows]
    return "\n".join([name, *lines])


def compare(was: dict[str, Any], now: dict[str, Any]) -> tuple[list[str], list[str]]:
    """(differences of frames over their budget, all differences), as text."""
    over, changed = [], []
    for name, targets in now["networks"].items():
        for target, kinds in targets.items():
            for kind, counts in kinds.items():
                budget = was["networks"][name][target][kind]
                old, new = (sum(each.get(c, 0) for c in CLASSES) for each in (budget, counts))
                if counts != budget:
                    changed.append(difference(f"{name} {target} {kind}", budget, counts))
                if new > old * (1 + SLACK):
                    over.append(changed[-1])
    return over, changed
