"""Profiling on another machine: on a stand-in that runs commands here, and over a real ssh."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import pytest
from click.testing import CliRunner

from edgenet.cli.main import main
from edgenet.deploy import environment
from edgenet.errors import RecordError, RemoteError
from edgenet.profile import remote as remotes
from edgenet.profile.record import Profile, decode, encode
from edgenet.profile.remote import measure_on
from edgenet.remote import Completed, connection

from .conftest import TINY, MakeProfile, MakeRun, Sshd

QUICK = ("--num-runs", "3", "--warmup-runs", "1", "--min-secs", "0", "--num-threads", "1")
Python = Callable[[str], str]


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """A machine whose folder for temporary files is its own."""
    folder = tmp_path_factory.mktemp("there")
    (folder / "tmp").mkdir()
    server = Sshd(folder / "ssh", {"TMPDIR": str(folder / "tmp")})
    yield server
    server.stop()


class Here:
    """What ``edgenet.remote.Remote`` does, done on this machine."""

    def __init__(self, host: str) -> None:
        self.host = host
        if "nobody" in host:
            raise RemoteError(f"{host} refuses ssh")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def run(self, argv: Sequence[str], *, check: bool = True, **_: Any) -> Completed:
        done = subprocess.run(argv, capture_output=True, text=True, check=check)
        return Completed(done.stdout, done.stderr, done.returncode)

    def stream(
        self,
        argv: Sequence[str],
        *,
        on_line: Callable[[str], None],
        on_error: Callable[[str], None],
    ) -> int:
        with subprocess.Popen(argv, stdout=-1, stderr=-1, text=True) as process:
            assert process.stdout
            assert process.stderr
            for line in process.stderr:
                on_error(line.rstrip())
            return process.wait()

    def push(self, local: Path, remote: str) -> None:
        shutil.copytree(local, remote)

    def pull(self, remote: str, local: Path) -> None:
        if not Path(remote).is_file():
            raise RemoteError(f"nothing at {remote}")
        shutil.copy(remote, local)

    def as_root(self, argv: list[str]) -> list[str]:
        return argv


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files of the machine that stands in for another."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(remotes, "Remote", Here)
    return folder


@pytest.fixture
def far_scratch(there: Sshd, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files of the machine that ssh finds as ``device``."""
    monkeypatch.setenv(connection.CONFIG, str(there.config))
    return there.folder.parent / "tmp"


@pytest.fixture
def python(tmp_path: Path) -> Python:
    """A stand-in for the other machine's Python: a shell script, called as that would be."""

    def make(script: str) -> str:
        file = tmp_path / "python"
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)
        return str(file)

    return make


def measure(python: str, *options: str, heard: list[str] | None = None) -> Profile:
    said = [] if heard is None else heard
    return measure_on("device", TINY, options, ensure=lambda remote, say: python, say=said.append)


def test_the_command_runs_there_and_its_record_comes_back(
    scratch: Path, python: Python, tmp_path: Path, make_profile: MakeProfile
) -> None:
    wanted = make_profile()
    (tmp_path / "record.json").write_bytes(encode(wanted))
    script = f"""
        echo "$*" > {tmp_path}/called; ls "$4" > {tmp_path}/pushed
        echo 'measuring int8.tflite' >&2; cat {tmp_path}/record.json"""
    heard: list[str] = []
    assert measure(python(script), "--num-runs", "3", heard=heard) == wanted
    called = (tmp_path / "called").read_text()
    assert called.startswith(f"-m edgenet profile {scratch}/edgenet-profile.")
    assert called.endswith("/bundle --num-runs 3 --json\n")
    assert "manifest.json" in (tmp_path / "pushed").read_text()
    assert heard == ["measuring int8.tflite"]
    assert list(scratch.iterdir()) == []


def test_a_failure_there_is_told_in_its_words(scratch: Path, python: Python) -> None:
    script = python("echo 'Error: the engine is not there' >&2; exit 1")
    with pytest.raises(RemoteError, match="nothing was measured on device: the engine is not"):
        measure(script)
    assert list(scratch.iterdir()) == []


def test_a_record_is_kept_although_the_command_failed(
    scratch: Path, python: Python, tmp_path: Path, make_profile: MakeProfile
) -> None:
    (tmp_path / "record.json").write_bytes(encode(make_profile()))
    script = python(f"cat {tmp_path}/record.json; echo 'Error: 1 of 2 runs' >&2; exit 1")
    assert measure(script) == make_profile()


def test_a_record_that_cannot_be_read_is_refused(scratch: Path, python: Python) -> None:
    with pytest.raises(RecordError, match="the record of device is not a profile"):
        measure(python("echo something else"))
    assert list(scratch.iterdir()) == []


