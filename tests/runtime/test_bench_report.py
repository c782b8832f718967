"""Tables of made figures: ratios against the best rival that counts."""

from __future__ import annotations

from runtime import bench_report


def engine(ms, disturbed=0.0, frames=2):
    return {"ms": ms, "p50": ms, "p95": ms, "max": ms, "bursts": 1, "frames": frames, "disturbed": disturbed}


def report(name="net", ours=10.0):
    frame = {
        "kind": "frame",
        "name": "dense frame",
        "threads": 1,
        "engines": {"framegate": engine(ours), "ort": engine(8.0, 0.5), "ncnn": engine(5.0), "mnn": engine(2.0)},
        "differences": {"ort": 1e-6, "ncnn": 1e-5, "mnn": 1e-2},
    }
    clip = {
        "kind": "clip",
        "name": "webcam",
        "threads": 1,
        "engines": {"gated": engine(40.0), "dense": engine(100.0), "ncnn": engine(80.0), "mnn": engine(20.0)},
        "mac_share": 0.25,
        "efficiency": 0.625,
        "relative_l2": 0.1,
        "largest_difference": 1.0,
    }
    still = {
        "kind": "controlled",
        "name": "still",
        "threads": 1,
        "engines": {"gated": engine(0.02), "dense": engine(20.0), "memcmp": engine(0.01)},
        "mac_share": 0.0,
        "efficiency": None,
    }
    skipped = {"litert": "not installed: comparing with LiteRT needs ai_edge_litert"}
    return {"model": name, "versions": {"ort": "1"}, "skipped": skipped, "rows": [frame, clip, still]}


def test_frame_table_leaves_out_who_disagrees():
    table = bench_report.frame_table([report()])
    (row,) = table.rows
    assert row == ["net", "1", "2.00", "ncnn", "10.00", "8.00*", "5.00", "(2.00)", "1.0e-02"]


def test_several_networks_get_a_mean_and_a_worst():
    table = bench_report.frame_table([report("a", 10.0), report("b", 2.5)])
    assert [row[2] for row in table.rows] == ["2.00", "0.50", "1.00", "2.00"]
    assert all(len(row) == len(table.head) for row in table.rows)
    clips = bench_report.clip_table([report("a"), report("b")])
    assert clips.rows[-1][:4] == ["geometric mean", "", "1", "2.00"]
    assert all(len(row) == len(clips.head) for row in clips.rows)


def test_clip_and_controlled_tables():
    (row,) = bench_report.clip_table([report()]).rows
    assert row[:10] == ["net", "webcam", "1", "2.00", "ncnn", "0.40", "25.0%", "-", "0.62", "0.1"]
    (row,) = bench_report.controlled_table([report()]).rows
    assert row == ["net", "still", "1", "-", "0.0010", "0.0%", "0.01", "10.00", "0.01"]


def test_a_clip_that_disagrees_does_not_count():
    reports = [report("a"), report("b", 5.0)]
    for each, agreement in zip(reports, (0.97, 0.969), strict=True):
        each["rows"][1] |= {"agreement": agreement, "objects": 40}
        each["rows"][1]["engines"]["gated"]["ms"] *= agreement
    table = bench_report.clip_table(reports)
    assert [row[3] for row in table.rows] == ["2.06", "(2.06)"]
    assert [row[7] for row in table.rows] == ["0.970 (40)", "0.969 (40)"]
    assert any("below 0.97" in note for note in table.notes)
    reports.append(report("c"))
    assert [row[3] for row in bench_report.clip_table(reports).rows] == ["2.06", "(2.06)", "2.00", "2.03"]


def test_notes_name_skipped_rivals_and_disturbance():
    notes = bench_report.notes([report()])
    assert any(note.startswith("Skipped litert: not installed") for note in notes)
    assert any(note.startswith("*:") for note in notes)


def test_without_rivals_there_is_no_ratio(capsys):
    alone = report()
    for row in alone["rows"]:
        row["engines"] = {k: v for k, v in row["engines"].items() if k in ("framegate", "gated", "dense")}
        row.pop("differences", None)
    bench_report.show([alone], markdown=True)
    text = capsys.readouterr().out
    assert "| net | 1 | - | - | 10.00 | - |" in text


def test_board_line_is_one_line():
    made = {**report(), "board": ["Pi 4", "4 x Cortex-A72"], "mmacs": 100.4}
    assert bench_report.board_line(made) == (
        "Pi 4 | 4 x Cortex-A72 | net 100 MMAC"
        " | dense frame, 1 thread(s), ms per frame (median): framegate 10.00, ort 8.00, ncnn 5.00, mnn 2.00, disturbed"
        " | webcam, 1 thread(s), ms per frame (median): gated 40.00, dense 100.00, ncnn 80.00, mnn 20.00,"
        " 25.0% of MACs, relative L2 0.1"
    )
