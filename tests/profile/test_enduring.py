from __future__ import annotations

from collections.abc import Callable

import pytest

from edgenet.bundle import Bundle
from edgenet.environment import Probe, State
from edgenet.profile import enduring
from edgenet.profile.enduring import cool_down
from edgenet.profile.measure import measure
from edgenet.profile.record import Settings
from edgenet.profile.worker import Answer, Request

QUICK = Settings(
    num_runs=2, warmup_runs=0, min_secs=0, frame_width=32, frame_height=24, sustained_secs=1.0
)
Thermometer = Callable[..., Probe]


@pytest.fixture
def thermometer() -> Thermometer:
    """A machine that tells the temperatures that are given, and the last for good."""

    def make(*degrees: float | None) -> Probe:
        left = list(degrees)

        class Warm(Probe):
            def whole_state(self) -> State:
                return State(0.0, left.pop(0) if len(left) > 1 else left[0])

        return Warm()

    return make


def quiet(what: str, done: int, total: int) -> None:
    pass


def test_a_board_is_let_cool_down_to_about_what_it_was(thermometer: Thermometer) -> None:
    slept: list[float] = []
    said: list[tuple[str, int, int]] = []
    waited = cool_down(
        thermometer(70.0, 60.0, 52.1, 52.0),
        50.0,
        progress=lambda *step: said.append(step),
        sleep=slept.append,
    )
    assert (waited, slept) == (3.0, [1.0] * 3)
    assert said == [("letting the board cool down", 0, 1), ("letting the board cool down", 1, 1)]


@pytest.mark.parametrize(("now", "cold"), [(51.0, 50.0), (None, 50.0), (90.0, None)])
def test_a_cool_board_and_one_without_thermometer_do_not_wait(
    thermometer: Thermometer, now: float | None, cold: float | None
) -> None:
    def no_sleep(seconds: float) -> None:
        raise AssertionError

    assert cool_down(thermometer(now), cold, progress=quiet, sleep=no_sleep) == 0.0


def test_a_board_that_stays_hot_is_not_waited_for_forever(thermometer: Thermometer) -> None:
    slept: list[float] = []
    assert cool_down(thermometer(90.0), 40.0, progress=quiet, sleep=slept.append) == 180.0
    assert len(slept) == 180


def test_the_best_run_is_repeated_with_the_machines_state_beside_it(tiny: Bundle) -> None:
    said: list[tuple[str, int, int]] = []
    profile = measure(
        tiny,
        variants=["fp32.tflite", "int8.tflite"],
        threads=[1],
        settings=QUICK,
        command="",
        progress=lambda *step: said.append(step),
    )
    found = profile.sustained
    assert found is not None
    assert (found.variant, found.threads) in [(run.variant, run.threads) for run in profile.runs]
    line = found.timeline
    assert line.seconds >= 1.0
    assert sum(window.count for window in line.windows) >= line.burst.count > 0
    assert len(line.sustained_samples) > 0
    assert found.states[0].at_s < 0 < found.states[-1].at_s
    repeating = [step for step in said if step[0].startswith("repeating")]
    assert repeating[0][1:] == (0, 1)
    assert repeating[-1][1:] == (1, 1)


def test_a_sustained_run_that_dies_keeps_the_rest(
    tiny: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Request] = []

    def ask(request: Request) -> Answer:
        asked.append(request)
        return Answer(error="the measuring process died of SIGKILL")

    monkeypatch.setattr(enduring, "ask", ask)
    profile = measure(tiny, variants=["fp32.onnx"], threads=[1], settings=QUICK, command="")
    assert [run.variant for run in profile.runs] == ["fp32.onnx"]
    assert profile.sustained is None
    assert profile.unmeasured[0].reason == "sustained: the measuring process died of SIGKILL"
    assert asked[0].task == "sustained"
