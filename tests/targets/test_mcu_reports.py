"""What was counted on a board, as JSON, text, CSV and a page."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgenet.cli.main import main
from edgenet.mcu import counting
from edgenet.mcu.counting import Counts, LayerCount

TIME = re.compile(r"\b(ms|milliseconds?|seconds?|fps)\b")
COUNTS = Counts(
    bundle="a <b>",
    bundle_sha256="5a" * 32,
    board="stm32f746",
    core="cortex-m7",
    clock_hz=216_000_000,
    unit="instructions",
    counter="plugin",
    machine="mps2-an500",
    total=1000,
    layers=(
        LayerCount("CONV_2D 0", "en_conv_s8", 300, 700),
        LayerCount("MEAN 1", "en_mean", 0, 300),
    ),
    functions={"net_en_dot_quad_s8": 600, "rest": 400},
    macs=300,
    flash=4096,
    ram=2048,
    stack=300,
    tools={"arm-none-eabi-gcc": "gcc 12", "qemu-system-arm": "QEMU 7"},
)


@pytest.fixture
def record(tmp_path) -> Path:
    path = tmp_path / "counts.json"
    path.write_bytes(counting.encode(COUNTS))
    return path


def profile(*arguments: object):
    return CliRunner().invoke(main, ["profile", *map(str, arguments)])


def test_a_saved_record_is_reported_again(record):
    assert counting.read(record) == COUNTS
    assert json.loads(profile(record, "--json").stdout) == json.loads(record.read_bytes())
    assert "1,000 instructions an inference" in profile(record).stdout


def test_the_csv_has_the_whole_the_layers_and_the_functions(record, tmp_path):
    result = profile(record, "--csv", tmp_path / "counts.csv")
    assert result.exit_code == 0, result.output
    rows = list(csv.DictReader((tmp_path / "counts.csv").read_text().splitlines()))
    assert [(row["part"], row["name"], row["count"], row["share"]) for row in rows] == [
        ("whole", "", "1000", "1.0"),
        ("layer", "CONV_2D 0", "700", "0.7"),
        ("layer", "MEAN 1", "300", "0.3"),
        ("function", "net_en_dot_quad_s8", "600", "0.6"),
        ("function", "rest", "400", "0.4"),
    ]
    assert all((row["unit"], row["board"]) == ("instructions", "stm32f746") for row in rows)
    assert rows[1]["kernel"] == "en_conv_s8"
    assert rows[0]["tools"] == "gcc 12; QEMU 7"


def test_the_page_has_them_too_and_speaks_of_no_time(record, tmp_path):
    result = profile(record, "--html", tmp_path / "counts.html")
    assert result.exit_code == 0, result.output
    page = (tmp_path / "counts.html").read_text()
    for word in ("1,000 instructions", "CONV_2D 0", "en_mean", "net_en_dot_quad_s8", "70.0%"):
        assert word in page
    assert "a &lt;b&gt; on stm32f746" in page
    body = page[page.index("<body>") :]
    assert not TIME.search(body)
    assert "Instructions are neither cycles nor time." in body


def test_cycles_of_a_real_board_have_no_such_note(record, tmp_path):
    record.write_bytes(record.read_bytes().replace(b'"instructions"', b'"cycles"'))
    profile(record, "--html", tmp_path / "counts.html")
    page = (tmp_path / "counts.html").read_text()
    assert "1,000 cycles" in page
    assert "neither" not in page


def test_a_record_is_only_reported(record):
    result = profile(record, "--board", "pico")
    assert (result.exit_code, "which is only reported; drop --board" in result.output) == (2, True)


def test_a_malformed_record_is_one_sentence(record, tmp_path):
    record.write_bytes(record.read_bytes().replace(b"1000", b'"many"'))
    result = profile(record, "--csv", tmp_path / "counts.csv")
    assert result.exit_code == 1
    assert "is malformed: " in result.output
    assert not (tmp_path / "counts.csv").exists()


def test_a_newer_record_is_refused(record):
    record.write_bytes(record.read_bytes().replace(b'"schema": 1', b'"schema": 9'))
    assert "has schema 9, this edgenet reads up to 1" in profile(record).output


def test_other_records_are_none_of_these(tmp_path):
    for text in (b'{"kind": "profile"}', b"[]", b"\xff", b""):
        (tmp_path / "other").write_bytes(text)
        assert counting.read(tmp_path / "other") is None
    assert counting.read(tmp_path / "missing") is None
