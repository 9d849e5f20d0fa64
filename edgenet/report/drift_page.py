"""A drift report as parts of an HTML page."""

from __future__ import annotations

from edgenet.drift.record import DriftReport, Result
from edgenet.report import drift as words
from edgenet.report.html import (
    Markup,
    Section,
    badge,
    details,
    facts,
    figure,
    page,
    paragraph,
    table,
)
from edgenet.report.plot import Axes, Series, plot


def as_html(report: DriftReport) -> str:
    """A page of its own."""
    lead = "".join(
        f'<p class="note">{badge("limit broken", "bad")} {m}</p>' for m in broken(report)
    )
    return page(f"Drift of {words.headline(report)}", sections(report), lead=lead)


def broken(report: DriftReport) -> list[str]:
    """The messages of the limits that are broken."""
    return [violation.message for violation in report.violations]


def sections(report: DriftReport) -> list[Section]:
    """The parts, for a page of their own or one that other reports share."""
    parts = [Section("accuracy", "Accuracy", _accuracy(report))]
    compared = [result for result in report.results if result.drift]
    if compared:
        parts.append(Section("drift", f"Against {report.reference}", _drift(report)))
        body = "".join(_classes(report, result) for result in compared)
        parts.append(Section("classes", "Classes", body))
    if report.layers:
        parts.append(Section("layers", "Layers", _layers(report)))
    if report.limits:
        parts.append(Section("limits", "Limits", _limits(report)))
    parts.append(Section("evaluation", "How this was measured", _origin(report)))
    return parts


def _accuracy(report: DriftReport) -> str:
    return table(words.ACCURACY, words.accuracy_rows(report))


def _drift(report: DriftReport) -> str:
    sentences = "".join(map(paragraph, words.verdicts(report)))
    return table(("variant", *words.DRIFT), words.drift_rows(report)) + sentences


def _classes(report: DriftReport, result: Result) -> str:
    rows = words.class_rows(result)
    lost = sum(change.value < 0 for change in result.drift.classes) if result.drift else 0
    headings = ("class", "pictures", str(report.reference), result.variant, "points")
    return details(
        f"{result.variant}: {lost} of {len(rows)} classes lose",
        table(headings, rows),
        shown=len(rows) <= 20,
    )


def _layers(report: DriftReport) -> str:
    ordered = sorted(report.layers, key=lambda layer: layer.index)
    points = [(layer.index, layer.snr_db) for layer in ordered if layer.snr_db is not None]
    axes = Axes("layer", "SQNR, dB")
    drawn = plot([Series(1, points, "SQNR")], axes, title="signal-to-noise ratio by layer")
    caption = (
        f"Signal-to-noise ratio of each layer's output, int8.tflite against fp32.tflite, over "
        f"{report.layer_images} pictures. Noise adds up from layer to layer; a steep fall is where "
        "it enters."
    )
    rows = [words.layer_cells(layer) for layer in report.layers]
    return figure(drawn, caption) + table(words.LAYERS, rows, caption="worst first")


def _limits(report: DriftReport) -> str:
    rows = [
        (*cells, badge(verdict, "ok" if verdict == "kept" else "bad"))
        for *cells, verdict in words.limit_rows(report)
    ]
    return table(words.LIMIT, rows)


def _origin(report: DriftReport) -> str:
    engines = ", ".join(sorted({result.engine for result in report.results}))
    known = [
        ("pictures", f"{report.images:,} of {report.available:,}"),
        ("data set", f"{report.dataset}, {report.split} split"),
        ("engines", engines),
        ("edgenet", report.versions["edgenet"]),
        ("bundle sha256", Markup(f"<code>{report.bundle_sha256[:16]}…</code>")),
        ("speed", f"{report.images_per_s:,.0f} pictures/s, each shown to every variant"),
    ]
    return facts(known) + "".join(map(paragraph, words.remarks(report)))
