"""Calibrations: made of profiles, kept, and chosen from."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from edgenet import target
from edgenet.environment import Probe
from edgenet.errors import RecordError, UsageError
from edgenet.fit import calibration, device, measured, origin
from edgenet.fit.calibration import Seen
from edgenet.fit.device import Device
from edgenet.fit.footprint import activations, file_bytes
from edgenet.fit.point import Point, grid
from edgenet.mcu.counting import Counts, LayerCount

POINTS = grid(["v1"], [0.25, 0.5, 1.0], [96, 160], 10)


def seen(point: Point, *, threads: int = 1, host: str = "pc", variant: str = "int8.tflite") -> Seen:
    macs = point.cost().multiply_adds
    ram = round(5e6 + 1.1 * file_bytes(point) + 2 * activations(point))
    return Seen(point, variant, threads, 1e-7 * macs / threads + 0.2, (), ram, host, "LiteRT 2")


def test_each_variant_and_number_of_threads_has_rates_of_its_own():
    many = [seen(point, threads=n) for point in POINTS for n in (1, 2)]
    made = calibration.calibrate([*many, seen(POINTS[0], variant="fp32.tflite")], "pc")
    assert {(one.variant, one.threads) for one in made.rates} == {
        ("int8.tflite", 1),
        ("int8.tflite", 2),
    }
    assert made.choose(["int8.tflite"], None).threads == 2
    assert made.choose(["fp32.tflite", "int8.tflite"], 1).threads == 1
    with pytest.raises(UsageError, match=r"int8\.tflite with 1, int8\.tflite with 2 threads"):
        made.choose(["int8.tflite"], 4)


def test_what_was_put_in_comes_out_for_networks_that_were_not_measured():
    made = calibration.calibrate([seen(point) for point in POINTS[:5]], "pc")
    (rates,) = made.rates
    left = seen(POINTS[5])
    assert rates.latency.of(POINTS[5].cost()) == pytest.approx(left.invoke_ms, rel=0.1)
    assert rates.memory.of(POINTS[5]) == pytest.approx(left.ram, rel=0.02)
    assert rates.largest_error < 0.6


def test_four_networks_are_too_few():
    with pytest.raises(UsageError, match="profiles of 4 networks do not calibrate pc"):
        calibration.calibrate([seen(POINTS[0]), *map(seen, POINTS[:4])], "pc")


@pytest.mark.parametrize(
    ("alphas", "sides"), [([0.5], [96, 128, 160, 192, 224]), ([0.25, 0.5, 0.75, 1.0, 1.25], [96])]
)
def test_one_alpha_or_one_resolution_does_not_tell_the_others(alphas, sides):
    with pytest.raises(UsageError, match="of two alphas and two resolutions"):
        calibration.calibrate(map(seen, grid(["v1"], alphas, sides, 10)), "pc")


def test_the_fewest_networks_there_may_be_tell_their_error():
    (rates,) = calibration.calibrate(map(seen, POINTS[:5]), "pc").rates
    for point in grid(["v1"], [], [], 10):
        error = rates.latency.of(point.cost()) / seen(point).invoke_ms - 1
        assert abs(error) <= rates.largest_error


def test_profiles_of_two_machines_are_refused():
    with pytest.raises(UsageError, match="2 machines"):
        calibration.calibrate([seen(POINTS[0]), seen(POINTS[1], host="pi")], "pc")


def test_several_measurements_of_a_network_count_as_their_median():
    disturbed = msgspec.structs.replace(seen(POINTS[0]), invoke_ms=99.0)
    many = [seen(POINTS[0]), disturbed, *map(seen, POINTS)]
    (rates,) = calibration.calibrate(many, "pc").rates
    assert rates.networks[POINTS[0].name] == seen(POINTS[0]).invoke_ms


def test_a_calibration_is_written_and_read(tmp_path):
    made = calibration.calibrate(map(seen, POINTS), "pc")
    calibration.save(made, tmp_path / "deep" / "pc.json")
    assert calibration.read(tmp_path / "deep" / "pc.json") == made


@pytest.mark.parametrize("text", ["", "{}", '{"kind": "profile"}'])
def test_another_file_is_no_calibration(text, tmp_path):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(RecordError, match="edgenet fit --calibrate"):
        calibration.read(tmp_path / "x.json")


def test_a_newer_calibration_is_refused(tmp_path):
    calibration.save(calibration.calibrate(map(seen, POINTS), "pc"), tmp_path / "x.json")
    content = json.loads((tmp_path / "x.json").read_text()) | {"schema": 9}
    (tmp_path / "x.json").write_text(json.dumps(content))
    with pytest.raises(RecordError, match="schema 9"):
        calibration.read(tmp_path / "x.json")


def counts(**changes: object) -> Counts:
    layers = len(POINTS[0].cost().layers)
    found = {
        "bundle": POINTS[0].name, "bundle_sha256": "", "board": "stm32f746", "core": "cortex-m7",
        "clock_hz": 200_000_000, "unit": "cycles", "counter": "dwt", "machine": "port",
        "total": 20_000_000, "layers": tuple(LayerCount("l", "k", 1, 100) for _ in range(layers)),
        "functions": {}, "macs": 1, "flash": None, "ram": 41664, "stack": None, "tools": {},
        "classes": 10,
    }  # fmt: skip
    return Counts(**(found | changes))


def board(name: str = "stm32f746") -> Device:
    return device.choose(target.load("mcu"), name)


def written(folder: Path, **changes: object) -> Path:
    (folder / "c.json").write_bytes(msgspec.json.encode(counts(**changes)))
    return folder / "c.json"


def test_cycles_of_a_real_board_are_time_at_the_clock_that_is_named(tmp_path):
    (one,) = measured.read(written(tmp_path), board())
    assert (one.point, one.invoke_ms, one.ram) == (POINTS[0], 100.0, 41664)
    assert one.operators[0] == pytest.approx(0.0005)
    assert one.host == "stm32f746 at 200 MHz, the highest of its core"
    (one,) = measured.read(written(tmp_path), board(), 16_000_000)
    assert one.invoke_ms == 1250.0
    assert one.host == "stm32f746 at 16 MHz"


def test_a_clock_above_the_boards_is_refused(tmp_path):
    with pytest.raises(UsageError, match="216 MHz at the most, not at 400 MHz"):
        measured.read(written(tmp_path), board(), 400_000_000)


def test_cycles_at_a_clock_that_nobody_knows_are_no_time(tmp_path):
    with pytest.raises(UsageError, match="give it with --clock"):
        measured.read(written(tmp_path, clock_hz=None), board())


def test_instructions_are_no_time(tmp_path):
    with pytest.raises(UsageError, match="no time"):
        measured.read(written(tmp_path, unit="instructions"), board())


def test_cycles_of_another_board_are_refused(tmp_path):
    with pytest.raises(UsageError, match="measured on stm32f746, not on nano33ble"):
        measured.read(written(tmp_path), board("nano33ble"))
    with pytest.raises(UsageError, match="measured on stm32f746, not on pc"):
        measured.read(written(tmp_path), device.choose(target.load("pc"), None))


@pytest.mark.parametrize(
    ("name", "machine", "cpu", "architecture", "fine"),
    [
        ("pi4", "Raspberry Pi 4 Model B Rev 1.4", "4x Cortex-A72", "aarch64", True),
        ("pi4", None, "4x Cortex-A72", "aarch64", True),
        ("pi4", "Raspberry Pi 5 Model B Rev 1.0", "4x Cortex-A76", "aarch64", False),
        ("pi4", "ProLiant", "Intel Xeon", "x86_64", False),
        ("pi3bplus", "Raspberry Pi 3 Model B Plus Rev 1.3", "4x Cortex-A53", "aarch64", True),
        ("pi3bplus", "Raspberry Pi Zero 2 W Rev 1.0", "4x Cortex-A53", "aarch64", False),
        ("pi5", "Raspberry Pi 5 Model B Rev 1.0", "4x Cortex-A76", "aarch64", True),
        ("pi5", "Raspberry Pi 5 Model B Rev 1.0", "4x Arm part 0xfff", "aarch64", True),
        (None, "ProLiant", "Intel Xeon", "x86_64", True),
    ],
)
def test_a_profile_is_of_the_board_it_is_given_for(name, machine, cpu, architecture, fine):
    found = msgspec.structs.replace(
        Probe().machine(), board=machine, cpu=cpu, architecture=architecture
    )
    pi = device.choose(target.load("rpi"), name)
    if fine:
        origin.check_machine(found, pi, "p.json")
    else:
        with pytest.raises(UsageError, match=f"^p.json was measured on .*{cpu}.*, not on {name} "):
            origin.check_machine(found, pi, "p.json")


def test_an_edge_tpu_hangs_on_any_computer():
    usb = device.choose(target.load("coral"), "coral_usb")
    origin.check_machine(Probe().machine(), usb, "p.json")


def test_an_engines_profile_says_nothing_of_generated_code():
    with pytest.raises(UsageError, match="nano33ble runs generated C; profile it with --port"):
        origin.check_machine(Probe().machine(), board("nano33ble"), "p.json")
