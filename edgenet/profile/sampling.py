"""Timing a classifier frame by frame."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgenet.profile.record import STAGES, Settings, Stage
from edgenet.runner import Frame, Prediction

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Timing:
    """What was timed; ``record.Measurement`` says what each is.

    ``begun_s`` is the clock's reading when sampling began.
    """

    begun_s: float
    first_ms: float
    warmup_avg_ms: float | None
    samples: dict[Stage, tuple[float, ...]]
    started_s: tuple[float, ...]


def sample(
    classify: Callable[[Frame], Prediction],
    frames: Sequence[Frame],
    settings: Settings,
    *,
    clock: Clock = time.perf_counter,
) -> Timing:
    """Classify the frames over and over, and keep every time.

    Sampling ends once ``num_runs`` samples are taken and ``min_secs`` are over, or, with at least
    one sample, when ``max_secs`` are over.

    Args:
        classify: returns the milliseconds of preprocess, invoke and postprocess with its answer.
        frames: at least one; taken in turn.
        settings: how long to go on.
        clock: seconds.
    """
    first = classify(frames[0]).stage_ms["invoke"]
    warmups = [
        classify(frames[turn % len(frames)]).stage_ms["invoke"]
        for turn in range(settings.warmup_runs)
    ]
    found: dict[Stage, list[float]] = {stage: [] for stage in STAGES}
    started: list[float] = []
    gc.collect()
    begin = clock()
    while True:
        before = clock()
        stage_ms = classify(frames[len(started) % len(frames)]).stage_ms
        after = clock()
        started.append(before - begin)
        found["preprocess"].append(stage_ms["preprocess"])
        found["invoke"].append(stage_ms["invoke"])
        found["postprocess"].append(stage_ms["postprocess"])
        found["total"].append((after - before) * 1000)
        elapsed = after - begin
        enough = len(started) >= settings.num_runs and elapsed >= settings.min_secs
        if enough or elapsed >= settings.max_secs:
            break
    return Timing(
        begun_s=begin,
        first_ms=round(first, 6),
        warmup_avg_ms=round(float(np.mean(warmups)), 6) if warmups else None,
        samples={stage: _rounded(times) for stage, times in found.items()},
        started_s=_rounded(started),
    )


def resized(frames: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Frames of a camera's size, the pictures repeated and cut.

    Args:
        frames: (N, h, w, 3).
        height: rows wanted.
        width: columns wanted.

    Returns:
        (N, height, width, 3).
    """
    down, across = -(-height // frames.shape[1]), -(-width // frames.shape[2])
    return np.tile(frames, (1, down, across, 1))[:, :height, :width]


def _rounded(values: Sequence[float]) -> tuple[float, ...]:
    """To a nanosecond (milliseconds) or a microsecond (seconds): below what clocks resolve."""
    return tuple(round(value, 6) for value in values)
