"""A pin that is high while a class is seen."""

from __future__ import annotations

import os
import re
from typing import Any

from edgenet.errors import MissingPackage, SinkError, UsageError, unknown
from edgenet.runner import Frame
from edgenet.stream.result import Result
from edgenet.stream.sinks.pace import Streak
from edgenet.stream.sinks.setting import Setting

_FORM = "write gpio:PIN=LABEL, or gpio:PIN=LABEL:FRAMES, as in gpio:17=cat:5"


class Gpio:
    """Switches a pin on when its label is the best for some frames in a row, and off likewise.

    Pins have Broadcom numbers.  gpiozero drives them through lgpio, which works on every Pi up to
    the 5; ``GPIOZERO_PIN_FACTORY`` chooses another of its factories.

    Args:
        text: ``gpio:PIN=LABEL[:FRAMES]``; FRAMES is 1 by default.
        setting: the run.

    Raises:
        MissingPackage: gpiozero or lgpio is not installed.
        SinkError: this machine has no such pin, or does not let us use it.
        UsageError: the words are wrong.
    """

    def __init__(self, text: str, setting: Setting) -> None:
        pin, label, frames = parse(text, setting.labels)
        self._name = f"gpio:{pin}"
        self._streak = Streak(label, frames)
        self._device = _output(pin, self._name)

    def publish(self, result: Result, frame: Frame) -> None:
        """Set the pin.

        Raises:
            SinkError: the pin has gone.
        """
        del frame
        from gpiozero import GPIOZeroError

        begins = self._streak.begins(result.label)
        try:
            if begins:
                self._device.on()
            elif self._streak.ended:
                self._device.off()
        except (GPIOZeroError, OSError) as error:
            raise SinkError(f"{self._name} cannot be set: {error}") from error

    def close(self) -> None:
        """Switch the pin off and let go of it."""
        self._device.off()
        self._device.close()


def parse(text: str, labels: tuple[str, ...]) -> tuple[int, str, int]:
    """Pin, label and frames of ``gpio:PIN=LABEL[:FRAMES]``.

    Raises:
        UsageError: the words are wrong, or there is no such label.
    """
    match = re.fullmatch(r"gpio:(\d{1,2})=(.+)", text, flags=re.DOTALL)
    if not match:
        raise UsageError(f"{text!r} is no pin and label; {_FORM}")
    pin, label, frames = int(match[1]), match[2], 1
    if label not in labels and (counted := re.fullmatch(r"(.+):(\d{1,6})", label)):
        label, frames = counted[1], int(counted[2])
    if label not in labels:
        raise UsageError(f"{text}: {unknown('label', label, labels)}")
    if frames < 1:
        raise UsageError(f"{text}: at least 1 frame is needed; {_FORM}")
    return pin, label, frames


def _output(pin: int, name: str) -> Any:
    try:
        from gpiozero import Device, DigitalOutputDevice, GPIOZeroError
    except ImportError as error:
        raise MissingPackage("gpiozero", "gpio", needed_for="a GPIO sink") from error
    try:
        if Device.pin_factory is None and "GPIOZERO_PIN_FACTORY" not in os.environ:
            Device.pin_factory = _lgpio()
        return DigitalOutputDevice(pin, initial_value=False)
    except MissingPackage:
        raise
    except (GPIOZeroError, OSError, RuntimeError) as error:
        raise SinkError(
            f"{name} cannot be used: {error}; is this a Raspberry Pi, and this user in the group"
            " gpio?"
        ) from error


def _lgpio() -> Any:
    try:
        from gpiozero.pins.lgpio import LGPIOFactory
    except ImportError as error:
        raise MissingPackage("lgpio", "gpio", needed_for="a GPIO sink") from error
    return LGPIOFactory()
