"""What ``edgenet fit`` found, as an HTML page with its front drawn."""

from __future__ import annotations

from edgenet.fit.record import Fit, Row
from edgenet.report import html, plot
from edgenet.report.fit_text import COSTS, cells, conclusion, heading, headings, notes
from edgenet.report.html import Section
from edgenet.report.plot import Axes, Series

_OTHERS, _FRONT = 7, 6


def page(found: Fit) -> str:
    """The whole document."""
    lead = html.paragraph(heading(found)) + "".join(map(html.note, notes(found)))
    name = found.board or found.target
    return html.page(f"{name}: what fits", sections(found), lead=lead)


def sections(found: Fit) -> list[Section]:
    """The recommendation with the front, and the table of all points."""
    rows = [cells(found, row, every=True) for row in found.rows if not row.refused]
    table = html.table(headings(found, every=True), rows)
    said = "".join(map(html.paragraph, conclusion(found).splitlines()))
    return [
        Section("front", "Cost against accuracy", said + _drawn(found)),
        Section("networks", "Every network", table),
    ]


def _drawn(found: Fit) -> str:
    """Points by architecture, and a staircase through the front."""
    known = [row for row in found.rows if row.accuracy and row.costs(found.cost)]
    if not known:
        return html.note("No accuracy of these networks is known, so there is no front.")
    archs = list(dict.fromkeys(row.point.arch for row in known))
    colour = {arch: 1 + number % 5 for number, arch in enumerate(archs)}
    series = [
        Series(_OTHERS, _places(found, [r for r in known if not r.fits]), "does not fit", "marks")
    ]
    for arch in archs:
        fitting = [row for row in known if row.fits and row.point.arch == arch]
        series.append(Series(colour[arch], _places(found, fitting), arch, "marks"))
    front = sorted(_places(found, [row for row in known if row.front]))
    series.append(Series(_FRONT, front, "front", "step"))
    unit = "ms" if found.cost == "latency_ms" else "millions"
    axes = Axes(f"{COSTS[found.cost]}, {unit}", "top-1, %", log_x=True, y_range=_range(known))
    title = f"top-1 against {COSTS[found.cost]}"
    legend = [(colour[arch], arch) for arch in archs]
    legend += [(_FRONT, "front of what fits"), (_OTHERS, "does not fit")]
    figure = html.figure(plot.plot([one for one in series if one.points], axes, title=title), title)
    return plot.legend(legend) + html.figures([figure])


def _places(found: Fit, rows: list[Row]) -> list[tuple[float, float]]:
    scale = 1.0 if found.cost == "latency_ms" else 1e-6
    return [
        (scale * cost, 100 * row.accuracy.top1)
        for row in rows
        if row.accuracy and (cost := row.costs(found.cost))
    ]


def _range(rows: list[Row]) -> tuple[float, float]:
    values = [100 * row.accuracy.top1 for row in rows if row.accuracy]
    return max(0.0, min(values) - 3), min(100.0, max(values) + 3)
