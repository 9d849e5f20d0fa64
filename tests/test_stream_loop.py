from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import closing
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from edgenet.runner import Frame, Prediction
from edgenet.spec import Preprocess
from edgenet.stream import loop
from edgenet.stream.ahead import Fitted
from edgenet.stream.decide import Decide
from edgenet.stream.grabber import Grabber
from edgenet.stream.source import open_frames
from edgenet.stream.statistics import Statistics
from edgenet.stream.stop import Stop

LABELS = ("ant", "bee")
RGB = np.zeros((4, 4, 3), np.uint8)


def now_ms():
    return time.monotonic() * 1e3


def frame(index=0, captured_ms=None):
    return Frame(index, now_ms() if captured_ms is None else captured_ms, RGB, name=f"n{index}")


def predict(one):
    return Prediction(
        one.index,
        np.float32([0, one.index]),
        {"preprocess": 0.25, "invoke": 0.5, "postprocess": 0.0},
        one.name,
    )


def classify(frames):
    return map(predict, frames)


def without_time(frames):
    """As a runner of an emulated board."""
    return (predict(one)._replace(stage_ms={}) for one in frames)


class Kept:
    """A sink that keeps what it was told."""

    def __init__(self):
        self.results, self.frames = [], []

    def publish(self, result, frame):
        self.results.append(result)
        self.frames.append(frame)

    def close(self):
        pass


class Live(list):
    live, dropped = True, 7


def run(source, *, sinks=(), work=classify, stop=None, statistics=None):
    kept = Kept()
    loop.run(
        source,
        work,
        Decide(LABELS),
        [kept, *sinks],
        statistics=statistics or Statistics(),
        stop=stop or Stop(),
    )
    return kept


def test_every_sink_hears_of_every_frame_in_order():
    other, statistics = Kept(), Statistics()
    kept = run([frame(n) for n in range(3)], sinks=[other], statistics=statistics)
    assert [result.frame for result in kept.results] == [0, 1, 2]
    assert other.results == kept.results
    assert [one.index for one in kept.frames] == [0, 1, 2]
    assert [result.name for result in kept.results] == ["n0", "n1", "n2"]
    assert statistics.snapshot().frames == 3


def test_a_picture_has_stages_but_no_latency():
    (result,) = run([frame(1)]).results
    assert list(result.stage_ms) == ["preprocess", "invoke", "postprocess"]
    assert (result.latency_ms, result.dropped) == (None, 0)
    assert (result.label, result.top[0].index) == ("bee", 1)


def test_the_stages_of_a_live_frame_add_up_to_its_latency():
    captured = now_ms() - 100
    (result,) = run(Live([frame(0, captured)])).results
    assert list(result.stage_ms) == ["capture", "preprocess", "invoke", "postprocess"]
    assert sum(result.stage_ms.values()) == pytest.approx(result.latency_ms)
    assert 100 <= result.stage_ms["capture"] <= result.latency_ms
    assert (result.stage_ms["invoke"], result.dropped) == (0.5, 7)


@pytest.mark.parametrize("source", [[frame(0)], Live([frame(0)])])
def test_where_the_runner_tells_no_time_none_is_made_up(source):
    statistics = Statistics()
    (result,) = run(source, work=without_time, statistics=statistics).results
    assert (dict(result.stage_ms), result.latency_ms) == ({}, None)
    snapshot = statistics.snapshot()
    assert (snapshot.frames, snapshot.p50_ms, snapshot.recent_ms) == (1, None, ())
    assert list(snapshot.stage_ms) == ["publish"]


def test_what_was_fitted_ahead_is_preprocessing_and_not_capture():
    captured = now_ms() - 100
    fitted = Fitted(0, captured, RGB, pixels=RGB, fit_ms=40.0)

    def work(frames):
        for one in frames:
            yield Prediction(one.index, np.float32([0, 1]), {"preprocess": one.fit_ms})

    (result,) = run(Live([fitted]), work=work).results
    assert 60 <= result.stage_ms["capture"] <= result.latency_ms - 40
    assert result.stage_ms["preprocess"] == 40
    assert result.stage_ms["postprocess"] >= 0
    assert sum(result.stage_ms.values()) == pytest.approx(result.latency_ms)


def test_the_time_of_the_sinks_is_measured_and_is_no_part_of_the_latency():
    class Slow(Kept):
        def publish(self, result, frame):
            time.sleep(0.05)

    statistics = Statistics()
    kept = run(Live([frame()]), sinks=[Slow()], statistics=statistics)
    assert statistics.snapshot().stage_ms["publish"] >= 50
    (result,) = kept.results
    assert "publish" not in result.stage_ms
    assert sum(result.stage_ms.values()) == pytest.approx(result.latency_ms)


def test_frames_that_a_runner_leaves_out_do_not_shift_the_others():
    def every_other(frames):
        return (predict(one) for one in frames if one.index % 2)

    kept = run([frame(n) for n in range(5)], work=every_other)
    assert [(r.frame, f.index) for r, f in zip(kept.results, kept.frames, strict=True)] == [
        (1, 1),
        (3, 3),
    ]


