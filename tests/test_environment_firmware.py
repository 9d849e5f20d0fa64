"""A Raspberry Pi's firmware with known answers put in place of vcgencmd, and with none."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from edgenet.environment import Probe
from edgenet.environment.firmware import Firmware, rail_watts

Vcgencmd = Callable[..., str]

# The form of Raspberry Pi OS's answer on a Pi 5; the rails' numbers differ between A and V.
PMIC = """\
 3V7_WL_SW_A current(0)=0.10000000A
  VDD_CORE_A current(7)=5.00000000A
   0V8_AON_A current(16)=0.01000000A
      HDMI_A current(22)=0.02000000A
 3V7_WL_SW_V volt(8)=3.70000000V
  VDD_CORE_V volt(15)=0.90000000V
   0V8_AON_V volt(19)=0.80000000V
      HDMI_V volt(23)=5.00000000V
     EXT5V_V volt(24)=5.10000000V
      BATT_V volt(25)=0.00000000V
"""
ANSWERS = {
    "get_throttled": "throttled=0x50005",
    "measure_temp": "temp=51.2'C",
    "measure_clock arm": "frequency(0)=1500398464",
    "measure_volts core": "volt=0.8625V",
    "pmic_read_adc": PMIC,
}


@pytest.fixture
def vcgencmd(tmp_path: Path) -> Vcgencmd:
    """A program that answers as the firmware does, and writes down what it was asked."""

    def make(**changes: str) -> str:
        folder = tmp_path / "answers"
        folder.mkdir(exist_ok=True)
        for question, answer in (ANSWERS | changes).items():
            (folder / question).write_text(answer)
        command = tmp_path / "vcgencmd"
        command.write_text(
            f'#!/bin/sh\necho "$*" >> {tmp_path}/asked\n[ -f "{folder}/$*" ] || exit 255\n'
            f'cat "{folder}/$*"\n'
        )
        command.chmod(command.stat().st_mode | stat.S_IXUSR)
        return str(command)

    return make


def asked(folder: Path) -> list[str]:
    return (folder / "asked").read_text().splitlines()


def test_each_answer_comes_with_its_unit(vcgencmd: Vcgencmd) -> None:
    firmware = Firmware(vcgencmd())
    assert firmware.throttle_bits() == 0x50005
    assert firmware.temperature_c() == 51.2
    assert firmware.arm_mhz() == 1500.398
    assert firmware.core_volts() == 0.8625
    assert firmware.watts() == pytest.approx(0.1 * 3.7 + 5 * 0.9 + 0.01 * 0.8 + 0.02 * 5)


@pytest.mark.parametrize(
    "answer",
    [
        *("", "error", "throttled=", "throttled=0xZZ", "temp=N/A", "frequency(0)=", "volt=V"),
        *('error=1 error_msg="Command not registered"', "temp=1.2.3'C", "volt=1.2.3V"),
        *("VCHI initialization failed", "\x00\xff", "A_A current(0)=A\nA_V volt(1)=1.0V"),
    ],
)
def test_a_malformed_answer_is_none(vcgencmd: Vcgencmd, answer: str) -> None:
    firmware = Firmware(vcgencmd(**dict.fromkeys(ANSWERS, answer)))
    assert firmware.throttle_bits() is None
    assert firmware.temperature_c() is None
    assert firmware.arm_mhz() is None
    assert firmware.core_volts() is None
    assert firmware.watts() is None


def test_answers_that_are_no_text_are_none(tmp_path: Path) -> None:
    command = tmp_path / "vcgencmd"
    command.write_text("#!/bin/sh\nprintf '\\377\\376'\n")
    command.chmod(0o755)
    assert Firmware(str(command)).throttle_bits() is None


def test_a_program_that_hangs_is_none(tmp_path: Path) -> None:
    command = tmp_path / "vcgencmd"
    command.write_text("#!/bin/sh\nexec sleep 60\n")
    command.chmod(0o755)
    assert Firmware(str(command)).throttle_bits() is None


@pytest.mark.parametrize("command", [None, "no-such-program-anywhere"])
def test_without_the_program_everything_is_none(command: str | None) -> None:
    firmware = Firmware(command)
    assert (firmware.throttle_bits(), firmware.watts(), firmware.arm_mhz()) == (None, None, None)


def test_a_question_that_was_refused_is_not_asked_again(vcgencmd: Vcgencmd, tmp_path: Path) -> None:
    firmware = Firmware(vcgencmd(pmic_read_adc='error=1 error_msg="Command not registered"'))
    assert [firmware.watts() for _ in range(3)] == [None] * 3
    assert [firmware.temperature_c() for _ in range(2)] == [51.2] * 2
    assert asked(tmp_path) == ["pmic_read_adc", "measure_temp", "measure_temp"]


def test_a_question_that_was_answered_once_is_asked_again(
    vcgencmd: Vcgencmd, tmp_path: Path
) -> None:
    firmware = Firmware(vcgencmd())
    assert firmware.temperature_c() == 51.2
    vcgencmd(measure_temp="garbled")
    assert firmware.temperature_c() is None
    vcgencmd(measure_temp="temp=60.0'C")
    assert firmware.temperature_c() == 60.0


def test_rails_without_a_current_are_left_out() -> None:
    assert rail_watts("EXT5V_V volt(24)=5.1V\nBATT_V volt(25)=3.0V") is None
    assert rail_watts("A_A current(0)=2.0A\nB_V volt(1)=3.0V") is None


def test_a_whole_state_asks_what_files_do_not_tell(vcgencmd: Vcgencmd, tmp_path: Path) -> None:
    probe = Probe(tmp_path / "nothing", vcgencmd=vcgencmd())
    cheap, whole = probe.state(), probe.whole_state()
    assert (cheap.throttle_bits, cheap.temperature_c, cheap.watts) == (0x50005, None, None)
    assert (whole.temperature_c, whole.arm_mhz, whole.core_volts) == (51.2, 1500.398, 0.8625)
    assert whole.watts == 4.978
    assert whole.throttle_bits == 0x50005


def test_a_thermal_zone_comes_before_the_firmware(vcgencmd: Vcgencmd, tmp_path: Path) -> None:
    zone = tmp_path / "sys/class/thermal/thermal_zone0"
    zone.mkdir(parents=True)
    (zone / "temp").write_text("62250\n")
    assert Probe(tmp_path, vcgencmd=vcgencmd()).whole_state().temperature_c == 62.25
