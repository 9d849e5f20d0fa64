"""When a machine was slowed down, and recording it for hours."""

from __future__ import annotations

import threading
from pathlib import Path

from edgenet.environment import Episode, Probe, Recorder, State, episodes, throttling
from edgenet.environment.recorder import thinned


def bits(*values: int | None) -> list[State]:
    """A state each second."""
    return [State(float(second), throttle_bits=value) for second, value in enumerate(values)]


def test_an_episode_lasts_from_the_state_before_to_the_last_that_shows_it() -> None:
    found = episodes(bits(0, 0, 0x20002, 0x20002, 0x20000, 0x20000))
    assert found == (Episode(1.0, 3.0, ("CPU frequency capped",)),)


def test_reasons_that_follow_one_another_are_one_episode() -> None:
    found = episodes(bits(0, 0x80008, 0xA000A, 0xA0002, 0xA0000))
    assert found == (Episode(0.0, 3.0, ("CPU frequency capped", "soft temperature limit")),)


def test_episodes_that_do_not_touch_are_apart() -> None:
    found = episodes(bits(0, 0x10001, 0x10000, 0x10000, 0x10001, 0x10000))
    assert [(one.from_s, one.to_s) for one in found] == [(0.0, 1.0), (3.0, 4.0)]


def test_a_bit_that_only_latched_tells_when_it_may_have_been() -> None:
    assert episodes(bits(0x50000, 0x50000, 0x70000)) == (
        Episode(1.0, 2.0, ("CPU frequency capped",)),
    )


def test_a_machine_that_was_slowed_down_from_the_start_is_so_at_once() -> None:
    assert episodes(bits(0x40004)) == (Episode(0.0, 0.0, ("throttled",)),)
    assert episodes(bits(0x40004, 0x40004)) == (Episode(0.0, 1.0, ("throttled",)),)


def test_latched_bits_from_before_are_no_episode() -> None:
    assert episodes(bits(0xF0000, 0xF0000)) == ()
    assert throttling(bits(0xF0000, 0xF0000)) == ()
    assert episodes([]) == ()


def test_a_state_that_could_not_tell_does_not_hide_what_latched_around_it() -> None:
    states = bits(0, None, 0x40000)
    assert throttling(states) == ("throttled",)
    assert throttling(bits(0x40000, None, 0x40000)) == ()


def test_a_growing_count_is_an_episode() -> None:
    states = [State(float(at), throttle_count=count) for at, count in enumerate((3, 3, 5, 5))]
    assert episodes(states) == (Episode(1.0, 2.0, ("thermal throttling counted by the kernel",)),)


def test_merged_states_keep_the_worse_of_each_value_and_every_bit() -> None:
    first = State(0.0, 40.0, (1800.0,), "ondemand", 0x0, 1, 0.5, 900)
    one = State(1.0, 50.0, (1500.0, 1800.0), "ondemand", 0x1, 1, 1.5, 800, watts=3.0)
    other = State(2.0, 49.0, (1800.0, 600.0), None, 0x20000, 2, 1.0, 850, 600.0, 0.8, 5.0)
    last = State(3.0, None)
    assert thinned([first, one, other, last]) == [
        first,
        State(1.0, 50.0, (1500.0, 600.0), "ondemand", 0x20001, 2, 1.5, 800, 600.0, 0.8, 4.0),
        last,
    ]


def test_thinning_hides_no_throttling() -> None:
    states = bits(*[0] * 9, 0x20002, *[0x20000] * 20)
    thin = thinned(thinned(states))
    assert len(thin) < len(states) / 2
    assert throttling(thin) == throttling(states) == ("CPU frequency capped",)


def test_the_recorder_keeps_hours_in_bounded_memory_and_tells_each_state(tmp_path: Path) -> None:
    told: list[State] = []
    enough = threading.Event()

    def tell(state: State) -> None:
        told.append(state)
        if len(told) == 200:
            enough.set()

    probe = Probe(tmp_path, vcgencmd=None)
    with Recorder(probe, hz=5000, most=20, on_state=tell) as recorder:
        first = recorder.states[0]
        assert enough.wait(30)
    assert len(recorder.states) <= 21
    assert recorder.states[0] == first
    times = [state.at_s for state in recorder.states]
    assert times == sorted(times)


def test_the_firmware_is_asked_at_the_ends_and_once_a_second(tmp_path: Path) -> None:
    kinds: list[str] = []
    enough = threading.Event()

    class Watched(Probe):
        def state(self) -> State:
            kinds.append("cheap")
            if len(kinds) > 9:
                enough.set()
            return super().state()

        def whole_state(self) -> State:
            state = super().whole_state()
            kinds[-1] = "whole"
            return state

    with Recorder(Watched(tmp_path, vcgencmd=None), hz=4) as recorder:
        recorder._period_s = 0.001
        assert enough.wait(30)
    assert kinds[0] == kinds[-1] == "whole"
    assert kinds[1:9] == ["cheap", "cheap", "cheap", "whole"] * 2
