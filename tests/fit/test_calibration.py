"""Calibrations: made of profiles, kept, and chosen from."""

from __future__ import annotations

import json

import msgspec
import pytest

from edgenet.errors import RecordError, UsageError
from edgenet.fit import calibration, measured
from edgenet.fit.calibration import Seen
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


def test_two_networks_are_too_few():
    with pytest.raises(UsageError, match="profiles of 2 networks do not calibrate pc"):
        calibration.calibrate([seen(POINTS[0]), seen(POINTS[0]), seen(POINTS[1])], "pc")


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


def test_cycles_of_a_real_board_are_time_at_its_clock(tmp_path):
    (tmp_path / "c.json").write_bytes(msgspec.json.encode(counts()))
    (one,) = measured.read(tmp_path / "c.json")
    assert (one.point, one.invoke_ms, one.ram) == (POINTS[0], 100.0, 41664)
    assert one.operators[0] == pytest.approx(0.0005)


def test_instructions_are_no_time(tmp_path):
    (tmp_path / "c.json").write_bytes(msgspec.json.encode(counts(unit="instructions")))
    with pytest.raises(UsageError, match="no time"):
        measured.read(tmp_path / "c.json")
