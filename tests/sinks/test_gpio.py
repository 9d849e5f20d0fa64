"""The GPIO sink on gpiozero's mock pins."""

from __future__ import annotations

import pytest

from edgenet.errors import SinkError
from edgenet.stream.sinks import open_sink

gpiozero = pytest.importorskip("gpiozero", reason="gpiozero is not installed")
from gpiozero.pins.mock import MockFactory  # noqa: E402


@pytest.fixture
def pins():
    """A board whose pins can be looked at."""
    gpiozero.Device.pin_factory = MockFactory()
    yield gpiozero.Device.pin_factory
    gpiozero.Device.pin_factory.close()
    gpiozero.Device.pin_factory = None


def test_the_pin_is_high_while_the_label_is_seen(pins, setting, make, frame):
    sink = open_sink("gpio:17=cat", setting)
    pin, levels = pins.pin(17), []
    for label in ("bee", "cat", "cat", "bee", "cat"):
        sink.publish(make(label), frame)
        levels.append(pin.state)
    assert levels == [False, True, True, False, True]
    sink.close()


def test_some_frames_in_a_row_are_asked_for(pins, setting, make, frame):
    sink = open_sink("gpio:17=cat:3", setting)
    pin, levels = pins.pin(17), []
    for label in ("cat", "cat", "bee", "cat", "cat", "cat", "bee", "bee", "cat", *["bee"] * 3):
        sink.publish(make(label), frame)
        levels.append(pin.state)
    assert levels == [False] * 5 + [True] * 6 + [False]
    sink.close()


def test_the_pin_is_low_before_the_first_frame_and_after_the_end(pins, setting, make, frame):
    sink = open_sink("gpio:17=cat", setting)
    pin = pins.pin(17)
    assert (pin.function, pin.state) == ("output", False)
    sink.publish(make("cat"), frame)
    assert pin.state
    sink.close()
    assert not pin.state


def test_a_label_with_a_colon_and_a_number_is_a_label(pins, setting, make, frame):
    sink = open_sink("gpio:17=a:2", setting)
    sink.publish(make("a:2"), frame)
    assert pins.pin(17).state
    sink.close()


def test_a_pin_that_is_not_there_is_one_sentence(pins, setting):
    with pytest.raises(SinkError, match=r"gpio:99 cannot be used: .*99"):
        open_sink("gpio:99=cat", setting)


def test_a_pin_in_use_is_one_sentence(pins, setting):
    sink = open_sink("gpio:17=cat", setting)
    with pytest.raises(SinkError, match=r"gpio:17 cannot be used: .*already in use"):
        open_sink("gpio:17=bee", setting)
    sink.close()


def test_a_machine_without_pins_is_one_sentence(setting, monkeypatch, tmp_path):
    """gpiozero is asked for lgpio alone: its other factories fail on a Pi 5."""
    pytest.importorskip("lgpio", reason="lgpio is not installed")
    monkeypatch.delenv("GPIOZERO_PIN_FACTORY", raising=False)
    monkeypatch.setattr(gpiozero.Device, "pin_factory", None)
    # lgpio leaves a file in the working folder
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SinkError, match=r"gpio:17 cannot be used: .* is this a Raspberry Pi"):
        open_sink("gpio:17=cat", setting)
