"""The released service beside a measurement, with a stand-in for systemctl."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgenet.cli.main import main
from edgenet.errors import DeployError
from edgenet.profile import service
from edgenet.profile.record import decode

from .conftest import TINY

Systemctl = Callable[..., Path]


@pytest.fixture
def systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Systemctl:
    """A systemctl whose service runs; what it did is in the file that this returns."""

    def make(*, active: bool = True, refuses: str = "nothing") -> Path:
        folder = tmp_path / "bin"
        folder.mkdir()
        log = tmp_path / "log"
        log.touch()
        for name, script in (
            ("sudo", 'shift; exec "$@"'),
            (
                "systemctl",
                f'case "$1" in\nis-active) exit {0 if active else 3};;\n'
                f'{refuses}) echo "Failed to {refuses}: no" >&2; exit 1;;\n'
                f'*) echo "$1 $2" >> {log};;\nesac',
            ),
        ):
            (folder / name).write_text(f"#!/bin/sh\n{script}\n")
            (folder / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        return log

    return make


STOPPED = "stop edgenet.service\n"
BOTH = STOPPED + "start edgenet.service\n"


def test_a_service_that_runs_is_named(systemctl: Systemctl) -> None:
    systemctl()
    assert service.running() == ("edgenet.service",)


def test_a_service_that_does_not_run_is_not(systemctl: Systemctl) -> None:
    systemctl(active=False)
    assert service.running() == ()


def test_a_machine_without_systemd_has_no_services(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert service.running() == ()


def test_it_is_stopped_within_the_block_and_started_after_it(systemctl: Systemctl) -> None:
    log = systemctl()
    with service.stopped():
        assert log.read_text() == STOPPED
    assert log.read_text() == BOTH


def test_who_is_not_root_asks_sudo_without_a_password(
    systemctl: Systemctl, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log = systemctl()
    (tmp_path / "bin/sudo").write_text(f'#!/bin/sh\necho "sudo $1" >> {log}\nshift\nexec "$@"\n')
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with service.stopped():
        pass
    assert log.read_text() == "sudo -n\nstop edgenet.service\nsudo -n\nstart edgenet.service\n"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_it_is_started_again_whatever_ends_the_block(
    systemctl: Systemctl, error: type[BaseException]
) -> None:
    log = systemctl()
    with pytest.raises(error), service.stopped():
        raise error
    assert log.read_text() == BOTH


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_it_is_started_again_when_the_process_is_told_to_end(
    systemctl: Systemctl, number: signal.Signals
) -> None:
    log = systemctl()
    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as ended, service.stopped():
        os.kill(os.getpid(), number)
    assert ended.value.code == 128 + number
    assert log.read_text() == BOTH
    assert signal.getsignal(number) == before


def test_handlers_are_as_before_afterwards(systemctl: Systemctl) -> None:
    systemctl()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    with service.stopped():
        pass
    assert [signal.getsignal(number) for number in numbers] == before


@pytest.mark.parametrize(
    ("verb", "words"),
    [
        ("stop", r"edgenet.service could not be stopped \(Failed to stop: no\)"),
        ("start", r"could not be started again .* sudo systemctl start edgenet.service"),
    ],
)
def test_a_refusal_says_what_to_type(systemctl: Systemctl, verb: str, words: str) -> None:
    systemctl(refuses=verb)
    with pytest.raises(DeployError, match=words), service.stopped():
        pass


QUICK = ("--num-runs", "2", "--warmup-runs", "0", "--min-secs", "0", "--num-threads", "1")


@pytest.mark.parametrize("stop", [False, True])
def test_a_profile_tells_of_the_service_or_stops_it(systemctl: Systemctl, stop: bool) -> None:
    log = systemctl()
    options = [*QUICK, "--variant", "fp32.tflite", "--json", *["--stop-service"] * stop]
    done = CliRunner().invoke(main, ["profile", str(TINY), *options])
    assert done.exit_code == 0, done.output
    found = decode(done.stdout.encode())
    assert found.competitors == (() if stop else ("edgenet.service",))
    assert ("is stopped until this ends" in done.stderr) is stop
    assert ("--stop-service stops it meanwhile" in done.stderr) is not stop
    assert log.read_text() == (BOTH if stop else "")
