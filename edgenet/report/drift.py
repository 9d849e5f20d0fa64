"""A drift report for people: text for a terminal, CSV for a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from math import inf

from edgenet.drift.limits import LIMITS, found
from edgenet.drift.record import ClassChange, DriftReport, Layer, Result, Share
from edgenet.report import text

WORST_CLASSES = 5
WORST_LAYERS = 10
CHANCE = 0.05


ACCURACY = ("variant", "top-1", "95 % interval", "top-5", "95 % interval", "confidence")
DRIFT = ("top-1 points", "95 % interval", "p", "agreement", "confidence", "SQNR")
LAYERS = ("layer", "output", "SQNR", "change", "clipped")
LIMIT = ("limit", "demands", "worst", "of", "")


def as_text(report: DriftReport) -> str:
    """Tables and sentences for a terminal."""
    parts = [headline(report), text.table(ACCURACY, accuracy_rows(report))]
    if any(result.drift for result in report.results):
        parts.append(text.table((f"against {report.reference}", *DRIFT), drift_rows(report)))
        parts.append("\n".join(verdicts(report)))
        parts += _classes(report)
    if report.layers:
        parts.append(_layers(report))
    if report.limits:
        parts.append(text.table(LIMIT, limit_rows(report)))
    parts.append("\n".join([*remarks(report), origin(report)]))
    return "\n\n".join(parts)


def headline(report: DriftReport) -> str:
    """What was evaluated on what."""
    return (
        f"{report.bundle} for {report.target} on {report.images:,} pictures of {report.dataset} "
        f"({report.split})"
    )


def origin(report: DriftReport) -> str:
    """How the numbers were obtained."""
    engines = sorted({result.engine for result in report.results})
    return (
        f"{', '.join(engines)}, edgenet {report.versions['edgenet']}; "
        f"{report.images_per_s:,.0f} pictures/s, each shown to every variant"
    )


def verdicts(report: DriftReport) -> Iterator[str]:
    """One sentence for each variant: whether its accuracy differs from the reference's."""
    for result in report.results:
        if result.drift is None:
            continue
        top1 = result.drift.top1
        changes = f"it loses {top1.worse} pictures and wins {top1.better}"
        if top1.worse + top1.better == 0:
            yield f"{result.variant}: no picture's answer changed between right and wrong."
        elif top1.p_value >= CHANCE:
            yield (
                f"{result.variant}: {changes}, as chance alone would often do "
                f"({chance(top1.p_value)}); these pictures show no change of accuracy."
            )
        else:
            side = "less" if top1.value < 0 else "more"
            yield (
                f"{result.variant}: {changes}, which chance rarely does "
                f"({chance(top1.p_value)}); it is {side} accurate than {report.reference}."
            )


def remarks(report: DriftReport) -> Iterator[str]:
    """What a reader of the numbers must know."""
    if report.seed is not None:
        yield f"Drawn from {report.available:,} pictures with seed {report.seed}."
    if report.calibrated:
        yield (
            f"Left out {report.calibrated:,} more pictures that int8 was calibrated on; "
            "it would look better on them than it is."
        )
    if report.note:
        yield f"Of this data set: {report.note}."
    for variant, reason in report.skipped.items():
        yield f"Not evaluated: {variant}; {reason}."
    if (always := _always(report)) is not None:
        yield (
            f"Naming the same class for every picture would give {percent(always)}; "
            f"{report.reference} is not surely better than that, so its drift means little."
        )
    if report.reference is None:
        yield "There is no fp32 model to compare with, so this is accuracy without drift."
    ties = [f"{result.ties:,} of {result.variant}" for result in report.results if result.ties]
    if ties:
        yield f"Two classes share the largest logit: {', '.join(ties)}; the first one counts."


def _always(report: DriftReport) -> float | None:
    """The share of the most frequent class, where the reference may be no better than that."""
    for result in report.results:
        if result.drift is not None:
            share = max(change.images for change in result.drift.classes) / report.images
            return share if report.results[0].top1.low <= share else None
    return None


def accuracy_rows(report: DriftReport) -> list[tuple[object, ...]]:
    """The cells under ``ACCURACY``."""
    return [
        (
            result.variant,
            percent(result.top1.value),
            interval(result.top1),
            percent(result.top5.value) if result.top5 else None,
            interval(result.top5) if result.top5 else None,
            percent(result.confidence, 1),
        )
        for result in report.results
    ]


def drift_rows(report: DriftReport) -> list[tuple[object, ...]]:
    """The cells under a variant and ``DRIFT``."""
    return [
        (
            result.variant,
            points(drift.top1.value),
            f"{points(drift.top1.low)} to {points(drift.top1.high)}",
            chance(drift.top1.p_value).removeprefix("p ").removeprefix("= "),
            percent(drift.agreement.value),
            points(drift.confidence),
            db(drift.snr_db),
        )
        for result in report.results
        if (drift := result.drift)
    ]


def class_rows(result: Result) -> list[tuple[object, ...]]:
    """Every class, the largest loss first: label, pictures, top-1 before and now, the change."""
    return [
        (
            change.label,
            change.images,
            percent(change.reference / change.images, 1),
            percent(change.variant / change.images, 1),
            points(change.value, 1),
        )
        for change in (result.drift.classes if result.drift else ())
    ]


