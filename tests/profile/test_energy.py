from __future__ import annotations

import pytest

from edgenet.environment import State
from edgenet.profile.energy import energy


def state(at_s: float, watts: float | None) -> State:
    return State(at_s, watts=watts)


def test_power_while_sampling_times_the_mean_frame_is_its_energy() -> None:
    states = [state(-1, 2.0), state(0.1, 5.0), state(0.5, None), state(0.9, 7.0), state(9, 100.0)]
    found = energy(states, [0.0, 0.5, 0.9], [10.0, 20.0, 30.0])
    assert found is not None
    assert (found.watts, found.readings) == (6.0, 2)
    assert found.mj_per_frame == 6.0 * 20.0
    assert found.idle_watts == 2.0


def test_a_board_that_does_not_measure_its_power_has_no_energy() -> None:
    assert energy([state(-1, None), state(0.1, None)], [0.0], [5.0]) is None


def test_power_from_before_or_after_the_samples_does_not_count() -> None:
    assert energy([state(-1, 5.0), state(2, 5.0)], [0.0], [5.0]) is None


@pytest.mark.parametrize("first", [state(-1, None), state(0.0, 4.0)])
def test_idle_power_is_only_that_from_before(first: State) -> None:
    found = energy([first, state(0.001, 4.0)], [0.0], [5.0])
    assert found is not None
    assert found.idle_watts is None
