"""The service that a release runs as, which takes CPU time from a measurement beside it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from edgenet.errors import DeployError

NAME = "edgenet.service"
_TIMEOUT_S = 60.0


def running() -> tuple[str, ...]:
    """The name of the service if it runs on this machine; empty if not, or without systemd."""
    if shutil.which("systemctl") is None:
        return ()
    try:
        done = _systemctl(["systemctl", "is-active", "--quiet", NAME])
    except (OSError, subprocess.SubprocessError):
        return ()
    return (NAME,) if done.returncode == 0 else ()


@contextmanager
def stopped() -> Iterator[None]:
    """The service stopped within the block, and started again however the block ends.

    A SIGTERM or SIGHUP ends the block too, as a lost ssh connection sends it; what asks the process
    to end waits until the service has been started.

    Raises:
        DeployError: it cannot be stopped, or not be started again; says what to type.
    """
    former = {number: signal.signal(number, _end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        _do("stop")
        try:
            yield
        finally:
            for number in (signal.SIGINT, *former):
                former.setdefault(number, signal.getsignal(number))
                signal.signal(number, signal.SIG_IGN)
            _do("start")
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def _do(verb: str) -> None:
    command = ["systemctl", verb, NAME]
    if os.geteuid() != 0:
        command = ["sudo", "-n", *command]
    try:
        done = _systemctl(command)
    except (OSError, subprocess.SubprocessError) as error:
        raise _failure(verb, str(error)) from error
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        raise _failure(verb, lines[-1] if lines else f"status {done.returncode}")


def _failure(verb: str, reason: str) -> DeployError:
    return DeployError(
        f"{NAME} could not be {'stopped' if verb == 'stop' else 'started again'} ({reason});"
        f" do it by hand: sudo systemctl {verb} {NAME}"
    )


def _systemctl(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    # In a session of its own, so that a terminal's Ctrl-C does not end it halfway.
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
        start_new_session=True,
    )