def test_a_runner_may_take_frames_ahead():
    def batched(frames):
        yield from map(predict, list(frames))

    kept = run([frame(n) for n in range(4)], work=batched)
    assert [(result.frame, result.name) for result in kept.results] == [
        (n, f"n{n}") for n in range(4)
    ]


# the end


def test_max_frames_takes_no_frame_too_many():
    frames = iter([frame(n) for n in range(5)])
    assert len(run(frames, stop=Stop(max_frames=2)).results) == 2
    assert next(frames).index == 2


def test_a_duration_ends_a_source_that_gives_nothing():
    never = threading.Event()

    def waiting():
        never.wait(30)
        yield frame()

    with Stop(duration_s=0.05) as stop:
        assert run(waiting(), stop=stop).results == []
    assert stop.signal is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_wait_for_a_frame_at_once(number):
    never = threading.Event()

    def one_then_nothing():
        yield frame()
        os.kill(os.getpid(), number)
        never.wait(30)
        raise AssertionError("the wait went on")

    with Stop() as stop:
        assert len(run(one_then_nothing(), stop=stop).results) == 1
    assert stop.signal == number


def test_a_signal_during_work_lets_the_frame_be_told():
    def interrupted(frames):
        for one in frames:
            os.kill(os.getpid(), signal.SIGTERM)
            yield predict(one)

    with Stop() as stop:
        assert len(run([frame(n) for n in range(3)], work=interrupted, stop=stop).results) == 1


def test_a_signal_before_the_loop_ends_what_is_under_way_at_once():
    reached = []
    with Stop() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        reached.append("the model is loaded")
    assert (stop.signal, reached) == (signal.SIGTERM, [])


def test_after_the_last_frame_a_signal_lets_the_sinks_end():
    reached = []
    with Stop(max_frames=1) as stop:
        run([frame()], stop=stop)
        os.kill(os.getpid(), signal.SIGTERM)
        reached.append("sinks are closed")
    assert (stop.signal, reached) == (signal.SIGTERM, ["sinks are closed"])


def test_handlers_are_put_back_after_the_first_signal_and_at_the_end():
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with Stop():
        assert signal.getsignal(signal.SIGTERM) != before[0]
        os.kill(os.getpid(), signal.SIGTERM)
        assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_a_signal_at_any_moment_ends_a_grabber_whole():
    """It comes while frames are put and taken, so it meets the locks in every state."""
    for attempt in range(60):
        with closing(Grabber(Camera, on_event=print)) as grabber, Stop() as stop:
            alarm = threading.Timer(attempt * 1e-4, os.kill, (os.getpid(), signal.SIGTERM))
            alarm.start()
            run(grabber, stop=stop)
            alarm.join()
        assert stop.signal == signal.SIGTERM
        grabber.close()


def test_outside_the_main_thread_the_loop_works_without_signals():
    found = []

    def work():
        with Stop(max_frames=2) as stop:
            found.extend(run([frame(n) for n in range(5)], stop=stop).results)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(found) == 2


# with a grabber


class Camera:
    """Gives frames as fast as they are taken, until it is closed."""

    live = True

    def __init__(self):
        self.closed = threading.Event()

    def __iter__(self):
        for index in count():
            if self.closed.wait(0.001):
                return
            yield frame(index)

    def close(self):
        self.closed.set()


def test_of_a_camera_faster_than_the_model_the_newest_frame_is_answered():
    def slow(frames):
        for one in frames:
            time.sleep(0.02)
            yield predict(one)

    with closing(Grabber(Camera, on_event=print)) as grabber:
        kept = run(grabber, work=slow, stop=Stop(max_frames=10))
        indices = [result.frame for result in kept.results]
        assert indices == sorted(set(indices))
        assert kept.results[-1].dropped > 10
        assert kept.results[-1].dropped >= indices[-1] - 10


@pytest.mark.slow
def test_frame_age_stays_below_two_inference_times_and_memory_flat_for_ten_minutes():
    """A frame is old by the camera's interval and one inference; never by a queue."""
    pytest.importorskip("cv2", reason="OpenCV is not installed")
    inference_s, seconds = 0.1, float(os.environ.get("EDGENET_SOAK_S", "600"))
    ages, sizes = [], []

    def slow(frames):
        for one in frames:
            time.sleep(inference_s)
            yield predict(one)

    class Watch(Kept):
        def publish(self, result, frame):
            ages.append(result.latency_ms)
            if len(ages) % 20 == 0:
                sizes.append(resident())

    frames = open_frames("fake:640x480@200", ahead=Preprocess(96, 96))
    statistics, decide = Statistics(), Decide(LABELS)
    with closing(frames) as camera, Stop(duration_s=seconds) as stop:
        loop.run(camera, slow, decide, [Watch()], statistics=statistics, stop=stop)
    assert len(ages) > 0.5 * seconds / inference_s
    assert np.percentile(ages, 99) < 2 * inference_s * 1e3
    assert np.median(ages[-500:]) < 1.1 * np.median(ages[:500]) + 1
    settled = sizes[len(sizes) // 5 :]
    assert max(settled) - min(settled) < 8 * 2**20


def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
