"""JPEGs of the newest frame, made when a viewer waits for one and shared by all who do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from time import monotonic
from typing import NamedTuple

from edgenet.runner import Array
from edgenet.view.newest import Newest, Shown

FASTEST_HZ = 30.0
LARGEST_SHARE = 0.25


class Picture(NamedTuple):
    """One encoded frame."""

    shown: Shown
    jpeg: bytes


class Pictures:
    """Encodes the newest frame for whoever waits.

    However many viewers there are, at most ``FASTEST_HZ`` pictures a second are made, one at a
    time, and making them takes at most ``LARGEST_SHARE`` of one core: where it takes longer, on a
    slow or a busy board, fewer are made.

    Args:
        newest: where frames come from.
        encode: uint8 RGB (H, W, 3) to JPEG.
        executor: where ``encode`` runs.
    """

    def __init__(
        self, newest: Newest, encode: Callable[[Array], bytes], executor: Executor
    ) -> None:
        self._newest = newest
        self._encode = encode
        self._executor = executor
        self._turn = asyncio.Lock()
        self._made: Picture | None = None
        self._rest_until_s = 0.0

    async def after(self, seen: int, timeout_s: float) -> Picture | None:
        """A picture numbered above ``seen``; None when no frame comes within ``timeout_s``."""
        arrived = await self._newest.after(seen, timeout_s)
        if arrived is None:
            return None
        async with self._turn:
            rest_s = self._rest_until_s - monotonic()
            if self._made is not None and self._made.shown.number > seen and rest_s > 0:
                return self._made
            await asyncio.sleep(max(rest_s, 0.0))
            shown = self._newest.shown or arrived
            if self._made is None or self._made.shown is not shown:
                self._made = await self._make(shown)
            return self._made

    async def _make(self, shown: Shown) -> Picture:
        start_s = monotonic()
        loop = asyncio.get_running_loop()
        jpeg = await loop.run_in_executor(self._executor, self._encode, shown.frame.rgb)
        took_s = monotonic() - start_s
        self._rest_until_s = start_s + max(1 / FASTEST_HZ, took_s / LARGEST_SHARE)
        return Picture(shown, jpeg)
