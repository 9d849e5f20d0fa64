"""One model run for minutes: what it can do before the board is hot, and what it keeps up."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import msgspec

from edgenet.environment import State
from edgenet.profile.reservoir import Reservoir
from edgenet.profile.statistics import Stats
from edgenet.runner import Frame, Prediction

# Enough for a p99 of 40 samples; more would make the record large and say no more.
KEPT = 4000
_KEPT_OF_WINDOW = 1000
_WINDOWS = 300
_BURST_S = 10.0


class Window(msgspec.Struct, frozen=True):
    """The inferences (invoke alone) that began within one stretch of time.

    Attributes:
        at_s: when the stretch began, in seconds since the first sample.
        count: inferences.
        p50_ms: median of the stretch.
        p90_ms: of the stretch.
        p99_ms: of the stretch.
        max_ms: the slowest.
    """

    at_s: float
    count: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float


class Timeline(msgspec.Struct, frozen=True):
    """What was timed.

    Attributes:
        seconds: how long it went on.
        window_s: length of a window.
        windows: in the order of time; one in which nothing began is left out.
        burst_s: length of the burst: the first 10 s, or the first tenth of a run below 100 s.
        burst: statistics of the inferences that began within the burst.
        sustained: statistics of those that began in the last third.
        burst_samples: at most 4000 of the burst's milliseconds, drawn evenly.
        sustained_samples: at most 4000 of the last third's.
    """

    seconds: float
    window_s: float
    windows: tuple[Window, ...]
    burst_s: float
    burst: Stats
    sustained: Stats
    burst_samples: tuple[float, ...]
    sustained_samples: tuple[float, ...]

    @property
    def slowdown(self) -> float:
        """The sustained median over the burst's; above 1 is slower."""
        return self.sustained.p50_ms / self.burst.p50_ms


class Sustained(msgspec.Struct, frozen=True):
    """A model run without a pause, with the machine's states beside it.

    Attributes:
        variant: the model's precision and format.
        threads: threads that the engine may use.
        timeline: the latencies.
        states: of the machine; neighbours are merged in a long run.
        throttled: what slowed the machine down meanwhile; empty if nothing did, None if the
            machine cannot tell.
        cooled_s: seconds that were waited for the board to cool down beforehand.
    """

    variant: str
    threads: int
    timeline: Timeline
    states: tuple[State, ...]
    throttled: tuple[str, ...] | None
    cooled_s: float = 0.0


def sustain(
    classify: Callable[[Frame], Prediction],
    frames: Sequence[Frame],
    *,
    seconds: float,
    warmup_runs: int,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[float, Timeline]:
    """Classify the frames over and over for ``seconds``; memory does not grow with them.

    Args:
        classify: returns the milliseconds of invoke with its answer.
        frames: at least one; taken in turn.
        seconds: how long; at least one frame is classified.
        warmup_runs: frames before the first that counts.
        clock: seconds.

    Returns:
        The clock's reading when the first sample began, and what was timed.
    """
    for turn in range(1 + warmup_runs):
        classify(frames[turn % len(frames)])
    book = _Book(seconds)
    begin = clock()
    turn, at_s = 0, 0.0
    while turn == 0 or at_s < seconds:
        book.add(at_s, classify(frames[turn % len(frames)]).stage_ms["invoke"])
        turn += 1
        at_s = clock() - begin
    return begin, book.timeline(at_s)


class _Book:
    """Takes latencies in the order of time and keeps what a timeline needs."""

    def __init__(self, seconds: float) -> None:
        self._window_s = max(1.0, seconds / _WINDOWS) if seconds >= 10 else seconds / 10
        self._burst_s = min(_BURST_S, seconds / 10)
        self._late_s = seconds * 2 / 3
        self._burst, self._late = Reservoir(KEPT), Reservoir(KEPT)
        self._windows: list[Window] = []
        self._place = 0
        self._now = Reservoir(_KEPT_OF_WINDOW)

    def add(self, at_s: float, latency_ms: float) -> None:
        place = int(at_s / self._window_s)
        if place != self._place:
            self._close()
            self._place, self._now = place, Reservoir(_KEPT_OF_WINDOW)
        self._now.add(latency_ms)
        if at_s < self._burst_s:
            self._burst.add(latency_ms)
        if at_s >= self._late_s:
            self._late.add(latency_ms)

    def timeline(self, seconds: float) -> Timeline:
        self._close()
        # A model slower than a third of the run: its only inferences are all there is to say.
        late = self._late if self._late.count else self._burst
        return Timeline(
            seconds=round(seconds, 3),
            window_s=round(self._window_s, 6),
            windows=tuple(self._windows),
            burst_s=round(self._burst_s, 6),
            burst=self._burst.stats(),
            sustained=late.stats(),
            burst_samples=_rounded(self._burst.kept),
            sustained_samples=_rounded(late.kept),
        )

    def _close(self) -> None:
        if not self._now.count:
            return
        found = self._now.stats()
        at_s = round(self._place * self._window_s, 6)
        self._windows.append(
            Window(at_s, found.count, found.p50_ms, found.p90_ms, found.p99_ms, found.max_ms)
        )


def _rounded(values: Sequence[float]) -> tuple[float, ...]:
    return tuple(round(value, 6) for value in values)
