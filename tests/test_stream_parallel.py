from __future__ import annotations

import itertools
import threading
from pathlib import Path

import numpy as np
import pytest

from edgenet.bundle import Bundle
from edgenet.errors import SourceError
from edgenet.runner import Frame, Prediction
from edgenet.stream.parallel import predictions
from edgenet.stream.runner import InProcess

TINY = Path(__file__).parent / "golden" / "tiny"
PATIENCE_S = 10


def frames(count=None):
    numbers = itertools.count() if count is None else range(count)
    return (Frame(n, 0.0, np.zeros((1, 1, 3), np.uint8)) for n in numbers)


def answer(frame):
    return Prediction(frame.index, np.zeros(1, np.float32), {})


def test_as_many_frames_are_at_work_as_there_are_classifiers():
    together = threading.Barrier(3, timeout=PATIENCE_S)

    def classify(frame):
        together.wait()
        return answer(frame)

    found = [one.frame for one in predictions([classify] * 3, frames(6))]
    assert found == [0, 1, 2, 3, 4, 5]


def test_predictions_keep_the_order_of_frames_that_end_in_another():
    second = threading.Event()

    def classify(frame):
        if frame.index == 0:
            assert second.wait(PATIENCE_S)
        elif frame.index == 1:
            second.set()
        return answer(frame)

    assert [one.frame for one in predictions([classify] * 2, frames(5))] == [0, 1, 2, 3, 4]


def test_a_thread_waits_for_another_that_takes_a_frame():
    def slow():
        for frame in frames(6):
            threading.Event().wait(0.01)
            yield frame

    assert [one.frame for one in predictions([answer] * 3, slow())] == [0, 1, 2, 3, 4, 5]


def test_frames_are_not_taken_far_ahead_of_the_results():
    taken = []

    def watched():
        for frame in frames():
            taken.append(frame.index)
            yield frame

    found = predictions([answer] * 2, watched())
    for _ in range(20):
        number = next(found).frame
        assert max(taken) <= number + 4
    found.close()


def test_what_a_classifier_raises_comes_in_the_place_of_its_prediction():
    def classify(frame):
        if frame.index == 2:
            raise ValueError("no")
        return answer(frame)

    found = predictions([classify] * 2, frames())
    assert [next(found).frame, next(found).frame] == [0, 1]
    with pytest.raises(ValueError, match="no"):
        next(found)


def test_what_the_source_raises_comes_after_the_frames_before_it():
    def lost():
        yield from frames(3)
        raise SourceError("unplugged")

    found = predictions([answer] * 2, lost())
    assert [next(found).frame for _ in range(3)] == [0, 1, 2]
    with pytest.raises(SourceError, match="unplugged"):
        next(found)


def test_threads_end_with_the_frames_and_with_who_iterates():
    before = threading.active_count()
    assert not list(predictions([answer] * 4, frames(0)))
    endless = predictions([answer] * 4, frames())
    next(endless)
    endless.close()
    assert threading.active_count() == before


def test_streams_answer_as_one_does():
    bundle = Bundle.open(TINY)
    pictures = np.random.default_rng(0).integers(0, 256, (9, 40, 50, 3), np.uint8)
    shown = [Frame(number, 0.0, picture) for number, picture in enumerate(pictures)]
    logits = []
    for streams in (1, 3):
        runner = InProcess(bundle, "int8.tflite", streams=streams)
        runner.prepare(Path())
        found = list(runner.run(shown))
        assert [one.frame for one in found] == list(range(9))
        assert runner.busy_cores == streams
        logits.append(np.stack([one.logits for one in found]))
        runner.close()
    np.testing.assert_array_equal(*logits)
