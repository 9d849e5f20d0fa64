from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from edgenet.environment import State
from edgenet.view import board
from edgenet.view.board import Watch
from edgenet.view.message import Board, Throttling

UNDER_VOLTAGE, THROTTLED = 1 << 0, 1 << 2


class Stub:
    """A machine with one state after another, and a count of how often it was read."""

    def __init__(self, *bits: int | None, celsius: float | None = 50.0) -> None:
        self.bits = list(bits)
        self.celsius = celsius
        self.read = 0
        self.free = threading.Event()
        self.free.set()

    def state(self) -> State:
        self.free.wait(20)
        self.read += 1
        bits = self.bits.pop(0) if len(self.bits) > 1 else self.bits[0]
        return State(at_s=float(self.read), temperature_c=self.celsius, throttle_bits=bits)


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 100.0

    monkeypatch.setattr(board, "monotonic", lambda: Clock.now)
    return Clock


def readings(probe: Stub, clock, count: int, step_s: float) -> list[Board]:
    """What a watch says when it is asked ``count`` times."""

    async def ask() -> list[Board]:
        with ThreadPoolExecutor(1) as executor:
            watch, said = Watch(probe, executor), []
            for _ in range(count):
                said.append(await watch.board())
                if watch._reading is not None:
                    await watch._reading
                clock.now += step_s
            return said

    return asyncio.run(ask())


def test_a_machine_is_read_once_a_second_at_most(clock):
    probe = Stub(0)
    readings(probe, clock, 40, 0.25)
    assert 8 <= probe.read <= 10


def test_the_first_answer_is_a_reading(clock):
    (first,) = readings(Stub(0, celsius=61.5), clock, 1, 1)
    assert first == Board(61.5, Throttling(now=(), earlier=()))


def test_an_old_reading_is_not_told_as_new(clock):
    probe = Stub(0)

    def warmer(said: list[Board]) -> list[float | None]:
        return [one.temperature_c for one in said]

    original = probe.state

    def state() -> State:
        probe.celsius = 50.0 + probe.read
        return original()

    probe.state = state
    assert warmer(readings(probe, clock, 3, 3600)) == [50.0, 51.0, 52.0]


def test_a_machine_that_tells_nothing_has_nothing_to_show(clock):
    (said,) = readings(Stub(None, celsius=None), clock, 1, 1)
    assert said == Board(None, None)


def test_throttling_is_now_and_then_earlier(clock):
    during = UNDER_VOLTAGE | UNDER_VOLTAGE << 16
    probe = Stub(0, during, UNDER_VOLTAGE << 16, UNDER_VOLTAGE << 16)
    said = [one.throttling for one in readings(probe, clock, 7, 1.5)]
    words = ("under-voltage",)
    assert said[0] == Throttling((), ())
    assert Throttling(words, ()) in said
    assert said[-1] == Throttling((), words)


def test_what_happened_before_anybody_looked_does_not_count(clock):
    probe = Stub(THROTTLED << 16)
    said = readings(probe, clock, 4, 1.5)
    assert {one.throttling for one in said} == {Throttling((), ())}


def test_a_machine_that_hangs_delays_only_the_first_answer(clock):
    probe = Stub(0)

    async def ask() -> None:
        with ThreadPoolExecutor(1) as executor:
            watch = Watch(probe, executor)
            known = await watch.board()
            probe.free.clear()
            clock.now += 2.0
            assert await watch.board() is known
            probe.free.set()

    asyncio.run(ask())