@pytest.mark.tool("sshd")
@pytest.mark.slow
def test_what_runs_there_is_ended_with_the_work_here(
    far_scratch: Path, python: Python, tmp_path: Path
) -> None:
    script = python(
        f"trap 'echo interrupted > {tmp_path}/ended; exit 130' INT\n"
        f"echo $$ > {tmp_path}/number; echo begun >&2; for n in $(seq 600); do sleep 0.1; done"
    )

    def interrupt(line: str) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        measure_on("device", TINY, [], ensure=lambda *_: script, say=interrupt)
    number = int((tmp_path / "number").read_text())
    assert not Path(f"/proc/{number}").exists()
    assert (tmp_path / "ended").read_text() == "interrupted\n"
    assert list(far_scratch.iterdir()) == []


@pytest.mark.tool("sshd")
@pytest.mark.slow
def test_the_bundle_is_measured_there_and_reported_here(
    far_scratch: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[dict[str, object]] = []

    def ensure(remote: object, **options: object) -> str:
        asked.append(options)
        return sys.executable

    monkeypatch.setattr(environment, "ensure", ensure)
    page = tmp_path / "report.html"
    reports = ("--json", "--html", str(page))
    options = ("--host", "device", *QUICK, "--variant", "int8.tflite")
    done = CliRunner().invoke(main, ["profile", str(TINY), *options, *reports])
    assert done.exit_code == 0, done.output
    found = decode(done.stdout.encode())
    assert [(run.variant, run.threads) for run in found.runs] == [("int8.tflite", 1)]
    assert found.command == (
        "edgenet profile BUNDLE --num-runs 3 --warmup-runs 1 --min-secs 0 --num-threads 1"
        " --variant int8.tflite --json"
    )
    assert "device: measuring int8.tflite, 1 thread" in done.stderr
    assert (asked[0]["extra"], asked[0]["offline"]) == ("rpi", False)
    assert "int8.tflite" in page.read_text()
    assert list(far_scratch.iterdir()) == []


def test_one_machine_that_fails_does_not_lose_the_others(
    scratch: Path,
    monkeypatch: pytest.MonkeyPatch,
    python: Python,
    tmp_path: Path,
    make_profile: MakeProfile,
    make_run: MakeRun,
) -> None:
    (tmp_path / "record.json").write_bytes(encode(make_profile(make_run(throttled=("throttled",)))))
    stand_in = python(f"cat {tmp_path}/record.json")
    monkeypatch.setattr(environment, "ensure", lambda remote, **_: stand_in)
    hosts = ("--host", "nobody@127.0.0.1:1", "--host", "device")
    table = tmp_path / "stats.csv"
    done = CliRunner().invoke(main, ["profile", str(TINY), *hosts, "--csv", str(table)])
    assert done.exit_code == 1
    assert "1 of 2 machines were not measured; nobody@127.0.0.1:1: " in done.stderr
    assert "nobody@127.0.0.1:1: NOT MEASURED: nobody@127.0.0.1:1 refuses ssh" in done.stdout
    assert "3.000 THROTTLED" in done.stdout
    assert table.read_text().splitlines()[1].startswith("device,2026-11-22")
    again = CliRunner().invoke(main, ["profile", str(TINY), *hosts, "--json"])
    record = json.loads(again.stdout)
    assert (record["kind"], [one["host"] for one in record["hosts"]]) == (
        "profiles",
        ["nobody@127.0.0.1:1", "device"],
    )


def test_a_service_that_was_not_started_again_is_started_from_here(
    scratch: Path, python: Python, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    active = iter([True, False])
    started: list[list[str]] = []
    monkeypatch.setattr(remotes, "_runs", lambda remote: next(active))
    monkeypatch.setattr(Here, "as_root", lambda here, argv: started.append(argv) or ["true"])
    with pytest.raises(RemoteError):
        measure(python("exit 137"), "--stop-service")
    assert started == [["systemctl", "start", "edgenet.service"]]


CONTROL_C = """
import sys
from edgenet.deploy import environment
environment.ensure = lambda remote, **options: sys.executable
from edgenet.cli.main import main
main(sys.argv[1:])
"""


@pytest.mark.tool("sshd")
@pytest.mark.slow
def test_control_c_cleans_up_there(far_scratch: Path) -> None:
    command = [sys.executable, "-c", CONTROL_C, "profile", str(TINY), "--host", "device"]
    options = ["--min-secs", "100", "--num-threads", "1", "--variant", "int8.tflite"]
    process = subprocess.Popen([*command, *options], stderr=subprocess.PIPE, text=True)
    pids: list[Path] = []
    for _ in range(600):
        pids = [file for file in far_scratch.glob("*/pid") if file.read_text().strip()]
        if pids:
            break
        time.sleep(0.1)
    number = pids[0].read_text().strip()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=100)
    assert process.returncode == 1
    assert "Aborted!" in said
    assert not Path(f"/proc/{number}").exists()
    assert list(far_scratch.iterdir()) == []
