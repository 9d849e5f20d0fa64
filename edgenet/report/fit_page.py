"""What ``edgenet fit`` found, as an HTML page with its front drawn."""

from __future__ import annotations

from edgenet.architecture import ARCHITECTURES
from edgenet.fit.record import Fit, Row
from edgenet.report import html, scatter
from edgenet.report.fit_text import COSTS, cells, conclusion, heading, headings, notes, over
from edgenet.report.html import Section
from edgenet.report.scatter import Mark

_UNKNOWN = "not known to fit"


def page(found: Fit) -> str:
    """The whole document."""
    lead = html.paragraph(heading(found)) + html.remarks(notes(found))
    name = found.board or found.target
    return html.page(f"{name}: what fits", sections(found), lead=lead)


def sections(found: Fit) -> list[Section]:
    """The recommendation with the front, and the table of all points."""
    rows = [_cells(found, row) for row in found.rows if not row.refused]
    table = html.table(headings(found, every=True), rows)
    return [
        Section("front", "Cost against accuracy", _said(found) + _drawn(found)),
        Section("networks", "Every network", table),
    ]


def _said(found: Fit) -> str:
    """The conclusion, its commands ready to be copied."""
    lines = conclusion(found).splitlines()
    return "".join(
        html.command(line.strip()) if line.startswith("  ") else html.paragraph(line)
        for line in lines
    )


def _cells(found: Fit, row: Row) -> list[object]:
    best = row.name == found.recommended
    return [
        html.badge("train", "ok") if best and cell == "train" else cell
        for cell in cells(found, row, every=True)
    ]


def _drawn(found: Fit) -> str:
    """Points by architecture, and a staircase through the front."""
    known = [row for row in found.rows if row.accuracy and row.costs(found.cost)]
    if not known:
        return html.note("No accuracy of these networks is known, so there is no front.")
    marks = [_mark(found, row) for row in known]
    unit = "ms" if found.cost == "latency_ms" else "millions"
    limit = found.limits.latency_ms if found.cost == "latency_ms" else None
    axes = scatter.axes(marks, f"{COSTS[found.cost]}, {unit}", *((limit,) if limit else ()))
    title = f"top-1 against {COSTS[found.cost]}"
    line = (limit, f"at most {limit:g} ms") if limit else None
    drawing = scatter.scatter(marks, axes, title=title, limit=line)
    archs = [name for name in ARCHITECTURES if any(row.point.arch == name for row in known)]
    hollow = dict.fromkeys(_miss(row) for row in known if not row.fits)
    legend = scatter.legend([(family(name), name) for name in archs], out=" or ".join(hollow))
    without = sum(not row.refused for row in found.rows if row not in known)
    return legend + html.figure(drawing, _caption(found, title, without), kind="sized")


def _miss(row: Row) -> str:
    """What is wrong with a network that is not known to fit."""
    if row.refused:
        return "does not run there"
    return "does not fit" if row.over else _UNKNOWN


def _caption(found: Fit, title: str, without: int) -> str:
    told = f"{title[0].upper()}{title[1:]}; point at a mark for its network."
    if without:
        kinds = "accuracy" if found.cost == "macs" else "accuracy or cost"
        told += f" Not drawn: {without} whose {kinds} is not known."
    return told


def _mark(found: Fit, row: Row) -> Mark:
    assert row.accuracy is not None
    cost, top1 = row.costs(found.cost), 100 * row.accuracy.top1
    assert cost is not None
    x = cost if found.cost == "latency_ms" else cost / 1e6
    unit = "ms" if found.cost == "latency_ms" else f"million {COSTS[found.cost]}"
    misses = "" if row.fits else _miss(row)
    if row.over:
        misses = f"{misses}, too much: {over(row)}"
    tip = "\n".join(filter(None, [row.name, f"top-1 {top1:.1f} %, {x:.3g} {unit}", misses]))
    label = row.name.removeprefix("mobilenet_")
    best = row.name == found.recommended
    if best:
        label = f"{label}: {top1:.1f} %"
    kind = "best" if best else "front" if row.front else "in" if row.fits else "out"
    return Mark(x, top1, family(row.point.arch), label, tip, kind)  # type: ignore[arg-type]


def family(arch: str) -> int:
    """Of an architecture's marks; the same on every page, whatever else is on it."""
    return sorted(ARCHITECTURES, key=lambda name: name.endswith("_cifar")).index(arch)
