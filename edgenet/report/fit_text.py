"""What ``edgenet fit`` found, for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from edgenet.edgetpu.check import CACHE, LEAST_CACHE
from edgenet.fit.record import Cost, Excess, Fit, Limit, Row
from edgenet.report.text import table

COSTS: dict[Cost, str] = {
    "latency_ms": "predicted latency",
    "instructions": "instructions counted in QEMU",
    "macs": "multiply-adds",
}
_WORDS: dict[Limit, str] = {
    "flash": "flash",
    "ram": "RAM",
    "block": "RAM in one piece",
    "latency": "latency",
}


def text(found: Fit, *, every: bool = False) -> str:
    """The table of what fits, and what to train; no word of it where nothing fits.

    Args:
        found: the record.
        every: what does not fit, too.
    """
    rows = [row for row in found.rows if row.fits or (every and not row.refused)]
    parts = [
        "\n".join([heading(found), *notes(found)]),
        table(headings(found, every=every), [cells(found, row, every=every) for row in rows])
        if rows
        else "",
        conclusion(found) if found.recommended else "",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def heading(found: Fit) -> str:
    """The device and its limits, in a line."""
    limits, sources = found.limits, found.limits.sources
    values: tuple[tuple[Limit, str | None], ...] = (
        ("flash", _bytes(limits.flash)),
        ("ram", _bytes(limits.ram)),
        ("block", _bytes(limits.block)),
        ("latency", f"{limits.latency_ms:g} ms" if limits.latency_ms else None),
    )
    said = [
        f"{_WORDS[name]} {shown}" + ("" if sources[name] == "given" else f" of {sources[name]}")
        for name, shown in values
        if shown is not None
    ]
    device = f"{found.target}, {found.board}" if found.board else found.target
    fitting = sum(row.fits for row in found.rows)
    most = f"; at most {', '.join(said)}" if said else "; no limits"
    return f"{device}: {fitting} of {len(found.rows)} networks fit{most}"


def notes(found: Fit) -> Iterator[str]:
    """What the numbers must not be read without."""
    if found.stack:
        yield f"{_generated(found)}; {found.stack:,} bytes of stack count too."
    else:
        names = "" if found.labelled else ", without the names of its classes"
        yield f"Flash is the int8 .tflite's size, within 1 %{names}."
        if not found.calibration:
            device = found.board or found.target
            yield f"RAM and latency are not known: {device} was never calibrated."
    if _on_edgetpu(found):
        yield (
            f"Parameters: the Edge TPU keeps {LEAST_CACHE:,} to {CACHE:,} bytes; what is beyond is"
            " sent to it anew for each picture."
        )
    if found.calibration:
        yield f"Latency: {found.calibration}."
    accuracies = [row.accuracy for row in found.rows if row.accuracy]
    if any(one.kind == "published" for one in accuracies):
        yield (
            "Top-1 is what the networks' authors published of float models on ImageNet, not what"
            " your data will give."
        )
    for data in sorted({one.data for one in accuracies if one.kind == "own"}):
        yield f"Top-1 is of int8 in edgenet's own measured table, on {data} (docs/results.md)."
    for data in sorted({one.data for one in accuracies if one.kind == "measured"}):
        yield f"Top-1 is what edgenet evaluate measured on {data}."
    unknown = sum(row.fits and row.accuracy is None for row in found.rows)
    if accuracies and unknown:
        yield f"{unknown} that fit have no known accuracy, so the front leaves them out."
    yield from _left_out(found)


def _left_out(found: Fit) -> Iterator[str]:
    """What cannot run, and what cannot be judged or compared."""
    for reason, names in _by_reason((row.refused, row) for row in found.rows):
        yield f"Not on this device: {names} ({reason})."
    for reason, names in _by_reason((row.unknown, row) for row in found.rows):
        yield f"Latency not known: {names} ({reason}); calibrate with profiles of them, too."
    untimed = [row for row in found.rows if row.fits and row.latency_ms is None]
    if found.calibration and untimed and found.cost == "macs":
        ((_, names),) = _by_reason((" ", row) for row in untimed)
        yield (
            f"The front is by multiply-adds, since the latency of {names} is not known; calibrate"
            " with profiles of them, or choose others with --arch."
        )


def _by_reason(rows: Iterable[tuple[str, Row]]) -> list[tuple[str, str]]:
    """Architectures of the rows that have a reason, by reasons."""
    found: dict[str, dict[str, None]] = {}
    for reason, row in rows:
        if reason:
            found.setdefault(reason, {})[row.point.arch] = None
    return [(reason, ", ".join(archs)) for reason, archs in found.items()]


def _generated(found: Fit) -> str:
    """Where the flash and RAM of generated code come from."""
    known = [row for row in found.rows if row.ram is not None]
    if any(row.flash is None for row in known):
        return "RAM is the planner's; code of this core is not known, flash must hold the weights"
    if all(row.exact for row in known):
        return "Flash and RAM are the planner's and the linker's, to the byte"
    return "RAM is the planner's; code is of recorded sizes, without arm-none-eabi-gcc"


def headings(found: Fit, *, every: bool = False) -> list[str]:
    """Of the columns that ``cells`` fills."""
    shown = ["network", "alpha", "side", "multiply-adds", "flash", "RAM"]
    shown += ["parameters"] if _on_edgetpu(found) else []
    shown += ["ms"] if found.calibration else []
    shown += ["instructions"] if _counted(found) else []
    return [*shown, "top-1", "front", *(["too much"] if every else [])]


def cells(found: Fit, row: Row, *, every: bool = False) -> list[object]:
    """A row of the table."""
    ram = None if row.ram is None else f"{row.ram:,}" + ("" if row.sram_budget is None else "*")
    shown: list[object] = [row.point.arch, f"{row.point.alpha:g}", row.point.side, f"{row.macs:,}"]
    shown += [None if row.flash is None else f"{row.flash:,}", ram]
    if _on_edgetpu(found):
        shown.append(None if row.parameters is None else f"{row.parameters:,}")
    if found.calibration:
        shown.append(None if row.latency_ms is None else f"{row.latency_ms:.2f}")
    if _counted(found):
        shown.append(None if row.instructions is None else f"{row.instructions:,}")
    shown.append("not published" if row.accuracy is None else f"{row.accuracy.top1:.1%}")
    mark = "train" if row.name == found.recommended else "yes" if row.front else ""
    return [*shown, mark, *([over(row)] if every else [])]


def over(row: Row) -> str:
    """The limits that a row breaks, and by how much."""
    said = [f"{_WORDS[name]} {one.times - 1:.0%}" for name, one in row.over.items()]
    return ", ".join([*said, *(["latency not known"] if row.unknown else [])])


def conclusion(found: Fit) -> str:
    """What to train, or what misses its limits by the least."""
    best = found.row(found.recommended)
    if best is None:
        return shortfall(found)
    why = (
        "the most accurate that fits"
        if best.accuracy
        else "the largest that fits; no accuracy of these networks is known"
    )
    said = [
        f"{best.name}: {why}.",
        "Next:",
        f"  edgenet train --like {best.name} --data DATA -o RUN",
    ]
    budgets = {row.sram_budget for row in found.rows if row.fits} - {None}
    said += [
        f"* fits if layers run row by row: edgenet export --sram-budget {budget}"
        for budget in budgets
    ]
    return "\n".join(said)


def shortfall(found: Fit) -> str:
    """That nothing fits, and what is nearest, in a sentence."""
    row = found.row(found.nearest)
    if row is None and any(row.unknown for row in found.rows):
        return "nothing fits for certain: the latency of what may fit is not known"
    if row is None:
        return "nothing fits: no network of these runs on this device"
    parts = [_exceeded(name, one) for name, one in row.over.items()]
    return f"nothing fits; the nearest is {row.name} with {' and '.join(parts)}"


def _exceeded(name: Limit, one: Excess) -> str:
    if name == "latency":
        amounts = f"{one.value:.2f} of {one.limit:g} ms"
    else:
        amounts = f"{one.value:,.0f} of {one.limit:,.0f} bytes of {_WORDS[name]}"
    return f"{'at least ' if one.least else ''}{amounts}, {one.times - 1:.0%} too much"


def _on_edgetpu(found: Fit) -> bool:
    return any(row.parameters is not None for row in found.rows)


def _counted(found: Fit) -> bool:
    return any(row.instructions is not None for row in found.rows)


def _bytes(count: int | None) -> str | None:
    return None if count is None else f"{count:,} bytes"
