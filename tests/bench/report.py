# SPDX-License-Identifier: Apache-2.0
"""What was measured, as tables, as JSON and as a picture."""
import dataclasses
import json

import picture
from links import RATE_MBIT

MB = 1e6
FLOOR = "curl, zstd -d, dd conv=fsync"
WHOLE, ADAPTIVE = "ours, whole (nothing in common)", "ours, adaptive"
HEADINGS = ["what", "fetched MB", "requests", "wall s", "x floor", "CPU s", "x floor",
            "peak MiB", "written MB"]


@dataclasses.dataclass
class Row:
    """The medians of one way over one link, and how much of the target the way had to change."""
    fs: str
    link: str
    name: str
    is_ours: bool
    result: object
    changed_bytes: int = None


def _text(value, digits, scale=1.0):
    return "-" if value is None else f"{value / scale:.{digits}f}"


def _ratio(value, floor):
    return "-" if value is None or not floor else f"{value / floor:.2f}"


def table(title, rows):
    floor = next((row.result for row in rows if row.name == FLOOR), rows[0].result)
    lines = [f"\n{title}\n", "| " + " | ".join(HEADINGS) + " |", "| --- " * len(HEADINGS) + "|"]
    for row in rows:
        r = row.result
        cells = [row.name, _text(r.fetched_bytes, 1, MB), _text(r.n_requests, 0),
                 _text(r.wall_seconds, 2), _ratio(r.wall_seconds, floor.wall_seconds),
                 _text(r.cpu_seconds, 2), _ratio(r.cpu_seconds, floor.cpu_seconds),
                 _text(r.peak_mib, 0), _text(r.written_bytes, 1, MB)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _find(rows, link, name, fs="ext4"):
    return next((r for r in rows if (r.fs, r.link, r.name) == (fs, link, name)), None)


def _goal(text, value, goal, unit=""):
    return f"| {text} | {value:.3g}{unit} | {goal:.3g}{unit} | {'yes' if value <= goal else 'no'} |"


def goals(rows, facts):
    """What an update may cost at most, each against this run."""
    lines = ["\nGoals\n", "| goal | here | at most | reached |", "| --- | --- | --- | --- |"]
    floor, whole, adaptive = (_find(rows, "loopback", n) for n in (FLOOR, WHOLE, ADAPTIVE))
    if floor and whole and adaptive:
        lines += [
            _goal("adaptive: bytes of the whole payload, ext4",
                  100 * adaptive.result.fetched_bytes / whole.result.fetched_bytes, 7.5, " %"),
            _goal("whole: wall, times the floor",
                  whole.result.wall_seconds / floor.result.wall_seconds, 1.1),
            _goal("whole: CPU, times the floor",
                  whole.result.cpu_seconds / floor.result.cpu_seconds, 1.3),
            _goal("whole: peak of resident memory", whole.result.peak_mib, 24, " MiB")]
    if "large_frames_bytes" in facts:
        lines.append(_goal("payload: its size, times that of frames of 1 MiB",
                           facts["payload_bytes"] / facts["large_frames_bytes"], 1.08))
    slow = _find(rows, "slow", ADAPTIVE)
    if slow and adaptive:
        needed = max(slow.result.fetched_bytes * 8 / (RATE_MBIT * 1e6),
                     adaptive.result.wall_seconds)
        lines.append(_goal("adaptive over the slow link: wall, times the longer of what its bytes "
                           "need there and its install over loopback",
                           slow.result.wall_seconds / needed, 1.15))
    for row in rows:
        if row.is_ours and row.link == "loopback" and row.changed_bytes and row.fs == "ext4":
            n_written = min(row.result.data_bytes, row.result.written_bytes)
            lines.append(_goal(f"{row.name}: bytes written, times those that differ",
                               n_written / row.changed_bytes, 1.01))
    for name, answer in facts.get("get_status", {}).items():
        if name != "idle":
            lines.append(_goal(f"GetStatus, 99th percentile, {name}", answer["p99_ms"], 10, " ms"))
    return "\n".join(lines)


def as_json(facts, rows):
    listed = [{"fs": r.fs, "link": r.link, "name": r.name, "changed_bytes": r.changed_bytes,
               **dataclasses.asdict(r.result)} for r in rows]
    return json.dumps({**facts, "rows": listed}, indent=2) + "\n"


def _kind(row):
    return "ours" if row.is_ours else "floor" if row.name == FLOOR else "other"


def as_svg(rows, note, titles):
    """Of the first file system. titles: of the links, by their names."""
    def bars(link, value):
        found = [(r.name, value(r.result), _kind(r)) for r in rows
                 if r.fs == rows[0].fs and r.link == link]
        return [bar for bar in found if bar[1] is not None]
    panels = [("Fetched, MB", bars("loopback", lambda r: r.fetched_bytes and r.fetched_bytes / MB)),
              *[(f"Seconds {title}", bars(link, lambda r: r.wall_seconds))
                for link, title in titles.items()],
              ("Seconds of processor, over loopback", bars("loopback", lambda r: r.cpu_seconds)),
              ("Peak of resident memory, MiB", bars("loopback", lambda r: r.peak_mib)),
              ("Written to the target, MB",
               bars("loopback", lambda r: r.written_bytes and r.written_bytes / MB))]
    return picture.svg(f"Updating a system of {rows[0].fs} from A to B, 5 % of its files changed",
                       note, panels)
