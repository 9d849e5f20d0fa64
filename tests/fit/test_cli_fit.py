"""``edgenet fit`` and ``edgenet train --like``: words, exit codes, files."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from edgenet import edgetpu, tflite
from edgenet.cli.main import main
from edgenet.codegen import untrained
from edgenet.errors import RecordError, UsageError
from edgenet.fit import calibration, record
from edgenet.fit.calibration import Seen
from edgenet.fit.point import grid

SOME = ("--arch", "v1", "--alpha", "0.25,0.5", "--imgsz", "32,48", "--classes", "10")


@pytest.fixture(autouse=True)
def _own_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def fit(*words: str) -> Result:
    return CliRunner().invoke(main, ["fit", *words])


def calibrated(path: Path) -> None:
    points = grid(["v1"], [0.25, 0.5, 1.0], [96, 160], 10)
    seen = [
        Seen(
            point, "int8.tflite", 1, 1e-7 * point.cost().multiply_adds, (), 10**7, "pc", "LiteRT 2"
        )
        for point in points
    ]
    calibration.save(calibration.calibrate(seen, "pc"), path)


def test_the_table_says_what_fits_and_what_to_train():
    result = fit("--target", "pc", "--arch", "v1", "--classes", "10", "--max-flash", "1M")
    assert result.exit_code == 0, result.output
    assert "10 of 20 networks fit; at most flash 1,048,576 bytes" in result.stdout
    assert "edgenet train --like mobilenet_v1_0.5_224" in result.stdout
    assert "published of float models on ImageNet" in result.stdout
    assert "not published" in result.stdout  # of 96 pixels


def test_json_is_what_train_takes(tmp_path):
    result = fit("--target", "pc", "--arch", "v2", "--max-flash", "2M", "--json")
    assert result.exit_code == 0
    file = tmp_path / "fit.json"
    file.write_text(result.stdout)
    found = record.read(file)
    assert record.like(str(file)) == record.like(found.recommended)
    assert found.row(found.recommended).fits
    assert found.command == "edgenet fit --target pc --arch v2 --max-flash 2M --json"


def test_nothing_fits_and_the_nearest_is_named():
    result = fit("--target", "pc", *SOME, "--max-flash", "100K")
    assert result.exit_code == 3
    assert "nothing fits; the nearest is mobilenet_v1_0.25_32 with" in result.stderr
    assert "of 102,400 bytes of flash, " in result.stderr
    assert "% too much" in result.stderr
    # once, and no table without rows
    assert "nothing fits" not in result.stdout
    assert "multiply-adds" not in result.stdout


@pytest.mark.parametrize("option", [("--max-latency", "5ms"), ("--max-ram", "9M")])
def test_limits_that_need_a_calibration_are_refused_with_its_command(option):
    result = fit("--target", "rpi", "--board", "pi4", *option)
    assert result.exit_code == 2
    assert "pi4 was never calibrated" in result.stderr
    assert "edgenet fit --target rpi --board pi4 --calibrate" in result.stderr


def test_a_calibrated_board_has_latency_and_a_front_by_it(tmp_path):
    calibrated(tmp_path / "pc.json")
    page = tmp_path / "fit.html"
    result = fit(
        "--target", "pc", "--arch", "v1", "--classes", "10", "--max-latency", "10ms",
        "--calibration", str(tmp_path / "pc.json"), "--html", str(page), "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["cost"] == "latency_ms"
    for row in found["rows"]:
        assert row["latency_ms"] == pytest.approx(1e-7 * row["macs"], rel=0.1)
        assert ("latency" in row["over"]) == (row["latency_ms"] > 10)
    text = page.read_text()
    assert "<svg" in text
    assert "http" not in text.replace("https://", "").partition("<body>")[2]


def test_without_a_time_a_network_does_not_fit_a_limit_of_time(tmp_path):
    calibrated(tmp_path / "pc.json")
    words = ("--target", "pc", "--arch", "v1,v2", "--calibration", str(tmp_path / "pc.json"))
    result = fit(*words, "--max-latency", "10ms")
    assert result.exit_code == 0, result.output
    assert "Latency not known: mobilenet_v2 (no profile" in result.stdout
    assert "calibrate with profiles of them, too" in result.stdout
    assert "Not on this device" not in result.stdout
    assert "mobilenet_v2_" not in result.stdout
    everything = fit(*words, "--max-latency", "10ms", "--all").stdout
    assert "latency not known" in everything
    alone = fit(*words[:2], "--arch", "v2", *words[4:], "--max-latency", "10ms")
    assert alone.exit_code == 3
    assert "the latency of what may fit is not known" in alone.stderr
    free = fit(*words).stdout
    assert "The front is by multiply-adds, since the latency of mobilenet_v2 is not known" in free


def test_profiles_calibrate_a_board_for_good(tmp_path):
    place = tmp_path / "config" / "edgenet" / "calibration" / "pc.json"
    calibrated(place)
    result = fit("--target", "pc", *SOME)
    assert (
        "Latency: int8.tflite with 1 thread on LiteRT 2, from 6 networks measured on pc; each"
        in (result.stdout)
    )


def test_the_projects_own_table_is_named_as_such():
    result = fit("--target", "pc", "--accuracy", "measured", "--classes", "10")
    assert result.exit_code == 0, result.output
    assert "edgenet's own measured table, on imagenette128 (docs/results.md)" in result.stdout
    assert "edgenet train --like mobilenet_v" in result.stdout
    assert "published" not in result.stdout


@pytest.mark.slow
@pytest.mark.qemu
@pytest.mark.tool("arm-none-eabi-gcc")
def test_instructions_are_counted_of_what_fits_and_are_the_fronts_cost():
    words = ("--target", "mcu", "--board", "nano33ble", "--arch", "v1", "--alpha", "0.25,1.0")
    result = fit(*words, "--imgsz", "32,48", "--max-flash", "700K", "--instructions", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    counted = {row["name"]: row["instructions"] for row in found["rows"]}
    fitting = {row["name"] for row in found["rows"] if not row["over"]}
    assert fitting == {"mobilenet_v1_0.25_32", "mobilenet_v1_0.25_48"}
    assert {name for name, count in counted.items() if count is not None} == fitting
    assert found["cost"] == "instructions"
    small, large = (counted[f"mobilenet_v1_0.25_{side}"] for side in (32, 48))
    assert 1.5 < large / small < 2.5
    again = fit(*words, "--imgsz", "32", "--max-flash", "700K", "--instructions")
    assert f"{small:,}" in again.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--target", "pc", "--accuracy", "measured", "--arch", "v2", "--imgsz", "96"], "none of"),
        (["--target", "mcu"], "choose one with --board (esp32s3, nano33ble, nrf52840, nrf5340, p"),
        (["--target", "pc", "--max-ram", ""], "'' is not a size"),
        (["--target", "pc", "--max-flash", ""], "'' is not a size"),
        (["--target", "pc", "--max-latency", ""], "'' is not a time"),
        (["--target", "pc", "--arch", ""], "empty name"),
        (["--target", "pc", "--arch", "v1,"], "empty name"),
        (
            ["--target", "mcu", "--board", "nano33ble", "--max-flash", "64M"],
            "nano33ble has 1,048,576 bytes of flash, not 67,108,864; give less with --max-flash",
        ),
        (
            ["--target", "mcu", "--board", "nano33ble", "--max-ram", "1M"],
            "nano33ble has 262,144 bytes of RAM, not 1,048,576; give less with --max-ram",
        ),
        (["--target", "mcu", "--board", "host"], "choose a microcontroller"),
        (["--target", "mcu", "--board", "pi4"], "no board of mcu 'pi4'"),
        (["--target", "rpi", "--board", "pi44"], "did you mean 'pi4'?"),
        (["--target", "pc", "--max-flash", "512"], "512K (512 x 1024)"),
        (["--target", "pc", "--max-latency", "50ms"], "never calibrated"),
        (["--target", "pc", "--instructions"], "drop --instructions"),
        (["--target", "pc", "--arch", "v7"], "no architecture 'v7'"),
        (["--target", "pc", "--alpha", "0"], "alpha is 0.0"),
        (["--target", "rpi", "--calibrate", "x.json"], "--board"),
        (["--target", "pc", "--num-threads", "2"], "never calibrated"),
    ],
)
def test_bad_words_are_refused_in_a_sentence(words, said):
    result = fit(*words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_a_microcontroller_has_limits_of_its_own(tmp_path):
    pytest.importorskip("flatbuffers")
    own = tmp_path / "own.toml"
    own.write_text(
        'name = "own"\ntitle = "Mine"\ncore = "xtensa-lx6"\nflash_bytes = 400000\n'
        'ram_bytes = 20000\n[source]\nflash_bytes = "https://example.org"\n'
        'ram_bytes = "https://example.org"\n'
    )
    result = fit("--target", "mcu", "--board", str(own), *SOME, "--arch", "v1,v3", "--all")
    assert result.exit_code == 0, result.output
    assert "flash 400,000 bytes of own, RAM 20,000 bytes of own" in result.stdout
    assert "code of this core is not known, flash must hold the weights; 1,024" in result.stdout
    assert (
        "Not on this device: mobilenet_v3_small, mobilenet_v3_large (the generated C has no"
        " HARD_SWISH; the minimalistic ones have none)." in result.stdout
    )
    again = fit("--target", "mcu", "--board", str(own), *SOME, "--arch", "v1,v3", "--all")
    assert again.stdout == result.stdout


def test_every_limit_that_breaks_is_named_with_what_it_was_compared_with():
    pytest.importorskip("flatbuffers")
    words = ("--arch", "v1", "--alpha", "1.0", "--classes", "10")
    block = fit("--target", "mcu", "--board", "stm32h747", *words, "--imgsz", "224")
    assert block.exit_code == 3
    assert "RAM in one piece 524,288 bytes of stm32h747" in block.stdout
    assert "846,592 of 524,288 bytes of RAM in one piece, 61% too much" in block.stderr
    unknown = ("--board", "esp32s3", *words, "--imgsz", "96", "--max-flash", "1M")
    weights = fit("--target", "mcu", *unknown)
    assert weights.exit_code == 3
    assert "at least 3,304,900 of 1,048,576 bytes of flash, 215% too much" in weights.stderr


def test_only_what_runs_whole_on_the_edge_tpu_fits_it():
    pytest.importorskip("flatbuffers")
    words = ("--target", "coral", "--alpha", "1.0", "--imgsz", "96,224")
    result = fit(*words, "--json")
    assert result.exit_code == 0, result.output
    found = msgspec.json.decode(result.stdout, type=record.Fit)
    best = found.row(found.recommended)
    assert best.name == "mobilenet_v3_large_minimalistic_1.0_224"
    for row in found.rows:
        layers = [one.layer for one in row.point.cost().layers]
        model = untrained.model(layers, row.point.side, row.point.side)
        verdict = edgetpu.check(tflite.read(model, row.name))
        assert row.fits == verdict.whole
        if row.fits:
            assert row.parameters == verdict.memory.parameters == row.point.cost().int8_bytes
    shown = fit(*words).stdout
    assert (
        "Not on this device: mobilenet_v3_small, mobilenet_v3_large (the Edge TPU has no operator"
        " HARD_SWISH; use a network with ReLU6" in shown
    )
    assert "the Edge TPU keeps 6,291,456 to 8,388,608 bytes" in shown
    assert f"{best.parameters:,}" in shown


def test_what_the_front_leaves_out_is_counted():
    result = fit("--target", "pc", "--arch", "v1", "--classes", "10", "--max-flash", "1M")
    assert "2 that fit have no known accuracy, so the front leaves them out." in result.stdout
    assert "RAM and latency are not known: pc was never calibrated." in result.stdout
    named = fit("--target", "rpi", "--board", "pi4", "--arch", "v1")
    assert "RAM and latency are not known: pi4 was never calibrated." in named.stdout


def test_the_names_of_the_datas_classes_are_in_the_file():
    words = ("--target", "pc", "--arch", "v1", "--alpha", "0.25", "--imgsz", "32")
    with_names = json.loads(fit(*words, "--data", "digits", "--json").stdout)["rows"][0]["flash"]
    without = json.loads(fit(*words, "--classes", "10", "--json").stdout)["rows"][0]["flash"]
    assert with_names == without + len("0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n")
    assert "without the names of its classes" in fit(*words, "--classes", "10").stdout


def test_a_name_or_a_record_says_which_network_to_train(tmp_path):
    assert record.like("mobilenet_v2_0.35_96") == ("mobilenet_v2", 0.35, 96)
    with pytest.raises(UsageError, match="names no alpha"):
        record.like("mobilenet_v2")
    with pytest.raises(UsageError, match="nothing at"):
        record.like("absent.json")
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(RecordError, match="edgenet fit --json"):
        record.like(str(tmp_path / "x.json"))


def test_a_record_of_nothing_that_fits_cannot_be_trained(tmp_path):
    result = fit("--target", "pc", *SOME, "--max-flash", "100K", "--json")
    (tmp_path / "none.json").write_text(result.stdout)
    with pytest.raises(RecordError, match="nothing fits"):
        record.like(str(tmp_path / "none.json"))


@pytest.mark.parametrize(
    "option", [("--arch", "mobilenet_v1"), ("--alpha", "1"), ("--imgsz", "96")]
)
def test_like_and_what_it_says_exclude_each_other(option, tmp_path):
    words = ["train", "--data", "digits", "--like", "mobilenet_v1_0.25_32", *option]
    result = CliRunner().invoke(main, [*words, "-o", str(tmp_path / "run")])
    assert result.exit_code == 2
    assert f"drop {option[0]}, or drop --like" in result.stderr
