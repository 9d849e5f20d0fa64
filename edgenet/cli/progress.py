"""Progress of long work on standard error: a moving line on a terminal, else a line a stage."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self, TextIO

WIDTH = 24


class StageProgress:
    """Told ``(what, done, total)``; a stage ends when another starts or the block ends.

    A total below 1 is not known: there is no bar then, only the count.

    Usable wherever a ``edgenet.dataset.Progress`` is asked for::

        with StageProgress() as progress:
            export(..., progress=progress)
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.live = self.stream.isatty()
        self._what = ""
        self._started = 0.0
        self._drawn = 0.0
        self._count = 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._what and error is None:
            self._finish()
        elif self._what and self.live:
            self.stream.write("\n")

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if what != self._what:
            if self._what:
                self._finish()
            self._what, self._started, self._drawn = what, now, 0.0
        self._count = max(done, total)
        if self.live and (now - self._drawn > 0.1 or done == total):
            self._drawn = now
            self.stream.write(f"\r\x1b[K  {what}  {_so_far(done, total)}")
            self.stream.flush()

    def say(self, text: str) -> None:
        """Writes a line above the moving one."""
        self.stream.write(f"\r\x1b[K  {text}\n" if self.live else f"  {text}\n")
        self.stream.flush()

    def _finish(self) -> None:
        seconds = time.monotonic() - self._started
        count = f" {self._count}" if self._count > 1 else ""
        start = "\r\x1b[K" if self.live else ""
        self.stream.write(f"{start}  {self._what}{count}  {seconds:.1f} s\n")
        self.stream.flush()
        self._what = ""


def _so_far(done: int, total: int) -> str:
    if total < 1:
        return str(done)
    filled = min(WIDTH * done // total, WIDTH)
    return f"[{'#' * filled}{'-' * (WIDTH - filled)}] {done}/{total}"
