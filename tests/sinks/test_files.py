"""JSON lines and CSV, to files and to standard output."""

from __future__ import annotations

import csv
import json
import resource
import signal
from contextlib import contextmanager

import pytest

from edgenet.errors import SinkError
from edgenet.stream.sinks import open_sink
from edgenet.stream.sinks.csv import HEADER


def lines(path):
    return path.read_text().splitlines()


@contextmanager
def disk_of(size):
    """Lets a file grow to so many bytes, as a disk does that gets full."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


def test_json_has_the_whole_result(setting, make, frame, tmp_path):
    sink = open_sink(f"json:{tmp_path / 'r.json'}", setting)
    sink.publish(make(frame=4), frame)
    sink.publish(make("unknown", frame=5, live=False), frame)
    sink.close()
    first, second = map(json.loads, lines(tmp_path / "r.json"))
    assert first == {
        "name": "fake",
        "frame": 4,
        "label": "cat",
        "top": [{"class": 2, "label": "cat", "probability": 0.875}],
        "stage_ms": {"capture": 1.5, "preprocess": 0.25, "invoke": 8.0, "postprocess": 0.125},
        "latency_ms": 9.875,
        "dropped": 3,
        "time": 1700000000.25,
    }
    assert (second["label"], second["top"], second["latency_ms"]) == ("unknown", [], None)


def test_numbers_are_rounded_and_odd_names_are_written(setting, make, frame):
    sink = open_sink("json", setting)
    sink.publish(make(probability=1 / 3, name="b\udcffd é.png"), frame)
    record = json.loads(setting.stdout.getvalue())
    assert record["top"][0]["probability"] == 0.333333
    assert record["name"] == "b\ufffdd é.png"


def test_csv_has_a_header_and_a_row_a_result(setting, make, frame, tmp_path):
    path = tmp_path / "results.csv"
    sink = open_sink(f"csv:{path}", setting)
    sink.publish(make(frame=4, name='a "b", c.png'), frame)
    sink.publish(make("unknown", frame=5, live=False), frame)
    sink.close()
    header, first, second = csv.reader(lines(path))
    assert tuple(header) == HEADER
    assert dict(zip(header, first, strict=True)) == {
        "time": "1700000000.250",
        "frame": "4",
        "name": 'a "b", c.png',
        "label": "cat",
        "probability": "0.875000",
        "latency_ms": "9.8750",
        "capture_ms": "1.5000",
        "preprocess_ms": "0.2500",
        "invoke_ms": "8.0000",
        "postprocess_ms": "0.1250",
        "dropped": "3",
    }
    assert (second[4], second[5], second[6]) == ("", "", "")


def test_a_service_that_starts_again_goes_on_in_its_file(setting, make, frame, tmp_path):
    path = tmp_path / "results.csv"
    for index in range(2):
        sink = open_sink(f"csv:{path}", setting)
        sink.publish(make(frame=index), frame)
        sink.close()
    assert [row[1] for row in csv.reader(lines(path))] == ["frame", "0", "1"]


def test_a_line_that_was_cut_by_a_power_failure_stays_apart(setting, make, frame, tmp_path):
    path = tmp_path / "r.json"
    path.write_text('{"name": "cut')
    sink = open_sink(f"json:{path}", setting)
    sink.publish(make(), frame)
    sink.close()
    assert json.loads(lines(path)[1])["label"] == "cat"


def test_a_csv_file_of_something_else_is_left_alone(setting, tmp_path):
    path = tmp_path / "accounts.csv"
    path.write_text("date,amount\n1,2\n")
    with pytest.raises(SinkError, match=r"accounts\.csv holds something else.*'date,amount'"):
        open_sink(f"csv:{path}", setting)
    assert path.read_text() == "date,amount\n1,2\n"


def test_a_full_disk_leaves_whole_lines_and_one_sentence(setting, make, frame, tmp_path):
    path = tmp_path / "r.json"
    sink = open_sink(f"json:{path}", setting)
    sink.publish(make(), frame)
    whole = path.stat().st_size
    with (
        disk_of(whole + 20),
        pytest.raises(SinkError, match=r"r\.json cannot be written: the disk is full"),
    ):
        sink.publish(make(), frame)
    sink.close()
    assert path.stat().st_size == whole
    assert json.loads(path.read_text())["label"] == "cat"


def test_a_device_that_is_full_is_one_sentence(setting, make, frame):
    sink = open_sink("json:/dev/full", setting)
    with pytest.raises(SinkError, match="/dev/full cannot be written: No space left on device"):
        sink.publish(make(), frame)
    sink.close()


@pytest.mark.parametrize("name", ["none/r.csv", "."])
def test_a_file_that_cannot_be_opened_is_one_sentence(setting, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SinkError, match=r"cannot be opened: .*; name a file in a folder that is"):
        open_sink(f"csv:{name}", setting)


def test_standard_output_is_flushed_and_stays_open(setting, make, frame):
    sink = open_sink("csv", setting)
    sink.publish(make(), frame)
    sink.close()
    assert len(setting.stdout.getvalue().splitlines()) == 2
    assert not setting.stdout.closed
