"""Numbers as people read them."""

from __future__ import annotations

from collections.abc import Sequence


def ms(value: float | None) -> str | None:
    """Milliseconds, to a microsecond below 10 and to a hundredth below 100.

    >>> ms(0.05712), ms(12.3456), ms(345.6), ms(None)
    ('0.057', '12.35', '345.6', None)
    """
    if value is None:
        return None
    return f"{value:.{3 if value < 10 else 2 if value < 100 else 1}f}"


def size(count: int | None) -> str | None:
    """Bytes in the unit that reads well.

    >>> size(974444), size(20865024), size(None)
    ('951.6 KiB', '19.9 MiB', None)
    """
    if count is None:
        return None
    return f"{count / 2**10:.1f} KiB" if count < 2**20 else f"{count / 2**20:.1f} MiB"


def between(values: Sequence[float]) -> str:
    """The range of some numbers, whole.

    >>> between([51.2, 60.8]), between([2400, 2400])
    ('51 to 61', '2400')
    """
    low, high = f"{min(values):.0f}", f"{max(values):.0f}"
    return low if low == high else f"{low} to {high}"
