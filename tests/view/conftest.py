from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edgenet import image, view
from edgenet.environment import Probe
from edgenet.runner import Frame
from edgenet.stream.fake import Fake, read_number
from edgenet.stream.mode import Mode
from edgenet.stream.result import UNKNOWN, Guess, Result
from edgenet.stream.statistics import Snapshot, Statistics
from edgenet.view.server import View

pytest.importorskip("cv2", reason="OpenCV is not installed")

LABELS = ("cat", "dog", "owl")
STAGES = {"capture": 4.0, "preprocess": 1.0, "invoke": 5.0, "postprocess": 0.5}
CARD = Fake(Mode(size=(320, 240)))


class Told(Statistics):
    """Statistics whose snapshot a test changes at will."""

    def __init__(self) -> None:
        super().__init__()
        self.changes: dict[str, Any] = {}

    def snapshot(self) -> Snapshot:
        return replace(super().snapshot(), **self.changes)


class Loop:
    """What the loop does with a view: publishes numbered test cards and their results."""

    def __init__(self, served: View, statistics: Statistics) -> None:
        self.view = served
        self.statistics = statistics
        self.number = 0

    def give(self, label: str = "cat", *, rgb: Any = None, known: bool = True) -> int:
        """Publish the next frame; returns its number, which ``read_number`` finds in it."""
        self.number += 1
        top = (Guess(0, label, 0.9), Guess(1, "dog", 0.0625)) if known else ()
        result = Result(
            frame=self.number,
            name="",
            top=top,
            label=label if known else UNKNOWN,
            stage_ms=STAGES,
            latency_ms=sum(STAGES.values()),
            dropped=3,
            time=time.time(),
        )
        rgb = CARD.picture(self.number) if rgb is None else rgb
        self.view.publish(result, Frame(self.number, time.monotonic() * 1e3, rgb))
        self.statistics.observe(result, 0.25)
        return self.number


Serve = Callable[..., Loop]


@pytest.fixture
def statistics() -> Told:
    return Told()


@pytest.fixture
def serve(statistics: Told, tmp_path) -> Iterator[Serve]:
    """Start a view on a free port of loopback, which ends with the test."""
    with ExitStack() as opened:

        def start(**options: Any) -> Loop:
            options = {"labels": LABELS, "port": 0, "environment": Probe(tmp_path)} | options
            served = opened.enter_context(closing(view.serve(statistics, **options)))
            return Loop(served, statistics)

        yield start


@pytest.fixture
def encodes(monkeypatch) -> list[int]:
    """The number of every frame that was encoded, in order."""
    made: list[int] = []
    original = image.encode_jpeg

    def encode(rgb: np.ndarray, **options: Any) -> bytes:
        made.append(read_number(rgb))
        return original(rgb, **options)

    monkeypatch.setattr(image, "encode_jpeg", encode)
    return made
