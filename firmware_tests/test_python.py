"""The wheels under emulated CPython: a trained face detector on a real clip gives the same bits as on this machine."""

from __future__ import annotations

import itertools
import json
import platform
import sys
import venv

import numpy as np
import pytest

from .arm_python import ArmPython, wheel
from .tools import FOLDER, ROOT, run

# Wheels, and where they are tried; the x86-64 one in a fresh environment.
EMULATED = {"aarch64": ("aarch64", "cortex-a53"), "armv7l": ("armv7", "cortex-a7")}
WHEELS = [*(["x86_64"] if platform.machine() == "x86_64" else []), *EMULATED]
FRAMES = 4
SCRIPT = ROOT / "firmware_tests" / "front_end.py"


@pytest.fixture(scope="module")
def frames(scene):
    """A file with FRAMES frames of the clip, as the camera gave them."""
    path = FOLDER / "frames.npy"
    np.save(path, np.stack(list(itertools.islice(scene.frames(), FRAMES))))
    return path


@pytest.fixture(scope="module")
def here(scene, frames):
    """What this machine's own build answers."""
    return json.loads(run(sys.executable, SCRIPT, scene.model, frames, FOLDER / "here.npz"))


@pytest.fixture(scope="module", params=WHEELS)
def there(request, scene, frames):
    """(the wheel's machine, what it answers there, its outputs)."""
    name = request.param
    outputs = FOLDER / f"{name}.npz"
    words = [SCRIPT, scene.model, frames, outputs]
    answer = json.loads(emulated(name, wheel(name), words) if name in EMULATED else fresh(wheel(name), words))
    with np.load(outputs) as saved:
        return name, answer, {key: saved[key] for key in saved.files}


def emulated(name, path, words):
    """Installs the wheel with emulated pip, which judges its tags, and runs a script."""
    target, cpu = EMULATED[name]
    try:
        python = ArmPython(target)
    except FileNotFoundError as error:
        pytest.skip(str(error))
    assert "No broken requirements" in python.install(path, cpu)
    return python(*words, cpu=cpu)


def fresh(path, words):
    """Installs the wheel into a fresh environment and runs a script."""
    folder = FOLDER / "fresh"
    venv.create(folder, with_pip=True, clear=True)
    python = folder / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", path)
    return run(python, *words)


def test_front_end(demo, scene, here, there, proves):
    name, answer, outputs = there
    assert answer["machine"] == name
    assert answer["engine"]
    assert answer["isa"] == ("neon" if name in EMULATED else here["isa"])
    modes = answer["modes"]
    assert modes["exact"]["hashes"] == modes["dense"]["hashes"]  # byte for byte, and on two threads
    assert modes["gated"]["hashes"][2] == modes["dense"]["hashes"][2]  # a refresh undoes what was held back
    assert modes["gated"]["hashes"] != modes["dense"]["hashes"]  # else the gates did nothing
    assert modes == here["modes"]  # the same bits and the same work as on this machine
    share = np.mean(modes["gated"]["mac_share"][1:])
    assert share < 1
    pairs = [(outputs[f"gated {i} 0"], outputs[f"dense {i} 0"]) for i in range(1, FRAMES)]
    moved = np.sqrt(sum(((a - b) ** 2).sum() for a, b in pairs) / sum((b**2).sum() for _, b in pairs))
    assert moved < 0.05
    found = f"{share:.1%} of the MACs, outputs moved by {moved:.2g} (relative L2)"
    if scene.detect is not None:
        boxes = [(demo.faces({"": a}), demo.faces({"": b})) for a, b in pairs]
        agreeing = sum(any(demo.overlap(box, gated) > 0.5) for gated, dense in boxes for box in dense if len(gated))
        count = sum(max(len(gated), len(dense)) for gated, dense in boxes)
        assert agreeing == count > 0
        found += f", {agreeing} of {count} faces agree"
    versions = f"Python {answer['python']}, NumPy {answer['numpy']}"
    equal = "bits equal the own build's, exact equals dense"
    proves(
        f"{name}: wheel installed by pip under {versions}; {scene.name}, {FRAMES} frames: {equal}; by default {found}"
    )
