"""When a loop ends: a signal, a time, a number of frames; never in the middle of a result."""

from __future__ import annotations

import itertools
import signal
import threading
from collections.abc import Iterable, Iterator
from queue import SimpleQueue
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

    A live source is closed, from a thread: its locks must not meet an exception from nowhere.
    A read of a file or of standard input has none and is interrupted by one.

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
        self._interruptible = False
        # a simple queue may be put into while the same thread is inside of it
        self._told: SimpleQueue[bool] = SimpleQueue()
        self._former: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                self._former[number] = signal.signal(number, self._handle)
            self._interruptible = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        self._interruptible = False
        if self._former:
            signal.setitimer(signal.ITIMER_REAL, 0)
        self._restore()
        # the signal may have come between the wait and its end
        return kind is _Asked

    def until(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """The frames until a limit or a signal; the time of ``duration_s`` starts here.

        Args:
            frames: a source; what has a ``live`` that is true has a ``close`` for any thread.
        """
        self._interruptible = False
        if self._former and self.duration_s is not None:
            signal.setitimer(signal.ITIMER_REAL, self.duration_s)
        counted = itertools.islice(frames, self.max_frames)
        return self._closing(counted, frames) if _is_live(frames) else self._interrupting(counted)

    def _closing(self, frames: Iterator[Frame], source: Any) -> Iterator[Frame]:
        def close_when_asked() -> None:
            if self._told.get():
                source.close()

        closer = threading.Thread(target=close_when_asked, name="stop", daemon=True)
        closer.start()
        try:
            yield from itertools.takewhile(lambda _: not self._asked, frames)
        finally:
            self._told.put(False)
            closer.join()

    def _interrupting(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        while not self._asked:
            try:
                self._interruptible = True
                frame = next(frames)
                self._interruptible = False
            except (StopIteration, _Asked):
                return
            finally:
                self._interruptible = False
            yield frame

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del frame
        if number != signal.SIGALRM:
            self.signal = signal.Signals(number)
            self._restore()
        self._asked = True
        self._told.put(True)
        if self._interruptible:
            raise _Asked

    def _restore(self) -> None:
        for number, former in self._former.items():
            signal.signal(number, former)
        self._former = {}


def _is_live(frames: Iterable[Frame]) -> bool:
    return bool(getattr(frames, "live", False))
