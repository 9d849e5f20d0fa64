"""What was counted on a microcontroller, as an HTML page: facts, layers, functions."""

from __future__ import annotations

from edgenet.mcu.counting import Counts
from edgenet.report import html, plot
from edgenet.report.html import Markup, Section
from edgenet.report.mcu import COUNTERS, NO_TIME, place, share
from edgenet.report.units import size

_MILLION = 1e-6
_COLOUR = 1


def page(counts: Counts) -> str:
    """The whole document."""
    return html.page(f"{counts.bundle} on {counts.board}", sections(counts), lead=_lead(counts))


def sections(counts: Counts) -> list[Section]:
    """The parts of the page; layers and functions where they were told apart."""
    found = [Section("whole", "One inference", _whole(counts))]
    if counts.layers:
        found.append(Section("layers", "Layers", _layers(counts)))
    if counts.functions:
        rows = [(name, f"{n:,}", share(n, counts)) for name, n in counts.functions.items()]
        table = html.table(("function", counts.unit, "share"), rows)
        found.append(Section("functions", "Functions", table))
    return found


def _lead(counts: Counts) -> str:
    words = f"{counts.total:,} {counts.unit} an inference on {place(counts)}."
    return html.paragraph(words) + (html.note(NO_TIME) if counts.unit == "instructions" else "")


def _whole(counts: Counts) -> str:
    clock = None if counts.clock_hz is None else f"{counts.clock_hz / 1e6:g} MHz at the most"
    return html.facts(
        [
            (counts.unit, f"{counts.total:,}, {COUNTERS[counts.counter]}"),
            ("multiplications", f"{counts.macs:,}"),
            (f"{counts.unit} a multiplication", f"{counts.total / max(1, counts.macs):.2f}"),
            ("flash, code and constants", size(counts.flash)),
            ("RAM, the arena", size(counts.ram)),
            ("stack, at the deepest", size(counts.stack)),
            ("core", counts.core),
            ("clock", clock),
            *((name, found) for name, found in counts.tools.items()),
            ("bundle sha256", Markup(f"<code>{counts.bundle_sha256}</code>")),
        ]
    )


def _layers(counts: Counts) -> str:
    rows = [
        (one.layer, one.kernel, f"{one.macs:,}", f"{one.count:,}", share(one.count, counts))
        for one in counts.layers
    ]
    table = html.table(("layer", "kernel", "multiplications", counts.unit, "share"), rows, texts=2)
    unit = f"million {counts.unit}"
    bars = [(one.layer, [(_COLOUR, one.count * _MILLION, one.kernel)]) for one in counts.layers]
    caption = f"{counts.unit.capitalize()} of each layer"
    return table + html.figures([html.figure(plot.bars(bars, unit=unit, title=caption), caption)])
