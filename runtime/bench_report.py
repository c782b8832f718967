"""The tables of ``framegate bench``: ratios first, then milliseconds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from . import board, tables
from .tables import Table

LARGEST_DIFFERENCE = 1e-4  # relative L2 of a rival's outputs from ours; what is further off did not do the same work
DISTURBED = 0.3
AGREEMENT = 0.97  # of gated with dense outputs by the task's measure; a clip below it does not count

Row = dict[str, Any]


def show(reports: Sequence[dict[str, Any]], *, markdown: bool = False) -> None:
    """Prints the tables of several networks' reports (as ``bench.measure`` returns them)."""
    tables.show(all_tables(reports), markdown=markdown)


def board_line(report: dict[str, Any]) -> str:
    """The report in one line, with the machine first: what a user of a board can send in."""
    parts = [*report["board"], f"{report['model']} {report['mmacs']:.0f} MMAC"]
    for row in report["rows"]:
        if row["kind"] == "controlled":
            continue
        times = [f"{name} {engine['p50']:.2f}" for name, engine in row["engines"].items()]
        moved = [f"{share(row)} of MACs, relative L2 {row['relative_l2']:.2g}"] if "relative_l2" in row else []
        disturbed = ["disturbed"] if any(map(is_disturbed, row["engines"].values())) else []
        where = f"{row['name']}, {row['threads']} thread(s), ms per frame (median)"
        parts.append(f"{where}: " + ", ".join([*times, *moved, *disturbed]))
    return board.line(parts)


def all_tables(reports: Sequence[dict[str, Any]]) -> list[Table]:
    """A table per kind of row that was measured, and why rivals were skipped."""
    made = [table for table in (frame_table(reports), clip_table(reports), controlled_table(reports)) if table.rows]
    if made:
        made[0].notes += notes(reports)
    return made


def of_kind(reports: Sequence[dict[str, Any]], kind: str) -> list[tuple[str, Row]]:
    """(network, row) of all rows of a kind."""
    return [(report["model"], row) for report in reports for row in report["rows"] if row["kind"] == kind]


def counted(row: Row, trusted: Iterable[str]) -> dict[str, float]:
    """Milliseconds of those rivals in a row that count."""
    chosen = set(trusted)
    return {name: engine["ms"] for name, engine in row["engines"].items() if name in chosen}


def trusted(row: Row) -> list[str]:
    """Rivals whose outputs agree with ours on the dense frame of the row."""
    differences = row.get("differences", {})
    return [name for name, value in differences.items() if value is not None and value <= LARGEST_DIFFERENCE]


def best(row: Row, names: Iterable[str]) -> tuple[str, float] | None:
    """The fastest of the rivals that count and its milliseconds."""
    found = counted(row, names)
    name = min(found, key=lambda each: found[each], default=None)
    return None if name is None else (name, found[name])


def frame_table(reports: Sequence[dict[str, Any]]) -> Table:
    """The dense frame: our time over the best rival's."""
    rows = of_kind(reports, "frame")
    rivals = list(dict.fromkeys(name for _, row in rows for name in row["engines"] if name != "framegate"))
    head = ["network", "threads", "ours / best", "best", "framegate ms", *(f"{name} ms" for name in rivals)]
    table = Table("dense frame, float32 input", [*head, "largest difference"], labels=1)
    ratios: dict[int, list[float]] = {}
    for network, row in rows:
        fastest = best(row, trusted(row))
        ours = row["engines"]["framegate"]["ms"]
        ratio = ours / fastest[1] if fastest else None
        if ratio:
            ratios.setdefault(row["threads"], []).append(ratio)
        cells = [milliseconds(row["engines"].get(name), name not in trusted(row)) for name in rivals]
        known = [value for value in row.get("differences", {}).values() if value is not None]
        table.rows.append([network, str(row["threads"]), number(ratio), fastest[0] if fastest else "-",
                           milliseconds(row["engines"]["framegate"]), *cells,
                           f"{max(known):.1e}" if known else "-"])  # fmt: skip
    blank = [""] * (len(rivals) + 3)
    for threads, values in ratios.items() if len(reports) > 1 else ():
        table.rows.append(["geometric mean", str(threads), number(geometric_mean(values)), *blank])
        table.rows.append(["worst", str(threads), number(max(values)), *blank])
    if rivals:
        table.notes.append(
            "Largest difference: relative L2 of a rival's outputs from ours; "
            f"in brackets: above {LARGEST_DIFFERENCE:g}, not counted."
        )
    return table


