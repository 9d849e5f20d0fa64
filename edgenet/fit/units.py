"""Limits as people type them: ``50ms``, ``512K``."""

from __future__ import annotations

import re

from edgenet.errors import UsageError

_MS = {"us": 1e-3, "ms": 1.0, "s": 1e3}
_BYTES = {"B": 1}
for _power, _letter in enumerate("KMG", 1):
    # a small b would be bits, as data sheets of memories count
    _BYTES |= {
        unit: 2 ** (10 * _power)
        for big in (_letter, _letter.lower())
        for unit in (big, f"{big}B", f"{big}iB")
    }
_HZ = {"Hz": 1, "kHz": 10**3, "MHz": 10**6, "GHz": 10**9}
_NUMBER = re.compile(r"(\d+(?:\.\d+)?)([A-Za-z]*)")


def milliseconds(text: str) -> float:
    """A time with its unit.

    >>> milliseconds("50ms"), milliseconds("0.5s")
    (50.0, 500.0)

    Raises:
        UsageError: it is no number above 0 with one of the units.
    """
    return _quantity(text, _MS, "a time", "50ms, 0.5s or 800us")


def size(text: str) -> int:
    """Bytes; K, M and G, large or small, count by 1024, as flash and RAM do.

    >>> size("512K"), size("1.5MiB"), size("4096B")
    (524288, 1572864, 4096)

    Raises:
        UsageError: it is no number above 0 with one of the units, or no whole number of bytes.
    """
    found = _quantity(text, _BYTES, "a size", "512K (512 x 1024), 256KiB, 2M or 4096B")
    if found != int(found):
        raise UsageError(f"{text!r} is {found:g} bytes; give a whole number of bytes")
    return int(found)


def hertz(text: str) -> int:
    """A clock with its unit.

    >>> hertz("168MHz")
    168000000

    Raises:
        UsageError: it is no number above 0 with one of the units.
    """
    return round(_quantity(text, _HZ, "a clock", "168MHz or 16000kHz"))


def _quantity(text: str, units: dict[str, float] | dict[str, int], what: str, like: str) -> float:
    match = _NUMBER.fullmatch(text)
    if match is None or match[2] not in units or float(match[1]) <= 0:
        raise UsageError(f"{text!r} is not {what}; write a number above 0 with its unit: {like}")
    return float(match[1]) * units[match[2]]
