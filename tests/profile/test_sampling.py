from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from edgenet.profile.record import Settings
from edgenet.profile.sampling import resized, sample
from edgenet.runner import Frame, Prediction

FRAMES = [Frame(index, 0.0, np.zeros((2, 2, 3), np.uint8)) for index in range(3)]


class Board:
    """A classifier and a clock: every call takes ``call_s``, of which invoke has a known part."""

    def __init__(self, invoke_ms: Callable[[int], float], call_s: float = 0.25) -> None:
        self.now = 100.0
        self.seen: list[int] = []
        self._invoke_ms = invoke_ms
        self._call_s = call_s

    def __call__(self, frame: Frame) -> Prediction:
        self.now += self._call_s
        invoke = self._invoke_ms(len(self.seen))
        self.seen.append(frame.index)
        stages = {"preprocess": 1.0, "invoke": invoke, "postprocess": 0.5}
        return Prediction(frame.index, np.zeros(2, np.float32), stages)

    def clock(self) -> float:
        return self.now


def test_first_and_warmup_are_apart_from_the_samples() -> None:
    board = Board(lambda call: [50.0, 10.0, 12.0, 2.0, 3.0, 4.0][call])
    settings = Settings(num_runs=3, warmup_runs=2, min_secs=0)
    timing = sample(board, FRAMES, settings, clock=board.clock)
    assert timing.first_ms == 50.0
    assert timing.warmup_avg_ms == 11.0
    assert timing.samples["invoke"] == (2.0, 3.0, 4.0)
    assert timing.samples["preprocess"] == (1.0, 1.0, 1.0)
    assert timing.samples["postprocess"] == (0.5, 0.5, 0.5)
    assert timing.samples["total"] == (250.0, 250.0, 250.0)
    assert timing.started_s == (0.0, 0.25, 0.5)
    assert timing.begun_s == 100.75


def test_frames_are_taken_in_turn() -> None:
    board = Board(lambda call: 1.0)
    sample(board, FRAMES, Settings(num_runs=5, warmup_runs=0, min_secs=0), clock=board.clock)
    assert board.seen == [0, 0, 1, 2, 0, 1]


@pytest.mark.parametrize(
    ("settings", "samples"),
    [
        (Settings(num_runs=7, warmup_runs=0, min_secs=0), 7),
        (Settings(num_runs=1, warmup_runs=0, min_secs=1), 4),
        (Settings(num_runs=100, warmup_runs=0, min_secs=0, max_secs=2), 8),
        (Settings(num_runs=5, warmup_runs=0, min_secs=0, max_secs=0.001), 1),
    ],
    ids=["num_runs", "min_secs", "max_secs", "at least one"],
)
def test_sampling_ends_where_the_settings_say(settings: Settings, samples: int) -> None:
    board = Board(lambda call: 1.0)
    timing = sample(board, FRAMES, settings, clock=board.clock)
    assert len(timing.samples["invoke"]) == len(timing.started_s) == samples


def test_no_warmup_has_no_mean() -> None:
    board = Board(lambda call: 1.0)
    timing = sample(board, FRAMES, Settings(num_runs=1, warmup_runs=0), clock=board.clock)
    assert timing.warmup_avg_ms is None


@pytest.mark.parametrize("size", [(7, 5), (2, 3), (480, 640)])
def test_frames_grow_to_a_cameras_size_or_are_cut(size: tuple[int, int]) -> None:
    frames = np.arange(2 * 3 * 4 * 3, dtype=np.uint8).reshape(2, 3, 4, 3)
    grown = resized(frames, *size)
    assert grown.shape == (2, *size, 3)
    rows, columns = min(3, size[0]), min(4, size[1])
    assert (grown[:, :rows, :columns] == frames[:, :rows, :columns]).all()
    if size[0] > 3:
        assert (grown[:, 3, 0] == frames[:, 0, 0]).all()
