"""What a user does with the wheel: streams frames through a network. Runs under any Python that has ``runtime``.

    python front_end.py MODEL.fgm FRAMES.npy OUTPUTS.npz

Prints a JSON object: what ran it, per mode the outputs' hashes and executed MACs of each frame, and megabytes: this
process's peak, the machine's memory, and what of it is free at the end. Writes the outputs of all streams.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import resource
import sys

import numpy as np

import runtime

MODES = {
    "dense": {"gating": False},
    "exact": {"threshold_scale": 0.0, "threads": 2},
    "gated": {"refresh": 2},
}


def main() -> None:
    """Entry point."""
    model = runtime.Model.load(sys.argv[1])
    frames = np.load(sys.argv[2])
    answer = {
        "machine": platform.machine(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "framegate": runtime.__version__,
        "engine": runtime.engine_available(),
        "modes": {},
    }
    kept = {}
    for mode, options in MODES.items():
        stream = runtime.Stream(model, backend="engine", **options)
        answer["isa"] = stream.isa
        hashes, shares = [], []
        for index, frame in enumerate(frames):
            result = stream.push(frame)
            outputs = [np.ascontiguousarray(result[output.name]) for output in model.outputs]
            hashes.append(hashlib.sha256(b"".join(output.tobytes() for output in outputs)).hexdigest())
            shares.append(1.0 - result.skipped)
            kept.update({f"{mode} {index} {output}": array.copy() for output, array in enumerate(outputs)})
        answer["modes"][mode] = {"hashes": hashes, "mac_share": shares}
    np.savez(sys.argv[3], **kept)
    pages = {name: os.sysconf(f"SC_{key}") for name, key in (("machine", "PHYS_PAGES"), ("free", "AVPHYS_PAGES"))}
    answer["megabytes"] = {name: count * os.sysconf("SC_PAGE_SIZE") >> 20 for name, count in pages.items()}
    answer["megabytes"]["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10  # from kilobytes
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
