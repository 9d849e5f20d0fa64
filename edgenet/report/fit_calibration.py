"""What a board's calibration says, and predictions beside measurements, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from edgenet.fit.calibration import Calibration
from edgenet.fit.compare import Compared, Pair
from edgenet.fit.table import described
from edgenet.report.text import table


def text(made: Calibration) -> str:
    """Rates by variant, threads and kind of layer."""
    parts = [f"{made.board}: {made.host}"]
    for rates in made.rates:
        rows = [
            (
                kind,
                f"{1e6 * rate.multiply_add:.4f}",
                f"{1e6 * rate.byte:.3f}",
                f"{1e6 * rate.weight:.3f}",
                f"{1e3 * rate.call:.2f}",
            )
            for kind, rate in rates.latency.rates.items()
        ]
        head = ("layer", "ns/multiply-add", "ns/byte moved", "ns/weight", "us/call")
        parts += [described(rates, made.host), table(head, rows)]
        if rates.memory:
            parts.append(
                f"RAM: {rates.memory.engine / 2**20:.1f} MiB, {rates.memory.file:.2f} bytes for"
                f" each of the file, {rates.memory.activation:.2f} for each of activations"
            )
    return "\n\n".join(parts) + "\n"


def compared(rows: Sequence[Compared], calibration: Calibration | None, generated: bool) -> str:
    """A row for each measurement.

    Args:
        rows: as they were compared.
        calibration: that latency is predicted by; None where there is none.
        generated: whether models run as generated C.
    """
    head = ["network", "variant", "threads"]
    head += ["flash", "measured", "RAM", "measured", "ms", "measured", ""]
    cells = [
        (
            row.name,
            row.variant,
            row.threads,
            *_bytes(row.flash),
            *_bytes(row.ram),
            None if row.latency.predicted is None else f"{row.latency.predicted:.2f}",
            _with_error(row.latency, f"{row.latency.measured:.2f}"),
            "calibrated with it" if row.calibrated else "",
        )
        for row in rows
    ]
    said = [table(head, cells, texts=2)]
    if calibration is not None:
        said.append(f"Predicted from what was measured on {calibration.host}.")
    else:
        said.append("Latency is not predicted: the board was never calibrated.")
    if generated and any(row.ram.error for row in rows):
        said.append(
            "RAM is predicted without --sram-budget and with channels that training left dead; an"
            " export with either takes less."
        )
    return "\n".join(said) + "\n"


def _bytes(pair: Pair) -> tuple[str | None, str | None]:
    predicted = None if pair.predicted is None else f"{pair.predicted:,.0f}"
    measured = None if pair.measured is None else f"{pair.measured:,.0f}"
    return predicted, _with_error(pair, measured)


def _with_error(pair: Pair, shown: str | None) -> str | None:
    if pair.error is None or shown is None:
        return shown
    return f"{shown} ({pair.error:+.1%})" if pair.error else f"{shown} (exact)"
