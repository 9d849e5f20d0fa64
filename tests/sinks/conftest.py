"""Results to publish, and a setting to open sinks in."""

from __future__ import annotations

import io
import threading
import time

import numpy as np
import pytest

from edgenet.runner import Frame
from edgenet.stream.result import Guess, Result
from edgenet.stream.sinks import Setting
from edgenet.stream.statistics import Statistics

LABELS = ("ant", "bee", "cat", "a:2")
PATIENCE_S = 20.0


@pytest.fixture
def frame():
    return Frame(0, 0.0, np.zeros((2, 2, 3), np.uint8))


@pytest.fixture
def make():
    """Makes a result."""

    def result(label="cat", *, frame=0, probability=0.875, live=True, name="fake"):
        top = (Guess(LABELS.index(label), label, probability),) if label in LABELS else ()
        stages = {"preprocess": 0.25, "invoke": 8.0, "postprocess": 0.125}
        if live:
            stages = {"capture": 1.5} | stages
        return Result(frame, name, top, label, stages, 9.875 if live else None, 3, 1700000000.25)

    return result


@pytest.fixture
def said():
    """What sinks said, with a way to wait for a sentence."""

    class Said(list):
        changed = threading.Condition()

        def __call__(self, text):
            with self.changed:
                self.append(text)
                self.changed.notify_all()

        def wait_for(self, part):
            with self.changed:
                arrived = self.changed.wait_for(
                    lambda: any(part in text for text in self), PATIENCE_S
                )
            assert arrived, f"{part!r} was not said, but {list(self)}"

    return Said()


@pytest.fixture
def setting(said):
    return Setting(LABELS, "tiny", Statistics(), io.BytesIO(), said)


@pytest.fixture
def until():
    """Waits for a condition that another thread or process will meet."""

    def wait(condition):
        end = time.monotonic() + PATIENCE_S
        while not (found := condition()):
            assert time.monotonic() < end, "it did not come about"
            time.sleep(0.01)
        return found

    return wait
