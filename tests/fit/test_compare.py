"""Profiles become samples, and predictions stand beside what was measured."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from edgenet import target
from edgenet.cli.main import main
from edgenet.environment import Probe
from edgenet.errors import RecordError
from edgenet.fit import calibration, compare, device, generated, latency, measured, origin
from edgenet.fit.footprint import file_bytes
from edgenet.fit.point import Point
from edgenet.profile import record
from edgenet.profile.record import Measurement, Memory, Operator, Profile, Run, Settings
from edgenet.profile.statistics import summarize
from edgenet.report import fit_calibration

POINTS = [Point("mobilenet_v1", alpha, 96, 10) for alpha in (0.25, 0.5, 0.75, 1.0)]
MANY = [*POINTS[:3], Point("mobilenet_v1", 0.25, 128, 10), Point("mobilenet_v1", 0.5, 160, 10)]


def profile(point: Point, *, ms: float | None = None, **changes: object) -> Profile:
    took = point.cost().multiply_adds * 1e-7 if ms is None else ms
    samples = {
        "preprocess": (1.0,),
        "invoke": (took,),
        "postprocess": (0.1,),
        "total": (took + 1.1,),
    }
    ram = Memory(10_000_000, 11_000_000, 10_000_000 + 2 * file_bytes(point))
    found = Measurement("litert", "LiteRT 2", 1, 1, 1, None, samples, (0.0,), ram)
    shapes = ["x".join(map(str, one.output)) for one in latency.operators(point.cost())]
    operators = tuple(
        Operator(index, "kind", f"CONV_2D {shape}", took / len(shapes), 1 / len(shapes))
        for index, shape in enumerate(shapes)
    )
    run = Run(
        variant="int8.tflite", threads=2, model_bytes=file_bytes(point), measured=found,
        stats={stage: summarize(times) for stage, times in samples.items()},
        states=(), throttled=None, operators=operators,
    )  # fmt: skip
    words = {
        "kind": "profile", "schema": 1, "edgenet": "0", "bundle": point.name, "target": "pc",
        "bundle_sha256": "", "arch": point.arch, "alpha": point.alpha, "height": point.side,
        "width": point.side, "measured_at": "", "command": "", "settings": Settings(),
        "machine": Probe().machine(), "runs": (run,), "unmeasured": (), "classes": point.classes,
    }  # fmt: skip
    return Profile(**(words | changes))


def saved(folder: Path, found: Profile) -> str:
    path = folder / f"{found.bundle}-{found.runs[0].stats['invoke'].p50_ms:g}.json"
    path.write_bytes(record.encode(found))
    return str(path)


def test_each_run_of_a_profile_is_a_sample():
    (one,) = measured.of_profile(profile(POINTS[0]), "p.json")
    assert (one.point, one.variant, one.threads) == (POINTS[0], "int8.tflite", 2)
    assert one.invoke_ms == pytest.approx(POINTS[0].cost().multiply_adds * 1e-7, abs=1e-6)
    assert one.ram == one.file * 2
    assert sum(one.operators) == pytest.approx(one.invoke_ms, abs=1e-5)


def test_operators_that_are_not_the_layers_are_left_out():
    found = profile(POINTS[0])
    fewer = msgspec.structs.replace(found.runs[0], operators=found.runs[0].operators[1:])
    (one,) = measured.of_profile(msgspec.structs.replace(found, runs=(fewer,)), "p.json")
    assert one.operators == ()


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"arch": "foreign"}, "did not make"), ({"classes": 0}, "profile the bundle again")],
)
def test_a_profile_that_does_not_tell_its_network_is_refused(changes, said):
    with pytest.raises(RecordError, match=said):
        measured.of_profile(profile(POINTS[0], **changes), "p.json")


def test_profiles_calibrate_and_are_compared(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    words = ["fit", "--target", "pc"]
    for point in MANY:
        words += ["--calibrate", saved(tmp_path, profile(point))]
    made = CliRunner().invoke(main, words)
    assert made.exit_code == 0, made.output
    assert (tmp_path / "config" / "edgenet" / "calibration" / "pc.json").is_file()
    other = saved(tmp_path, profile(POINTS[3], ms=POINTS[3].cost().multiply_adds * 2e-7))
    again = saved(tmp_path, profile(POINTS[0]))
    words = ["fit", "--target", "pc", "--compare", other, "--compare", again]
    shown = CliRunner().invoke(main, words)
    assert shown.exit_code == 0, shown.output
    first, second = shown.stdout.splitlines()[1:3]
    assert "(exact)" in first  # the model's file is what was predicted
    assert "calibrated with it" in second
    assert f"Predicted from what was measured on {origin.described(Probe().machine())}." in (
        shown.stdout
    )
    rows = msgspec.json.decode(CliRunner().invoke(main, [*words, "--json"]).stdout)
    predicted, took = rows[0]["latency"]["predicted"], rows[0]["latency"]["measured"]
    assert predicted == pytest.approx(took / 2, rel=0.2)


def fit(*words: str) -> Result:
    return CliRunner().invoke(main, ["fit", *words])


def test_profiles_of_this_machine_do_not_calibrate_a_pi(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    other = msgspec.structs.replace(Probe().machine(), cpu="Intel Xeon", architecture="x86_64")
    files = [saved(tmp_path, profile(point, machine=other)) for point in MANY]
    for option in ("--calibrate", "--compare"):
        words = [word for file in files for word in (option, file)]
        result = fit("--target", "rpi", "--board", "pi4", *words)
        assert result.exit_code == 2
        assert "Intel Xeon, x86_64, not on pi4 (Raspberry Pi 4 Model B, cortex-a72)" in (
            result.stderr
        )
    assert not (tmp_path / "config").exists()


def test_another_boards_calibration_is_refused(tmp_path):
    seen = [one for point in MANY for one in measured.of_profile(profile(point), "p.json")]
    calibration.save(calibration.calibrate(seen, "pi5"), tmp_path / "x.json")
    words = ("--target", "rpi", "--board", "pi4", "--calibration", str(tmp_path / "x.json"))
    result = fit(*words, "--arch", "v1")
    assert result.exit_code == 2
    assert "is the calibration of pi5, not of pi4" in result.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--calibrate", "x", "--html", "f.html"), "--html does nothing beside --calibrate"),
        (("--calibrate", "x", "--json"), "--json does nothing beside --calibrate"),
        (("--calibrate", "x", "--max-latency", "5ms"), "--max-latency does nothing"),
        (("--calibrate", "x", "--compare", "x"), "--compare does nothing beside --calibrate"),
        (("--compare", "x", "--html", "f.html"), "--html does nothing beside --compare"),
        (("--compare", "x", "--arch", "v1"), "--arch does nothing beside --compare"),
        (("--clock", "16MHz"), "give them with --calibrate or --compare"),
    ],
)
def test_what_would_be_ignored_is_refused(words, said):
    result = fit("--target", "pc", *words)
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_computers_time_has_no_clock(tmp_path):
    file = saved(tmp_path, profile(POINTS[0]))
    result = fit("--target", "pc", "--compare", file, "--clock", "16MHz")
    assert result.exit_code == 2
    assert "--clock makes time of cycles, which microcontrollers count" in result.stderr


def test_kernels_are_linked_once_for_all_that_is_compared(monkeypatch):
    pytest.importorskip("flatbuffers")
    made = []

    class Counted(generated.Generator):
        def __init__(self, board):
            made.append(board.name)
            super().__init__(board)
            self.links = False

    monkeypatch.setattr(compare, "Generator", Counted)
    seen = [one for point in POINTS[:2] for one in measured.of_profile(profile(point), "p.json")]
    small = [
        msgspec.structs.replace(one, point=Point("mobilenet_v1", 0.25, side, 2))
        for one, side in zip(seen, (32, 48), strict=True)
    ]
    rows = compare.compare(device.choose(target.load("mcu"), "nano33ble"), None, small)
    assert made == ["nano33ble"]
    said = fit_calibration.compared(rows, None, generated=True)
    assert "RAM is predicted without --sram-budget" in said
    assert "the board was never calibrated" in said