def clip_table(reports: Sequence[dict[str, Any]]) -> Table:
    """Whole clips: the best rival's time over ours, ours with gating over without."""
    head = ["network", "clip", "threads", "best / gated", "best", "gated / dense", "MACs", "agreement", "efficiency",
            "relative L2", "gated ms", "p50", "p95", "max", "dense ms", "best ms"]  # fmt: skip
    table = Table("clips, uint8 frames, all of the clip with its key frames", head, labels=2)
    agreeing = {(network, row["threads"]): trusted(row) for network, row in of_kind(reports, "frame")}
    ratios: dict[int, list[float]] = {}
    for network, row in of_kind(reports, "clip"):
        fastest = best(row, agreeing.get((network, row["threads"]), ()))
        gated, dense = row["engines"]["gated"], row["engines"]["dense"]
        ratio, counts = number(fastest[1] / gated["ms"] if fastest else None), agrees(row)
        if fastest and counts:
            ratios.setdefault(row["threads"], []).append(fastest[1] / gated["ms"])
        table.rows.append([
            network, row["name"], str(row["threads"]), ratio if counts else f"({ratio})",
            fastest[0] if fastest else "-", number(gated["ms"] / dense["ms"]), share(row),
            agreement(row), number(row.get("efficiency")),
            f"{row['relative_l2']:.2g}" if "relative_l2" in row else "-",
            milliseconds(gated),
            *(f"{gated[key]:.2f}" for key in ("p50", "p95", "max")), milliseconds(dense),
            f"{fastest[1]:.1f}" if fastest else "-",
        ])  # fmt: skip
    for threads, values in ratios.items() if sum(map(len, ratios.values())) > len(ratios) else ():
        table.rows.append(["geometric mean", "", str(threads), number(geometric_mean(values)), *[""] * (len(head) - 4)])
    table.notes.append(
        "Ours include preparing frames in the engine, rivals cv2.resize and NumPy. Efficiency: dense / gated time over "
        "dense / executed work. relative L2: gated outputs from dense ones. p50, p95, max: of a gated frame."
    )
    if any("agreement" in row for _, row in of_kind(reports, "clip")):
        table.notes.append(
            "Agreement: of what gated and dense outputs show, and of how many objects; "
            f"ratios in brackets: below {AGREEMENT:g}, not counted."
        )
    return table


def agreement(row: Row) -> str:
    """By the task's measure, with the number of objects that it is of."""
    if "agreement" not in row:
        return "-"
    return f"{row['agreement']:.3f}" + (f" ({row['objects']})" if "objects" in row else "")


def agrees(row: Row) -> bool:
    """Whether a clip counts: gated outputs mean the same as dense ones, or nobody measured it."""
    return bool(row.get("agreement", 1.0) >= AGREEMENT)


def controlled_table(reports: Sequence[dict[str, Any]]) -> Table:
    """Controlled clips: how much of the saved work is saved time."""
    head = ["network", "change", "threads", "efficiency", "gated / dense", "MACs", "gated ms", "dense ms", "memcmp ms"]
    table = Table("controlled change, frame by frame without the first", head, labels=2)
    for network, row in of_kind(reports, "controlled"):
        gated, dense = row["engines"]["gated"], row["engines"]["dense"]
        frames = gated["frames"] // gated["bursts"]
        table.rows.append([network, row["name"], str(row["threads"]), number(row.get("efficiency")),
                           f"{gated['ms'] / dense['ms']:.4f}", share(row), milliseconds(gated, frames=frames),
                           milliseconds(dense, frames=frames),
                           milliseconds(row["engines"].get("memcmp"), frames=frames)])  # fmt: skip
    return table


def notes(reports: Sequence[dict[str, Any]]) -> list[str]:
    """Versions, what was skipped, what the mark means."""
    versions = {name: version for report in reports for name, version in report["versions"].items()}
    found = ["Engines: " + ", ".join(f"{name} {version}" for name, version in versions.items()) + "."]
    skipped: dict[str, list[str]] = {}
    for report in reports:
        for name, reason in report["skipped"].items():
            skipped.setdefault(f"Skipped {name}: {reason}", []).append(report["model"])
    found += [f"{text} ({', '.join(models)})" if len(reports) > 1 else text for text, models in skipped.items()]
    if any(is_disturbed(engine) for report in reports for row in report["rows"] for engine in row["engines"].values()):
        found.append(f"*: other processes used the machine during more than {DISTURBED:.0%} of the bursts.")
    return found


def is_disturbed(engine: dict[str, Any]) -> bool:
    """Whether the engine's time deserves the mark."""
    return bool(engine["disturbed"] > DISTURBED)


def milliseconds(engine: dict[str, Any] | None, excluded: bool = False, frames: int = 1) -> str:
    """An engine's time as text, marked where it was disturbed, in brackets where it does not count."""
    if engine is None:
        return "-"
    text = (
        f"{engine['ms'] / frames:.{2 if frames > 1 or engine['ms'] < 100 else 1}f}{'*' if is_disturbed(engine) else ''}"
    )
    return f"({text})" if excluded else text


def number(value: float | None) -> str:
    """Two decimals, or a dash."""
    return "-" if value is None else f"{value:.2f}"


def share(row: Row) -> str:
    """Executed share of the multiply-accumulates."""
    return f"{row['mac_share']:.1%}" if "mac_share" in row else "-"


def geometric_mean(values: Sequence[float]) -> float:
    """Of positive numbers."""
    return math.exp(sum(map(math.log, values)) / len(values))
