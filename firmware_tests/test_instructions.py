"""Executed instructions: budgets of two networks on two instruction sets, frozen in counting/budgets.json."""

from __future__ import annotations

import json
import shutil

import pytest

from .counting import budgets, pipeline
from .counting.counter import NoPluginsError
from .counting.frames import measure
from .tools import FOLDER

LARGE = 64  # multiply-adds in a tile's loop


@pytest.fixture(scope="module")
def now():
    try:
        return budgets.measured()
    except NoPluginsError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def frozen(now):
    was = json.loads(budgets.FILE.read_text())
    if was["compilers"] != now["compilers"]:
        pytest.skip(f"budgets are of {was['compilers']}, this machine has {now['compilers']}")
    return was


def test_no_frame_costs_more_than_its_budget(now, frozen, proves):
    over, changed = budgets.compare(frozen, now)
    print(*changed, sep="\n")
    assert not over, "\n".join(["over budget; python -m firmware_tests.counting budgets --update freezes anew", *over])
    for name, targets in now["networks"].items():
        for target, kinds in targets.items():
            totals = {kind: sum(counts.values()) - counts["macs"] for kind, counts in kinds.items()}
            square, still = (totals[kind] / totals["dense"] for kind in ("square", "still"))
            work = kinds["square"]["macs"] / kinds["dense"]["macs"]
            proves(f"{name} {target}: dense frame {totals['dense'] / 1e6:.2f} million instructions, a tenth changed "
                   f"{square:.1%} of them for {work:.1%} of the work, still {still:.2%}")  # fmt: skip


def test_counts_repeat_to_the_instruction(now):
    again = measure(FOLDER / "counted" / "mobile.fgm", "aarch64")
    for kind, counts in now["networks"]["mobile"]["aarch64"].items():
        assert dict(again[kind].total()) | {"macs": again[kind].macs} == counts


def test_a_still_frame_multiplies_nothing(now):
    for targets in now["networks"].values():
        for kinds in targets.values():
            assert kinds["still"]["macs"] == 0
            assert kinds["still"].get("fma", 0) == 0
            assert 0 < kinds["square"]["macs"] < kinds["dense"]["macs"] / 2


@pytest.mark.skipif(not shutil.which("llvm-mca-19"), reason="needs llvm-mca-19; Debian: apt install llvm-19")
def test_large_gemm_tiles_keep_the_multipliers_busy(proves):
    tiles = [loop for loop in pipeline.analyse("kernels/neon/gemm.c") if loop.fma >= LARGE]
    assert tiles
    slowest = {core: min(tile.share[core] for tile in tiles) for core in pipeline.PEAK}
    assert min(slowest.values()) > 0.9, tiles  # a spilled sum costs more
    proves(
        f"{len(tiles)} gemm tiles: at least " + ", ".join(f"{share:.1%} of a {core}" for core, share in slowest.items())
    )
