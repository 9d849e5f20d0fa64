"""What a search trained, as an HTML page: predicted and trained accuracy in one plot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgenet.architecture import ARCHITECTURES
from edgenet.fit.record import Cost, Fit, Row
from edgenet.fit.trained import Result
from edgenet.report import fit_search, html, scatter
from edgenet.report.fit_page import family
from edgenet.report.fit_text import COSTS, heading, notes
from edgenet.report.html import Section
from edgenet.report.scatter import Mark


def page(found: Fit, results: Sequence[Result], folder: str, data: str) -> str:
    """The whole document.

    Args:
        found: what was predicted.
        results: the trials, the most accurate first.
        folder: of the search, as the user named it.
        data: the data set, the same.
    """
    lead = html.paragraph(heading(found)) + html.remarks(notes(found))
    title = f"{found.board or found.target}: what was trained"
    return html.page(title, _sections(found, results, folder, data), lead=lead)


def _sections(found: Fit, results: Sequence[Result], folder: str, data: str) -> list[Section]:
    if not results:
        return [Section("trials", "Every trial", html.note("Nothing was trained yet."))]
    said = "".join(map(html.paragraph, fit_search.remarks(found, results)))
    said += html.command(fit_search.export(found, results[0], folder, data))
    rows = html.table(fit_search.HEAD, fit_search.cells(found, results))
    return [
        Section("accuracy", "Predicted and trained", said + _drawn(found, results)),
        Section("trials", "Every trial", rows),
    ]


def _drawn(found: Fit, results: Sequence[Result]) -> str:
    """Each network at its cost: what was predicted, and what came of it."""
    pairs = [(one, row) for one in results if (row := found.row(one.name))]
    cost: Cost = found.cost if all(row.costs(found.cost) for _, row in pairs) else "macs"
    marks = [*_predicted(pairs, cost), *_trained(pairs, cost)]
    axes = scatter.axes(marks, f"{COSTS[cost]}, {_unit(cost)}")
    title = f"Top-1 against {COSTS[cost]}, trained and predicted"
    archs = [name for name in ARCHITECTURES if any(row.point.arch == name for _, row in pairs)]
    hollow = "predicted" if any(one.kind == "out" for one in marks) else ""
    legend = scatter.legend([(family(name), name) for name in archs], out=hollow)
    drawing = scatter.scatter(marks, axes, title=title)
    return legend + html.figure(drawing, f"{title}; point at a mark for its trial.", kind="sized")


def _predicted(pairs: Sequence[tuple[Result, Row]], cost: Cost) -> Iterator[Mark]:
    for row in {row.name: row for _, row in pairs}.values():
        if row.accuracy:
            top1 = 100 * row.accuracy.top1
            tip = f"{row.name}\npredicted: top-1 {top1:.1f} % ({row.accuracy.kind})"
            yield Mark(_place(row, cost), top1, family(row.point.arch), "", tip, "out")


def _trained(pairs: Sequence[tuple[Result, Row]], cost: Cost) -> Iterator[Mark]:
    """A mark for each trial; on the front are those that nothing as cheap is as accurate as."""
    ahead, best = set(), 0.0
    for one, _ in sorted(pairs, key=lambda pair: (_place(pair[1], cost), -pair[0].top1)):
        if one.top1 > best:
            ahead.add(one.trial)
            best = one.top1
    for number, (one, row) in enumerate(pairs):
        label = row.name.removeprefix("mobilenet_")
        top1 = 100 * one.top1
        tip = f"{row.name}, lr {one.lr:.3g}\ntrained: top-1 {top1:.1f} %, {one.folder}"
        kin, place = family(row.point.arch), _place(row, cost)
        if number == 0:
            yield Mark(place, top1, kin, f"{label}: {top1:.1f} %", tip, "best")
        else:
            kind = "front" if one.trial in ahead else "in"
            yield Mark(place, top1, kin, label, tip, kind)  # type: ignore[arg-type]


def _place(row: Row, cost: Cost) -> float:
    value = row.costs(cost)
    assert value is not None
    return value if cost == "latency_ms" else value / 1e6


def _unit(cost: Cost) -> str:
    return "ms" if cost == "latency_ms" else "millions"
