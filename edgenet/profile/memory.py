"""Resident memory of this process, as Linux tells it."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")


def resident() -> int | None:
    """Bytes now; None where the system does not tell."""
    return _read("VmRSS")


def peak() -> int | None:
    """The most bytes at any time since ``reset_peak``; None where the system does not tell."""
    return _read("VmHWM")


def reset_peak() -> None:
    """Forget the peak so far; where the kernel does not allow it, the peak is since the start."""
    with contextlib.suppress(OSError):
        _CLEAR_REFS.write_text("5")


def _read(key: str) -> int | None:
    try:
        match = re.search(rf"(?m)^{key}:\s*(\d+) kB$", _STATUS.read_text())
    except OSError:
        return None
    return int(match[1]) * 1024 if match else None
