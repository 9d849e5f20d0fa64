"""Watching a machine while something is measured."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from itertools import zip_longest
from types import TracebackType
from typing import Self, TypeVar

import msgspec

from edgenet.environment.probe import Probe
from edgenet.environment.record import State

Number = TypeVar("Number", int, float)


class Recorder:
    """Keeps a machine's states, at the start, at the end and ``hz`` times a second between.

    Once a second, at the start and at the end it asks the firmware too, which costs a process for
    each question.  Beyond ``most`` states neighbours are merged, so that hours fit in memory.

    >>> with Recorder(Probe()) as recorder:
    ...     pass
    >>> len(recorder.states) >= 2
    True
    """

    def __init__(
        self,
        probe: Probe,
        *,
        hz: float = 4.0,
        most: int = 2400,
        on_state: Callable[[State], None] = lambda state: None,
    ) -> None:
        self.states: list[State] = []
        self._probe = probe
        self._period_s = 1 / hz
        self._whole = max(1, round(hz))
        self._most = most
        self._on_state = on_state
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="edgenet-recorder", daemon=True)

    def __enter__(self) -> Self:
        self.states.append(self._probe.whole_state())
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
        self.states.append(self._probe.whole_state())

    def _loop(self) -> None:
        taken = 0
        while not self._stop.wait(self._period_s):
            taken += 1
            whole = taken % self._whole == 0
            state = self._probe.whole_state() if whole else self._probe.state()
            self.states.append(state)
            if len(self.states) >= self._most:
                self.states = thinned(self.states)
            self._on_state(state)


def thinned(states: Sequence[State]) -> list[State]:
    """Half as many states: the first as it is, of each two that follow the worse of each value.

    That is the higher temperature and load, the lower clock, voltage and memory, and every bit; of
    power, which is averaged over a run, the mean.
    """
    rest = states[1:]
    pairs = zip_longest(rest[::2], rest[1::2])
    return [states[0], *(one if other is None else _merged(one, other) for one, other in pairs)]


def _merged(one: State, other: State) -> State:
    bits = [state.throttle_bits for state in (one, other) if state.throttle_bits is not None]
    clocks = [state.mhz for state in (one, other) if state.mhz]
    return msgspec.structs.replace(
        one,
        temperature_c=_of(max, one.temperature_c, other.temperature_c),
        mhz=tuple(map(min, *clocks)) if len(clocks) > 1 else clocks[0] if clocks else (),
        governor=one.governor or other.governor,
        throttle_bits=bits[0] | bits[-1] if bits else None,
        throttle_count=_of(max, one.throttle_count, other.throttle_count),
        load=_of(max, one.load, other.load),
        available_memory=_of(min, one.available_memory, other.available_memory),
        arm_mhz=_of(min, one.arm_mhz, other.arm_mhz),
        core_volts=_of(min, one.core_volts, other.core_volts),
        watts=_of(_mean, one.watts, other.watts),
    )


def _of(
    choose: Callable[[Number, Number], Number], one: Number | None, other: Number | None
) -> Number | None:
    if one is None or other is None:
        return one if other is None else other
    return choose(one, other)


def _mean(one: float, other: float) -> float:
    return (one + other) / 2
