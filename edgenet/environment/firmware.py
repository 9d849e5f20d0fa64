"""Asking a Raspberry Pi's firmware, through its program ``vcgencmd``; each question is a process.

https://www.raspberrypi.com/documentation/computers/os.html#vcgencmd
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable

_RAIL = re.compile(r"(?m)^\s*(\w+)_([AV]) (?:current|volt)\(\d+\)=([\d.]+)[AV]\s*$")


class Firmware:
    """What the firmware answers; None for whatever it does not.

    A question that it could not answer the first time is not asked again.

    Args:
        command: the program; looked for on PATH, None to do without.
    """

    def __init__(self, command: str | None = "vcgencmd") -> None:
        self._command = shutil.which(command) if command else None
        self._refused: set[str] = set()
        self._answered: set[str] = set()

    def throttle_bits(self) -> int | None:
        """``get_throttled``: bits 0 to 3 are so now, 16 to 19 were so at some time since boot."""
        found = self._ask("get_throttled", r"throttled=0x([0-9a-fA-F]+)")
        return None if found is None else int(found, 16)

    def temperature_c(self) -> float | None:
        """``measure_temp``: of the processor."""
        return _float(self._ask("measure_temp", r"temp=([\d.]+)'C"))

    def arm_mhz(self) -> float | None:
        """``measure_clock arm``: the frequency that the CPU runs at, whatever Linux asked for."""
        hertz = _float(self._ask("measure_clock arm", r"frequency\(\d+\)=(\d+)"))
        return None if hertz is None else round(hertz / 1e6, 3)

    def core_volts(self) -> float | None:
        """``measure_volts core``: of the processor."""
        return _float(self._ask("measure_volts core", r"volt=([\d.]+)V"))

    def watts(self) -> float | None:
        """``pmic_read_adc`` (Pi 5): current times voltage, summed over the rails that have both."""
        found = self._ask("pmic_read_adc", r"(?s)(.*\bcurrent\(.*\bvolt\(.*)")
        return None if found is None else rail_watts(found)

    def _ask(self, question: str, form: str) -> str | None:
        """What ``form`` finds in the answer."""
        if self._command is None or question in self._refused:
            return None
        match = re.fullmatch(form, _run([self._command, *question.split()]) or "")
        if match:
            self._answered.add(question)
            return match[1]
        if question not in self._answered:
            self._refused.add(question)
        return None


def rail_watts(readings: str) -> float | None:
    r"""The sum of current times voltage over the rails of ``pmic_read_adc``; None without any.

    A rail is matched by its name: its two readings have different numbers.

    >>> rail_watts(" A_A current(0)=0.5A\n EXT5V_V volt(24)=5.1V\n A_V volt(8)=3.0V")
    1.5
    """
    amperes: dict[str, float] = {}
    volts: dict[str, float] = {}
    for rail, unit, text in _RAIL.findall(readings):
        value = _float(text)
        if value is not None:
            (amperes if unit == "A" else volts)[rail] = value
    rails = amperes.keys() & volts.keys()
    return round(sum(amperes[rail] * volts[rail] for rail in rails), 6) if rails else None


def _float(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _run(command: Iterable[str]) -> str | None:
    """What a program prints; None when it is missing, fails, or takes over a second."""
    try:
        done = subprocess.run(list(command), capture_output=True, timeout=1, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace").strip()
