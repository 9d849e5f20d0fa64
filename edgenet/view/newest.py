"""A slot of one between the loop, which leaves what it has, and viewers, who take the newest."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from time import monotonic
from typing import NamedTuple

from edgenet.runner import Frame
from edgenet.stream.result import Result


class Shown(NamedTuple):
    """One answer and the picture that it is of.

    Attributes:
        number: counts what the loop left, from 1.
        at_s: when it was left, in seconds of ``time.monotonic``.
    """

    number: int
    result: Result
    frame: Frame
    at_s: float


class Newest:
    """What the loop left last.

    ``leave`` is for the loop's thread, ``after`` for coroutines of ``loop``.  Nothing is copied
    and nothing is kept but the newest.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.shown: Shown | None = None
        self._loop = loop
        self._arrived = asyncio.Event()
        self._waiting = 0

    def leave(self, result: Result, frame: Frame) -> None:
        """Take the place of what was there; wakes those who wait, if any do."""
        number = self.shown.number + 1 if self.shown else 1
        self.shown = Shown(number, result, frame, monotonic())
        if self._waiting:
            with suppress(RuntimeError):  # the view is being closed
                self._loop.call_soon_threadsafe(self._announce)

    async def after(self, seen: int, timeout_s: float) -> Shown | None:
        """The newest one numbered above ``seen``; None when none comes within ``timeout_s``."""
        # counted before the look, so that leave() sees the one or the look sees the other
        self._waiting += 1
        try:
            async with asyncio.timeout(timeout_s):
                while self.shown is None or self.shown.number <= seen:
                    await self._arrived.wait()
        except TimeoutError:
            return None
        finally:
            self._waiting -= 1
        return self.shown

    def _announce(self) -> None:
        self._arrived.set()
        self._arrived = asyncio.Event()
