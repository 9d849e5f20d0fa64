from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edgenet.cli.main import main
from edgenet.profile.record import Unmeasured, decode, encode

from .conftest import TINY, MakeProfile, MakeRun

QUICK = ("--num-runs", "3", "--warmup-runs", "1", "--min-secs", "0", "--num-threads", "1")


def profile(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["profile", *map(str, arguments)])


def test_a_bundle_is_measured_and_reported_in_every_form(tmp_path: Path) -> None:
    page, table = tmp_path / "report.html", tmp_path / "stats.csv"
    done = profile(
        *(TINY, *QUICK, "--variant", "int8.tflite", "--html", page, "--csv", table, "--json")
    )
    assert done.exit_code == 0, done.output
    found = decode(done.stdout.encode())
    assert [(run.variant, run.threads) for run in found.runs] == [("int8.tflite", 1)]
    assert len(found.runs[0].measured.samples["invoke"]) == 3
    assert (found.settings.frame_width, found.settings.frame_height) == (640, 480)
    assert done.stdout.startswith('{\n  "kind": "profile",\n')
    assert found.command == (
        "edgenet profile BUNDLE --num-runs 3 --warmup-runs 1 --min-secs 0 --num-threads 1 "
        "--variant int8.tflite --html HTML --csv CSV --json"
    )
    assert "measuring int8.tflite, 1 thread" in done.stderr
    assert f"wrote {page}" in done.stderr
    assert page.read_text().startswith("<!doctype html>")
    assert table.read_text().count("\n") == 5


def test_every_variant_and_thread_count_is_measured_by_default() -> None:
    done = profile(TINY, *QUICK[:-1], "1,2", "--json")
    runs = json.loads(done.stdout)["runs"]
    variants = ["fp32.tflite", "int8.tflite", "fp32.onnx", "int8.onnx"]
    assert [(run["variant"], run["threads"]) for run in runs] == [
        (variant, threads) for variant in variants for threads in (1, 2)
    ]


def test_all_threads_are_every_count_up_to_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgenet.environment.probe.usable_cores", lambda: 3)
    options = (*QUICK[:-1], "all", "--variant", "fp32.tflite", "--json")
    runs = json.loads(profile(TINY, *options).stdout)["runs"]
    assert [run["threads"] for run in runs] == [1, 2, 3]


def test_a_sustained_run_follows_the_others() -> None:
    done = profile(TINY, *QUICK, "--variant", "int8.tflite", "--sustained", "1")
    assert done.exit_code == 0, done.output
    assert "sustained: int8.tflite, 1 thread, 1 s" in done.stdout
    assert "repeating int8.tflite, 1 thread, seconds" in done.stderr


def test_a_record_is_reported_again(
    tmp_path: Path, make_profile: MakeProfile, make_run: MakeRun
) -> None:
    file = tmp_path / "pi.json"
    file.write_bytes(encode(make_profile(make_run())))
    done = profile(file, "--html", tmp_path / "pi.html")
    assert done.exit_code == 0
    assert "Raspberry Pi 5 Model B" in done.stdout
    assert "Raspberry Pi 5 Model B" in (tmp_path / "pi.html").read_text()
    assert profile(file, "--json").stdout_bytes == file.read_bytes()


def test_an_option_of_measuring_does_not_go_with_a_record(
    tmp_path: Path, make_profile: MakeProfile
) -> None:
    file = tmp_path / "pi.json"
    file.write_bytes(encode(make_profile()))
    for option in (("--num-runs", "9"), ("--sustained", "9"), ("--stop-service",), ("--offline",)):
        done = profile(file, *option)
        assert done.exit_code == 2
        assert f"is a record, which is only reported; drop {option[0]}" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--variant", "int8.tflit"], "no variant 'int8.tflit'; did you mean 'int8.tflite'?"),
        (["--num-threads", "0"], "'0': each must be from 1 to 9999"),
        (["--num-threads", "1,,2"], "'1,,2' is no list of whole numbers separated by commas"),
        (["--frame-size", "640"], "'640' is not a size in pixels; write columns and rows"),
        (["--num-runs", "0"], "0 is not in the range x>=1"),
        (["--min-secs", "5", "--max-secs", "2"], "--max-secs is 2, below --min-secs 5"),
        (["--num-threads", "alle"], "'alle' is no list of whole numbers"),
        (["--sustained", "0"], "0.0 is not in the range x>=1"),
        (["--offline"], "--offline is for other machines; name one with --host, or drop it"),
        (["--host", "pi@a", "--host", "pi@a"], "--host pi@a is given twice; once is enough"),
        (["--host", "a b"], "'a b' is no address for ssh"),
        (["--host", "pi@a", "--variant", "int8.tflit"], "no variant 'int8.tflit'"),
        (["--num-run", "5"], "No such option"),
    ],
)
def test_a_value_that_is_not_allowed_ends_with_2(arguments: list[str], words: str) -> None:
    done = profile(TINY, *arguments)
    assert done.exit_code == 2
    assert words in done.stderr


def test_a_folder_that_is_not_there_is_told_before_measuring(tmp_path: Path) -> None:
    done = profile(TINY, "--html", tmp_path / "none" / "report.html")
    assert done.exit_code == 2
    assert f"there is no folder {tmp_path / 'none'}; make it first" in done.stderr
    assert "measuring" not in done.stderr


def test_what_is_no_bundle_is_refused(tmp_path: Path) -> None:
    assert "nothing at" in profile(tmp_path / "none").stderr
    (tmp_path / "notes.json").write_text("{}")
    done = profile(tmp_path / "notes.json")
    assert done.exit_code == 1
    assert "is not a profile of edgenet" in done.stderr


@pytest.mark.parametrize(
    ("missing", "measured", "code"),
    [(True, True, 0), (True, False, 1), (False, True, 1)],
    ids=["an engine is missing", "nothing was measured", "a run broke"],
)
def test_the_exit_code_tells_a_failure_from_a_missing_engine(
    tmp_path: Path, make_profile: MakeProfile, make_run: MakeRun, *, missing: bool,
    measured: bool, code: int,
) -> None:  # fmt: skip
    runs = [make_run()] if measured else []
    found = make_profile(*runs, unmeasured=[Unmeasured("int8.onnx", 1, "the reason", missing)])
    file = tmp_path / "p.json"
    file.write_bytes(encode(found))
    done = profile(file)
    assert done.exit_code == code
    assert "note: int8.onnx, 1 thread was not measured: the reason" in done.stdout
    assert ("runs were not measured; int8.onnx: the reason" in done.stderr) is (code == 1)
