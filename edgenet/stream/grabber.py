"""The newest frame of a live source: a thread that reads, a slot of one, and what is lost on it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from time import monotonic

from edgenet.errors import SourceError
from edgenet.runner import Frame, Source

DELAYS_S = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Waits before the attempts to open a lost source; the last one repeats."""

GIVE_UP_S = 30.0
_FAREWELL_S = 0.8


class Clock:
    """Time and waiting, apart so that tests can hold them."""

    def now(self) -> float:
        """Seconds since some start, as ``time.monotonic``."""
        return monotonic()

    def wait(self, condition: threading.Condition, seconds: float) -> None:
        """Wait with the lock of ``condition`` held until it is notified or the time is over."""
        condition.wait(seconds)


class Grabber:
    """Reads a live source in a thread and gives the newest frame, each at most once.

    A frame that nobody took before the next one came is dropped and counted.  A source that fails
    or ends is opened again, with growing waits; a first attempt that fails is an error at once.
    The thread starts with the iteration and ``close`` ends both; close may be called from any
    thread or signal handler, and does not wait for a source that is stuck.

    Args:
        open: opens the source anew.
        on_event: told in words, from the thread, when the source is back.
        on_lost: told likewise when it is lost; ``on_event`` by default.
        give_up_s: seconds without a frame after which the iteration ends with an error.
        clock: time and waiting.

    Attributes:
        dropped: frames that came and were not looked at.
    """

    live = True

    def __init__(
        self,
        open: Callable[[], Source],
        *,
        on_event: Callable[[str], None],
        on_lost: Callable[[str], None] | None = None,
        give_up_s: float = GIVE_UP_S,
        clock: Clock | None = None,
    ) -> None:
        self.dropped = 0
        self._open = open
        self._on_event = on_event
        self._on_lost = on_lost or on_event
        self._give_up_s = give_up_s
        self._clock = clock or Clock()
        self._changed = threading.Condition()
        self._slot: Frame | None = None
        self._count = 0
        self._newest_s = 0.0
        self._base = 0
        self._source: Source | None = None
        self._lost_s: float | None = None
        self._reason = "it is open, but gives none"
        self._failure: BaseException | None = None
        self._closed = False
        self._thread: threading.Thread | None = None

    def __iter__(self) -> Iterator[Frame]:
        """The newest frame not seen yet, again and again, until ``close``.

        A frame's index counts what the source gave, so a gap is what was dropped.

        Raises:
            SourceError: the source cannot be opened at first, or no frame came for ``give_up_s``.
            EdgenetError: what else the source raised, such as a missing package.
        """
        self._start()
        while (frame := self._take()) is not None:
            yield frame

    def close(self) -> None:
        """End the iteration and the thread, in less than a second."""
        with self._changed:
            self._closed = True
            self._slot = None
            source, thread = self._source, self._thread
            self._changed.notify_all()
        if source is not None:
            source.close()
        if thread is not None and thread is not threading.current_thread():
            # a read that is stuck ends with the process; the thread is a daemon
            thread.join(_FAREWELL_S)

    def _start(self) -> None:
        with self._changed:
            if self._thread is None and not self._closed:
                self._newest_s = self._clock.now()
                self._thread = threading.Thread(target=self._run, name="grabber", daemon=True)
                self._thread.start()

    def _take(self) -> Frame | None:
        with self._changed:
            while self._slot is None and not self._closed:
                if self._failure is not None:
                    raise self._failure
                left = self._newest_s + self._give_up_s - self._clock.now()
                if left <= 0:
                    raise SourceError(f"no frame for {self._give_up_s:g} s: {self._reason}")
                self._clock.wait(self._changed, left)
            frame, self._slot = self._slot, None
            return frame

    def _run(self) -> None:
        try:
            self._keep_open()
        except BaseException as error:  # noqa: BLE001  (raised by the thread that iterates)
            with self._changed:
                self._failure = error
                self._changed.notify_all()

    def _keep_open(self) -> None:
        attempt = 0
        while not self._closed:
            opened_s = self._clock.now()
            self._read_until_lost(first=attempt == 0 and self._count == 0)
            if self._closed:
                return
            if self._newest_s - opened_s > DELAYS_S[-1]:
                attempt = 0
            self._tell_lost()
            self._pause(DELAYS_S[min(attempt, len(DELAYS_S) - 1)])
            attempt += 1

    def _read_until_lost(self, *, first: bool) -> None:
        """Leave why it ended in ``_reason``."""
        try:
            source = self._open()
        except SourceError as error:
            if first:
                raise
            self._reason = str(error)
            return
        with closing(source):
            with self._changed:
                if self._closed:
                    return
                self._source = source
                self._base = self._count
            try:
                for frame in source:
                    if self._closed:
                        return
                    self._put(frame)
                self._reason = "the source ended"
            except SourceError as error:
                self._reason = str(error)
            finally:
                with self._changed:
                    self._source = None

    def _put(self, frame: Frame) -> None:
        with self._changed:
            self._newest_s = self._clock.now()
            index = self._base + frame.index
            # what the source itself left out was not looked at either
            self.dropped += index - self._count + (self._slot is not None)
            self._slot = frame if frame.index == index else replace(frame, index=index)
            self._count = index + 1
            lost_s, self._lost_s = self._lost_s, None
            self._changed.notify_all()
        if lost_s is not None:
            self._on_event(f"the camera is back after {self._newest_s - lost_s:.0f} s")

    def _tell_lost(self) -> None:
        with self._changed:
            known, self._lost_s = self._lost_s, self._lost_s or self._clock.now()
        if known is None:
            self._on_lost(f"the camera is lost: {self._reason}; opening it again until it is back")

    def _pause(self, seconds: float) -> None:
        until = self._clock.now() + seconds
        with self._changed:
            while not self._closed and (left := until - self._clock.now()) > 0:
                self._clock.wait(self._changed, left)
