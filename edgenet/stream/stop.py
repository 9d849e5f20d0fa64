"""When a loop ends: a signal, a time, a number of frames; never in the middle of a result."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Iterator
from types import FrameType, TracebackType
from typing import Any, Self

from edgenet.runner import Frame

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)


class _Asked(BaseException):
    """Ends a wait; a base exception, so that no source takes it for its own."""


class Stop:
    """Ends the frames at SIGTERM, SIGINT, or a limit; a context manager.

    A signal ends what comes before the first frame, and a wait for a frame, at once; otherwise it
    takes effect once the frame at hand is answered and told.  The second signal does what it did
    before, so an impatient Ctrl-C works.  Outside the main thread Python has no signals, and only
    ``max_frames`` holds.

    Args:
        max_frames: give so many at most.
        duration_s: end after so many seconds, frames or not.

    Attributes:
        signal: the signal that came; None when the frames ended otherwise.
    """

    def __init__(self, *, max_frames: int | None = None, duration_s: float | None = None) -> None:
        self.max_frames = max_frames
        self.duration_s = duration_s
        self.signal: signal.Signals | None = None
        self._asked = False
        self._waiting = False
        self._former: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                self._former[number] = signal.signal(number, self._handle)
            self._waiting = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        self._waiting = False
        if self._former:
            signal.setitimer(signal.ITIMER_REAL, 0)
        self._restore()
        # the signal may have come between the wait and its end
        return kind is _Asked

    def until(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """The frames until a limit or a signal; the time of ``duration_s`` starts here."""
        self._waiting = False
        if self._former and self.duration_s is not None:
            signal.setitimer(signal.ITIMER_REAL, self.duration_s)
        iterator = iter(frames)
        given = 0
        while not self._asked and given != self.max_frames:
            try:
                self._waiting = True
                frame = next(iterator)
                self._waiting = False
            except (StopIteration, _Asked):
                return
            finally:
                self._waiting = False
            given += 1
            yield frame

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del frame
        if number != signal.SIGALRM:
            self.signal = signal.Signals(number)
            self._restore()
        self._asked = True
        if self._waiting:
            raise _Asked

    def _restore(self) -> None:
        for number, former in self._former.items():
            signal.signal(number, former)
        self._former = {}
