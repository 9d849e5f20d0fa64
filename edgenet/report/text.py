"""Tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(headings: Sequence[str], rows: Iterable[Sequence[object]], *, texts: int = 1) -> str:
    """Columns as wide as they need, two spaces apart.

    Args:
        headings: one text for each column.
        rows: cells; None shows as a dash.
        texts: how many columns from the left are aligned as text; the others are as numbers,
            but for those without a heading, which are remarks.

    >>> print(table(["variant", "top-1"], [["fp32.tflite", "91.2 %"], ["int8.tflite", None]]))
    variant       top-1
    fp32.tflite  91.2 %
    int8.tflite       -
    """
    lines = [list(headings), *([_cell(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place < texts or not headings[place] else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _cell(value: object) -> str:
    return "-" if value is None else str(value)
