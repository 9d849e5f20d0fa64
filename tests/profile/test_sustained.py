from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenet.profile.reservoir import Reservoir
from edgenet.profile.sustained import KEPT, sustain
from edgenet.runner import Frame, Prediction

FRAMES = [Frame(index, 0.0, np.zeros((2, 2, 3), np.uint8)) for index in range(3)]


class Board:
    """A classifier and a clock: each call takes ``call_s``; its latency is a function of time."""

    def __init__(self, invoke_ms: Callable[[float], float], call_s: float) -> None:
        self.now = 50.0
        self.calls = 0
        self._invoke_ms = invoke_ms
        self._call_s = call_s
        self._answer = np.zeros(2, np.float32)

    def __call__(self, frame: Frame) -> Prediction:
        self.calls += 1
        found = self._invoke_ms(self.now - 50.0)
        self.now += self._call_s
        return Prediction(frame.index, self._answer, {"invoke": found})

    def clock(self) -> float:
        return self.now


def run(board: Board, seconds: float, warmup_runs: int = 0) -> Any:
    return sustain(board, FRAMES, seconds=seconds, warmup_runs=warmup_runs, clock=board.clock)[1]


def test_burst_is_the_first_ten_seconds_and_sustained_the_last_third() -> None:
    # the first inference, not counted, takes the clock to 0.25 s
    line = run(Board(lambda at: 2.0 if at < 100 else 3.0 if at < 200.25 else 5.0, 0.25), 300)
    assert (line.burst_s, line.burst.count, line.burst.p50_ms) == (10.0, 40, 2.0)
    assert (line.sustained.count, line.sustained.min_ms, line.sustained.max_ms) == (400, 5.0, 5.0)
    assert line.slowdown == 2.5
    assert line.seconds == 300.0


def test_the_burst_of_a_short_run_is_its_first_tenth() -> None:
    line = run(Board(lambda at: 1.0, 0.125), 20)
    assert (line.burst_s, line.burst.count) == (2.0, 16)


def test_a_window_a_second_tells_what_began_in_it() -> None:
    line = run(Board(lambda at: 1.0 + int(at - 0.25), 0.25), 12)
    assert line.window_s == 1.0
    assert [window.at_s for window in line.windows] == list(range(12))
    assert {window.count for window in line.windows} == {4}
    assert [window.p50_ms for window in line.windows] == [1.0 + n for n in range(12)]


def test_a_stretch_in_which_nothing_began_has_no_window() -> None:
    line = run(Board(lambda at: 1.0, 2.5), 10)
    assert [window.at_s for window in line.windows] == [0.0, 2.0, 5.0, 7.0]


def test_the_first_inference_and_the_warmup_do_not_count() -> None:
    board = Board(lambda at: 99.0 if at < 1.0 else 1.0, 0.25)
    line = run(board, 12, warmup_runs=3)
    assert line.burst.max_ms == 1.0
    assert board.calls == 4 + 48


def test_a_model_slower_than_the_whole_run_is_measured_once() -> None:
    line = run(Board(lambda at: 7.0, 100.0), 10)
    assert (line.burst.count, line.sustained.count, line.seconds) == (1, 1, 100.0)
    assert line.slowdown == 1.0


def test_memory_does_not_grow_with_the_run() -> None:
    def peak(seconds: float) -> int:
        board = Board(lambda at: 1.0, 0.1)
        tracemalloc.start()
        try:
            run(board, seconds)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    # the last third of 1200 s fills what is kept of it
    assert peak(4800) < 1.1 * peak(1200)


def test_windows_and_samples_are_as_many_for_hours_as_for_minutes() -> None:
    line = run(Board(lambda at: 1.0, 0.5), 8 * 3600)
    assert len(line.windows) == 300
    assert line.windows[1].at_s == 96.0
    assert line.sustained.count == 19200
    assert len(line.sustained_samples) == KEPT


def test_a_reservoir_that_is_not_full_holds_everything_in_order() -> None:
    reservoir = Reservoir(5)
    for value in (3.0, 1.0, 2.0):
        reservoir.add(value)
    assert reservoir.kept == [3.0, 1.0, 2.0]
    assert reservoir.stats().p50_ms == 2.0


@given(st.lists(st.floats(0.001, 1000.0), min_size=1, max_size=300), st.integers(1, 40))
def test_a_reservoir_keeps_some_of_its_stream_and_its_extremes(
    stream: list[float], capacity: int
) -> None:
    reservoir = Reservoir(capacity)
    for value in stream:
        reservoir.add(value)
    assert len(reservoir.kept) == min(capacity, len(stream))
    assert set(reservoir.kept) <= set(stream)
    stats = reservoir.stats()
    assert stats.count == len(stream)
    assert (stats.min_ms, stats.max_ms) == (round(min(stream), 6), round(max(stream), 6))


def test_a_reservoir_draws_evenly() -> None:
    kept: list[float] = []
    for seed in range(200):
        reservoir = Reservoir(20, seed)
        for value in range(1000):
            reservoir.add(float(value))
        kept += reservoir.kept
    thirds = np.histogram(kept, bins=3, range=(0, 1000))[0] / len(kept)
    # 4000 draws: a third of them is 0.333 with a standard deviation of 0.0075
    assert np.abs(thirds - 1 / 3).max() < 0.03


def test_a_reservoir_of_nothing_has_no_statistics() -> None:
    with pytest.raises(ValueError, match="0 samples"):
        Reservoir(3).stats()
