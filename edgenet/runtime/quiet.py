"""Keeps what C++ libraries print by themselves off the terminal."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from typing import IO

log = logging.getLogger(__name__)

_lock = threading.Lock()
_inside: list[_Diversion] = []


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Send file descriptors 1 and 2 to the debug log for a while, which ``edgenet -v`` shows.

    Engines write past ``sys.stderr`` and offer no switch, so only the descriptors catch them.
    They belong to the whole process: keep the body short, and print nothing in it.  Threads may
    be inside at the same time; the last one out restores the descriptors.
    """
    with _lock:
        diversion = _inside[0] if _inside else _Diversion()
        _inside.append(diversion)
    try:
        yield
    finally:
        with _lock:
            _inside.pop()
            if not _inside:
                for line in diversion.end():
                    log.debug(line)


class _Diversion:
    """Descriptors 1 and 2 pointing at a temporary file; a closed descriptor is left closed."""

    def __init__(self) -> None:
        _flush()
        self._sink: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  (closed by ``end``)
        self._saved: dict[int, int] = {}
        for descriptor in (1, 2):
            with contextlib.suppress(OSError):
                self._saved[descriptor] = os.dup(descriptor)
                os.dup2(self._sink.fileno(), descriptor)

    def end(self) -> list[str]:
        """Restore the descriptors and return the lines that were written meanwhile."""
        _flush()
        for descriptor, saved in self._saved.items():
            os.dup2(saved, descriptor)
            os.close(saved)
        with self._sink:
            self._sink.seek(0)
            return self._sink.read().decode(errors="replace").splitlines()


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
