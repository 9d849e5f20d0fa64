"""Watching a machine while something is measured."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

from edgenet.environment.probe import Probe
from edgenet.environment.record import State


class Recorder:
    """Keeps a machine's states, at the start, at the end and ``hz`` times a second between.

    >>> with Recorder(Probe()) as recorder:
    ...     pass
    >>> len(recorder.states) >= 2
    True
    """

    def __init__(self, probe: Probe, *, hz: float = 4.0) -> None:
        self.states: list[State] = []
        self._probe = probe
        self._period_s = 1 / hz
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="edgenet-recorder", daemon=True)

    def __enter__(self) -> Self:
        self.states.append(self._probe.state())
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        self.states.append(self._probe.state())

    def _loop(self) -> None:
        while not self._stop.wait(self._period_s):
            self.states.append(self._probe.state())
