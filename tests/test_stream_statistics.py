from __future__ import annotations

import threading
import time

import pytest

from edgenet.stream import statistics
from edgenet.stream.result import Guess, Result
from edgenet.stream.statistics import FPS_OVER_S, Statistics


def result(index=0, *, latency=10.0, label="cat", live=True, dropped=0):
    stages = {"preprocess": 1.0, "invoke": latency - 3, "postprocess": 1.0}
    if live:
        stages = {"capture": 1.0} | stages
    guess = Guess(0, label, 0.9)
    return Result(index, "", (guess,), label, stages, latency if live else None, dropped, 0.0)


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is moved."""

    class Clock:
        now = 100.0

    monkeypatch.setattr(statistics.time, "monotonic", lambda: Clock.now)
    return Clock


def test_nothing_is_known_before_the_first_result():
    found = Statistics().snapshot()
    assert (found.frames, found.fps, found.dropped, found.recent_ms) == (0, 0.0, 0, ())
    assert (found.p50_ms, found.latest, found.since_s, found.event) == (None, None, None, None)
    assert (dict(found.stage_ms), dict(found.seen), dict(found.total_ms)) == ({}, {}, {})
    assert abs(found.started - time.time()) < 60


def test_percentiles_are_those_of_the_window():
    found = Statistics(window=100)
    for index in range(150):
        found.observe(result(index, latency=float(index + 1)), publish_ms=0.5)
    snapshot = found.snapshot()
    assert snapshot.recent_ms == tuple(float(n) for n in range(51, 151))
    assert (snapshot.p50_ms, snapshot.p90_ms) == (100.5, pytest.approx(140.1))
    assert snapshot.p99_ms == pytest.approx(149.01)
    assert snapshot.frames == 150


def test_stages_have_medians_and_totals_and_publishing_is_one():
    found = Statistics()
    for publish, latency in ((1.0, 10.0), (5.0, 20.0), (2.0, 12.0)):
        found.observe(result(latency=latency), publish_ms=publish)
    snapshot = found.snapshot()
    assert snapshot.stage_ms == {
        "capture": 1.0,
        "preprocess": 1.0,
        "invoke": 9.0,
        "postprocess": 1.0,
        "publish": 2.0,
    }
    assert (snapshot.total_ms["publish"], snapshot.total_ms["latency"]) == (8.0, 42.0)


def test_a_file_has_the_sum_of_its_stages_for_a_latency():
    found = Statistics()
    found.observe(result(latency=10.0, live=False), publish_ms=0.0)
    assert found.snapshot().p50_ms == 9.0


def test_labels_and_drops_are_counted():
    found = Statistics()
    for index, label in enumerate(("cat", "dog", "cat")):
        found.observe(result(label=label, dropped=index), publish_ms=0.0)
    assert found.snapshot().seen == {"cat": 2, "dog": 1}
    assert found.snapshot().dropped == 2


def test_the_rate_is_of_the_last_seconds_and_falls_to_zero(clock):
    found = Statistics()
    for _ in range(100):
        clock.now += 0.1
        found.observe(result(), publish_ms=0.0)
    assert found.snapshot().fps == pytest.approx(10, abs=0.3)
    clock.now += FPS_OVER_S / 2
    assert found.snapshot().fps == pytest.approx(5, abs=0.3)
    assert found.snapshot().since_s == pytest.approx(FPS_OVER_S / 2)
    clock.now += FPS_OVER_S
    assert found.snapshot().fps == 0


def test_a_window_shorter_than_the_seconds_gives_the_rate_too(clock):
    found = Statistics(window=50)
    for _ in range(500):
        clock.now += 0.002
        found.observe(result(), publish_ms=0.0)
    assert found.snapshot().fps == pytest.approx(500)


def test_a_single_result_has_a_rate(clock):
    found = Statistics()
    clock.now += 2
    found.observe(result(), publish_ms=0.0)
    assert found.snapshot().fps == 0.5
    assert found.fps() == 0.5


def test_what_the_source_says_is_shown_until_a_frame_comes():
    found = Statistics()
    found.note("the camera is lost")
    assert found.snapshot().event == "the camera is lost"
    found.observe(result(), publish_ms=0.0)
    assert found.snapshot().event is None


def test_readers_never_see_a_result_half_counted():
    """Every snapshot that is taken meanwhile adds up."""
    found = Statistics(window=50)
    wrong, done = [], threading.Event()

    def read():
        while not done.is_set():
            snapshot = found.snapshot()
            if sum(snapshot.seen.values()) != snapshot.frames or (
                snapshot.total_ms.get("publish", 0.0) != snapshot.frames
            ):
                wrong.append(snapshot)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for index in range(2000):
        found.observe(result(index), publish_ms=1.0)
    done.set()
    for reader in readers:
        reader.join()
    assert wrong == []