def layer_cells(layer: Layer) -> tuple[object, ...]:
    """The cells under ``LAYERS``."""
    return (
        f"{layer.index} {layer.operator}",
        "x".join(map(str, layer.shape[1:])),
        db(layer.snr_db),
        None if layer.gained_db is None else f"{layer.gained_db:+.1f} dB",
        percent(layer.clipped),
    )


def limit_rows(report: DriftReport) -> list[tuple[str, str, str, str, str]]:
    """Under ``LIMIT``: each limit with the value that is nearest to breaking it, or breaks it."""
    rows: list[tuple[str, str, str, str, str]] = []
    for name, bound in report.limits.items():
        limit = LIMITS[name]
        values = found(report, name)
        variant, value = (min if limit.at_least else max)(values, key=lambda pair: pair[1])
        side = "at least" if limit.at_least else "at most"
        shown = "equal" if value == inf else limit.shown(f"{value:.4g}")
        verdict = "BROKEN" if limit.broken(value, bound) else "kept"
        rows.append((name, f"{side} {limit.shown(f'{bound:g}')}", shown, variant, verdict))
    return rows


def _classes(report: DriftReport) -> list[str]:
    """A table of the classes that lose; one for all variants that change the same."""
    alike: dict[tuple[ClassChange, ...], list[Result]] = {}
    for result in report.results:
        if result.drift is not None and result.drift.classes[0].value < 0:
            alike.setdefault(result.drift.classes, []).append(result)
    tables = []
    for classes, results in alike.items():
        lost = sum(change.value < 0 for change in classes)
        names = " and ".join(result.variant for result in results)
        verb = "loses" if len(results) == 1 else "lose"
        headings = (f"{names} {verb} in", "pictures", str(report.reference), "now", "points")
        table = text.table(headings, class_rows(results[0])[: min(lost, WORST_CLASSES)])
        more = f"\n  and in {lost - WORST_CLASSES} more classes" if lost > WORST_CLASSES else ""
        tables.append(table + more)
    return tables


def _layers(report: DriftReport) -> str:
    headings = (f"worst {LAYERS[0]}s of int8.tflite", *LAYERS[1:])
    table = text.table(headings, map(layer_cells, report.layers[:WORST_LAYERS]))
    rest = len(report.layers) - WORST_LAYERS
    more = f"  and {rest} more, which are better\n" if rest > 0 else ""
    return (
        f"{table}\n{more}Over {report.layer_images} pictures. 'change' is against the layer "
        "before, 'clipped' what int8 cannot reach."
    )


def as_csv(report: DriftReport) -> str:
    """One row for each variant; shares are 0 to 1, changes are differences of shares."""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(_flat(report, report.results[0])), lineterminator="\n")
    writer.writeheader()
    writer.writerows(_flat(report, result) for result in report.results)
    return out.getvalue()


def _flat(report: DriftReport, result: Result) -> dict[str, object]:
    drift = result.drift
    worst = drift.classes[0] if drift else None
    return {
        "bundle": report.bundle,
        "target": report.target,
        "dataset": report.dataset,
        "split": report.split,
        "images": report.images,
        "variant": result.variant,
        "engine": result.engine,
        "top1": result.top1.value,
        "top1_low": result.top1.low,
        "top1_high": result.top1.high,
        "top5": result.top5.value if result.top5 else None,
        "top5_low": result.top5.low if result.top5 else None,
        "top5_high": result.top5.high if result.top5 else None,
        "confidence": result.confidence,
        "ties": result.ties,
        "reference": report.reference,
        "top1_change": drift.top1.value if drift else None,
        "top1_change_low": drift.top1.low if drift else None,
        "top1_change_high": drift.top1.high if drift else None,
        "worse": drift.top1.worse if drift else None,
        "better": drift.top1.better if drift else None,
        "p_value": drift.top1.p_value if drift else None,
        "agreement": drift.agreement.value if drift else None,
        "confidence_change": drift.confidence if drift else None,
        "snr_db": drift.snr_db if drift else None,
        "worst_class": worst.label if worst else None,
        "worst_class_change": worst.value if worst else None,
    }


def percent(share: float, digits: int = 2) -> str:
    """A share in percent."""
    return f"{100 * share:.{digits}f} %"


def interval(share: Share) -> str:
    """The ends of a share's interval, in percent."""
    return f"{100 * share.low:.1f} to {100 * share.high:.1f}"


def points(change: float, digits: int = 2) -> str:
    """A change of a share in percentage points, with its sign; none for zero.

    >>> points(-0.0064), points(0.0), points(-0.00001)
    ('-0.64', '0.00', '0.00')
    """
    shown = f"{100 * change:+.{digits}f}"
    return shown[1:] if float(shown) == 0 else shown


def chance(value: float) -> str:
    """A probability as papers print it.

    >>> chance(0.0124), chance(1e-9)
    ('p = 0.012', 'p < 0.001')
    """
    return "p < 0.001" if value < 0.001 else f"p = {value:.2g}"


def db(value: float | None) -> str:
    """A ratio in decibels, where None is no noise at all."""
    return "equal" if value is None else f"{value:.1f} dB"
