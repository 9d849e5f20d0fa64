"""``edgenet run`` on a camera: the test card stands in for one."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgenet.bundle import Bundle
from edgenet.cli import rows
from edgenet.cli.main import main
from edgenet.errors import SourceError
from edgenet.runner import Frame
from edgenet.stream import source as sources
from edgenet.stream.result import Guess, Result
from edgenet.stream.statistics import Statistics

for engine in ("ai_edge_litert", "cv2"):
    pytest.importorskip(engine, reason=f"{engine} is not installed")

TINY = Path(__file__).parent / "golden" / "tiny"
LABELS = Bundle.open(TINY).labels
FAST = "fake:640x480@200"


def run(*arguments, source=FAST, **options):
    words = ["run", TINY, "--source", source, *arguments]
    return CliRunner().invoke(main, list(map(str, words)), **options)


@contextmanager
def running(*arguments, environment=None):
    """The command in a process of its own, as systemd runs it."""
    words = [sys.executable, "-m", "edgenet", "run", TINY, "--source", FAST, *arguments]
    process = subprocess.Popen(
        list(map(str, words)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,  # what readline took ahead would be missing in what communicate finds
        env=os.environ | (environment or {}),
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_results_of_a_live_source_say_how_old_they_are():
    result = run("--max-frames", 3, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(found) == 3
    for record in found:
        assert list(record["stage_ms"]) == ["capture", "preprocess", "invoke", "postprocess"]
        assert sum(record["stage_ms"].values()) == pytest.approx(record["latency_ms"], abs=1e-3)
        assert record["label"] == record["top"][0]["label"]
    assert [record["frame"] for record in found] == sorted({record["frame"] for record in found})


def test_people_get_a_line_now_and_then_and_a_summary():
    result = run("--max-frames", 20)
    assert result.exit_code == 0
    first, *_ = result.stdout.splitlines()
    assert first.startswith(LABELS)
    assert " fps  latency " in first
    assert len(result.stdout.splitlines()) < 20
    assert result.stderr.startswith("20 frames with int8.tflite in ")
    assert " dropped: latency median " in result.stderr
    assert "(capture " in result.stderr
    assert "publish " in result.stderr


def test_several_sinks_hear_of_every_frame(tmp_path):
    words = ("--sink", f"csv:{tmp_path / 'a.csv'}", "--sink", f"json:{tmp_path / 'b.json'}")
    result = run("--max-frames", 4, "--json", *words)
    assert result.exit_code == 0
    with (tmp_path / "a.csv").open() as file:
        rows_found = list(csv.DictReader(file))
    lines = (tmp_path / "b.json").read_text().splitlines()
    assert lines == result.stdout.splitlines()
    assert [row["label"] for row in rows_found] == [json.loads(line)["label"] for line in lines]


def test_below_the_threshold_the_label_is_unknown_and_may_start_a_command(tmp_path):
    made = tmp_path / "made"
    action = f"unknown:2=touch '{made}'"
    result = run("--max-frames", 60, "--json", "--threshold", 1, "--on", action)
    assert result.exit_code == 0
    assert {json.loads(line)["label"] for line in result.stdout.splitlines()} == {"unknown"}
    assert made.exists()


def test_a_duration_ends_the_loop():
    result = run("--duration", 0.5)
    assert result.exit_code == 0
    assert " frames with int8.tflite in " in result.stderr


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)], ids=["SIGTERM", "SIGINT"]
)
def test_a_signal_ends_the_loop_with_whole_lines(tmp_path, number, code):
    path = tmp_path / "r.json"
    with running("--json", "--sink", f"json:{path}") as process:
        before = [process.stdout.readline() for _ in range(5)]
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
        assert (process.returncode, err) == (code, b"")
    written = path.read_bytes()
    assert written == b"".join(before) + out
    assert written.endswith(b"\n")
    assert all(json.loads(line) for line in written.splitlines())


def test_a_reader_that_leaves_ends_the_loop_without_a_word():
    with running("--json") as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(20) == 1
        assert process.stderr.read() == b""


def test_a_sink_that_fails_ends_the_loop_in_one_sentence():
    result = run("--sink", "json:/dev/full")
    assert result.exit_code == 1
    assert result.stderr == "Error: /dev/full cannot be written: No space left on device\n"


def test_a_service_is_ready_after_the_first_result_and_says_that_it_stops(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(20)
        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "2000000"}
        with running("--json", environment=environment) as process:
            first = manager.recv(4096).decode().split("\n")
            assert json.loads(process.stdout.readline())["frame"] >= 0
            process.terminate()
            assert process.wait(20) == 0
        assert first[:2] == ["READY=1", "WATCHDOG=1"]
        heard = []
        manager.setblocking(False)
        while not heard or heard[-1] != "STOPPING=1":
            heard += manager.recv(4096).decode().split("\n")


def test_metrics_and_the_page_are_served_meanwhile():
    pytest.importorskip("aiohttp", reason="aiohttp is not installed")
    with running("--json", "--metrics", "0", "--view", "--view-port", "0") as process:
        process.stdout.readline()
        metrics, view = (process.stderr.readline().decode().split()[1] for _ in range(2))
        with urllib.request.urlopen(metrics) as answer:
            assert b"edgenet_frames_total" in answer.read()
        with urllib.request.urlopen(f"{view}healthz") as answer:
            assert answer.status == 200
        process.terminate()
        process.communicate(timeout=20)
        assert process.returncode == 0


class Lost:
    """A camera that was lost and came back, and then gives nothing more."""

    live, dropped = True, 0

    def __init__(self, on_event, on_lost):
        self.on_event, self.on_lost = on_event, on_lost

    def __iter__(self):
        rgb = Bundle.open(TINY).golden().frames[0]
        self.on_event("/dev/video0 gives 640x480 at 30 frames/s as MJPG")
        self.on_lost("the camera is lost: unplugged")
        self.on_event("the camera is back after 3 s")
        yield Frame(0, 0.0, rgb)
        raise SourceError("no frame for 30 s: unplugged")

    def close(self):
        pass


def test_what_a_camera_says_goes_to_standard_error_and_no_frame_is_a_failure(monkeypatch):
    def open_frames(source, *, on_error, on_event, on_lost, give_up_s, ahead):
        assert give_up_s == 7
        return Lost(on_event, on_lost)

    noted = []
    monkeypatch.setattr(sources, "open_frames", open_frames)
    monkeypatch.setattr(Statistics, "note", lambda self, event: noted.append(event))
    result = run("--json", "--give-up", 7)
    assert result.exit_code == 1
    assert json.loads(result.stdout)["frame"] == 0
    assert noted == ["the camera is lost: unplugged"]
    assert result.stderr.splitlines() == [
        "/dev/video0 gives 640x480 at 30 frames/s as MJPG",
        "the camera is lost: unplugged",
        "the camera is back after 3 s",
        "Error: no frame for 30 s: unplugged",
    ]


@pytest.mark.parametrize(("cores", "ahead"), [(1, False), (2, False), (3, True)])
def test_frames_are_fitted_ahead_where_the_engine_leaves_a_core(monkeypatch, cores, ahead):
    asked = []

    def open_frames(source, **options):
        asked.append(options["ahead"])
        return Lost(lambda event: None, lambda event: None)

    monkeypatch.setattr(sources, "open_frames", open_frames)
    monkeypatch.setattr("edgenet.environment.usable_cores", lambda: cores)
    run("--num-threads", 2)
    assert asked == [Bundle.open(TINY).spec.preprocess if ahead else None]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--sink", "mqqt://h/t"], 2, "no sink 'mqqt'; did you mean 'mqtt'?"),
        (["--sink", "csv", "--json"], 2, "two sinks would share standard output"),
        (["--on", "nothing:2=true"], 2, "no label 'nothing'"),
        (["--smooth", "1"], 2, "1.0 is not in the range 0<=x<1"),
        (["--view-port", "80"], 2, "--view-port needs --view"),
        (["--view-token", "/dev/null"], 2, "--view-token needs --view"),
        (["--metrics", "70000"], 2, "'70000' is no port; write one from 0 to 65535"),
        (
            ["--backend", "onnx"],
            2,
            "pc has no choice of engine: the model's format decides (litert, onn",
        ),
        (["--max-frames", "0"], 2, "0 is not in the range x>=1"),
    ],
)
def test_wrong_words_get_one_sentence(arguments, code, message):
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert message in result.stderr
    assert "Traceback" not in result.output


def test_help_stands_under_headings():
    help_text = CliRunner().invoke(main, ["run", "--help"]).output
    headings = [line for line in help_text.splitlines() if line.endswith(":") and line[0] != " "]
    assert headings == ["Model:", "Answer:", "Results:", "View:", "End:", "Options:"]
    assert help_text.count("--sink") == 1


# the line on a terminal


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_on_a_terminal_one_line_is_kept_up_to_date(monkeypatch, capsys):
    class Clock:
        now = 0.0

    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr(rows.time, "monotonic", lambda: Clock.now)
    line = rows.LiveLine(("cat",), Statistics(), shown=True)
    for Clock.now in (0.0, 0.05, 0.2):
        guess = Guess(0, "cat", 0.5)
        line.publish(Result(0, "", (guess,), "cat", {}, 1.0, 0, 0.0), Frame(0, 0.0, None))
    line.say("the camera is lost")
    line.close()
    shown = "cat  50.0%  0.0 fps  latency 1.0 ms  dr"
    assert terminal.getvalue().split("\r\x1b[K") == ["", shown, shown, "\n"]
    assert capsys.readouterr().err == "the camera is lost\n"


def test_what_is_below_the_threshold_is_called_as_everywhere(capsys):
    line = rows.LiveLine(("cat",), Statistics(), shown=True)
    line.publish(Result(0, "", (), "unknown", {}, 1.0, 0, 0.0), Frame(0, 0.0, None))
    assert capsys.readouterr().out.startswith("unknown  0.0 fps")
