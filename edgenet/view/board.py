"""The board's temperature and throttling, read while somebody looks."""

from __future__ import annotations

import asyncio
import math
from concurrent.futures import Executor
from time import monotonic

from edgenet.environment import Probe, State, throttling
from edgenet.view.message import Board, Throttling

PERIOD_S = 1.0
KEPT_S = 3.0


class Watch:
    """Reads a machine when it is asked, but at most once in ``PERIOD_S`` seconds.

    Args:
        probe: reads the machine; this may start a process, so it runs in ``executor``.
        executor: of the view.
    """

    def __init__(self, probe: Probe, executor: Executor) -> None:
        self._probe = probe
        self._executor = executor
        self._states: list[State] = []  # the first and the newest two
        self._seen: dict[str, None] = {}  # reasons, in the order in which they came up
        self._board = Board()
        self._read_s = -math.inf
        self._reading: asyncio.Task[None] | None = None

    async def board(self) -> Board:
        """The newest reading; waits for one only where that is older than ``KEPT_S``."""
        age_s = monotonic() - self._read_s
        if age_s > PERIOD_S and (self._reading is None or self._reading.done()):
            self._reading = asyncio.create_task(self._read())
        if age_s > KEPT_S and self._reading is not None:
            await asyncio.shield(self._reading)
        return self._board

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        state = await loop.run_in_executor(self._executor, self._probe.state)
        self._read_s = monotonic()
        self._states = [*self._states[:1], *self._states[1:][-1:], state]
        self._board = Board(temperature_c=state.temperature_c, throttling=self._throttling())

    def _throttling(self) -> Throttling | None:
        first, former, newest = self._states[0], self._states[-2:][0], self._states[-1]
        recent = newest.at_s - former.at_s < KEPT_S
        now = throttling([former, newest] if recent else [newest])
        ever = throttling([first, newest])
        if now is None or ever is None:
            return None
        self._seen |= dict.fromkeys([*ever, *now])
        return Throttling(now, tuple(reason for reason in self._seen if reason not in now))
