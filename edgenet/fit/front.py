"""What is worth considering among points that fit, and what misses by least."""

from __future__ import annotations

from collections.abc import Sequence

from edgenet.fit.record import Cost, Row


def axis(rows: Sequence[Row]) -> Cost:
    """The cost that is known of every point that fits: time, else instructions, else arithmetic."""
    fitting = [row for row in rows if row.fits]
    costs: tuple[Cost, ...] = ("latency_ms", "instructions")
    for cost in costs:
        if fitting and all(row.costs(cost) is not None for row in fitting):
            return cost
    return "macs"


def front(rows: Sequence[Row], cost: Cost) -> list[str]:
    """Names of the points that fit, of which no other costs as little and is as accurate.

    Points whose accuracy nobody published or measured are not among them.
    """
    known = [
        (value, row.accuracy.top1, row.name)
        for row in rows
        if row.fits and row.accuracy and (value := row.costs(cost)) is not None
    ]
    found, best = [], -1.0
    for _, top1, name in sorted(known, key=lambda one: (one[0], -one[1])):
        if top1 > best:
            found.append(name)
            best = top1
    return found


def recommended(rows: Sequence[Row]) -> str | None:
    """The most accurate point that fits; where no accuracy is known, the one that computes most."""
    fitting = [row for row in rows if row.fits]
    known = [row for row in fitting if row.accuracy]
    best = max(
        known or fitting,
        key=lambda row: (
            row.accuracy.top1 if row.accuracy else 0.0,
            row.macs if not known else -row.macs,
        ),
        default=None,
    )
    return best.name if best else None


def nearest(rows: Sequence[Row]) -> str | None:
    """The point that breaks its limits by the least; None where one fits or none can run."""
    missing = [row for row in rows if row.over]
    if any(row.fits for row in rows) or not missing:
        return None
    return min(missing, key=lambda row: max(one.times for one in row.over.values())).name
