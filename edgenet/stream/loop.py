"""The loop: frames are classified, a result is made of each, and every sink is told."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from edgenet.runner import Frame, Prediction
from edgenet.stream.ahead import Fitted
from edgenet.stream.decide import label
from edgenet.stream.result import Guess, Result, Sink
from edgenet.stream.statistics import Statistics
from edgenet.stream.stop import Stop

Classify = Callable[[Iterable[Frame]], Iterator[Prediction]]
"""What ``Runner.run`` is."""

Decision = Callable[[NDArray[np.floating]], tuple[Guess, ...]]


def run(
    source: Iterable[Frame],
    classify: Classify,
    decide: Decision,
    sinks: Sequence[Sink],
    *,
    statistics: Statistics,
    stop: Stop,
) -> None:
    """Answer frames until they end or ``stop`` says so; closes nothing.

    Args:
        source: a ``Source``, or a ``Grabber`` around a live one.
        classify: a runner's ``run``; it may leave frames out, but keeps their order.
        decide: from logits (classes,) to the classes that are named.
        sinks: told of each result in their order.
        statistics: told of each result last.
        stop: when to end before the source does.

    Raises:
        SourceError: the source cannot be opened, or ended before it should.
        SinkError: a sink cannot go on.
    """
    live = getattr(source, "live", False)
    at_work: deque[tuple[Frame, float]] = deque()

    def taken() -> Iterator[Frame]:
        for frame in stop.until(source):
            at_work.append((frame, time.monotonic() * 1e3))
            yield frame

    for prediction in classify(taken()):
        frame, taken_ms = at_work.popleft()
        while frame.index != prediction.frame:
            frame, taken_ms = at_work.popleft()
        top = decide(prediction.logits)
        done_ms = time.monotonic() * 1e3
        # a live frame may have been fitted before it was taken
        begun_ms = taken_ms - (frame.fit_ms if isinstance(frame, Fitted) else 0.0)
        stage_ms = dict(prediction.stage_ms)
        timed = bool(stage_ms)
        if timed:
            rest = done_ms - begun_ms - sum(stage_ms.values())
            stage_ms["postprocess"] = stage_ms.get("postprocess", 0.0) + rest
        if live and timed:
            stage_ms = {"capture": begun_ms - frame.captured_ms, **stage_ms}
        result = Result(
            frame=frame.index,
            name=frame.name,
            top=top,
            label=label(top),
            stage_ms=stage_ms,
            latency_ms=done_ms - frame.captured_ms if live and timed else None,
            dropped=getattr(source, "dropped", 0),
            time=time.time(),
        )
        for sink in sinks:
            sink.publish(result, frame)
        statistics.observe(result, time.monotonic() * 1e3 - done_ms)
