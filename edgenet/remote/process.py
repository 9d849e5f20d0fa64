"""The ssh program as a child process."""

from __future__ import annotations

import math
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from edgenet.errors import RemoteError

_LONGEST_SOCKET = 80  # of the 104 bytes that a socket's path may have; ssh appends a random name


def short_folder() -> Path:
    """A private folder whose path leaves room for a socket's name."""
    folder = Path(tempfile.mkdtemp(prefix="edgenet-"))
    if len(str(folder)) > _LONGEST_SOCKET:
        folder.rmdir()
        folder = Path(tempfile.mkdtemp(prefix="edgenet-", dir="/tmp"))
    return folder


def options(timeout_s: float) -> list[str]:
    """What is asked of ssh beside the user's config, and what of his config is left aside."""
    fixed = {
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "ConnectTimeout": str(math.ceil(timeout_s)),
        "ServerAliveInterval": str(max(1, math.ceil(timeout_s / 3))),
        "ServerAliveCountMax": "3",
        "ControlPersist": "no",
        "ClearAllForwardings": "yes",
        "ForwardAgent": "no",
        "ForwardX11": "no",
        "PermitLocalCommand": "no",
        "RemoteCommand": "none",
        "RequestTTY": "no",
        "LogLevel": "ERROR",
    }
    return [word for name, value in fixed.items() for word in ("-o", f"{name}={value}")]


def start(
    arguments: Sequence[str], *, stdin: int, stderr: int | IO[bytes]
) -> subprocess.Popen[bytes]:
    """Start ssh.

    Raises:
        RemoteError: it is not installed.
    """
    try:
        return subprocess.Popen(
            ["ssh", *arguments], stdin=stdin, stdout=subprocess.PIPE, stderr=stderr
        )
    except FileNotFoundError as error:
        raise RemoteError("ssh is not installed here; install OpenSSH's client") from error


def hostname(host: str, config: Sequence[str]) -> str:
    """What ssh connects to when it is told ``host``, which may be an alias of the user's config."""
    asked = start([*config, "-G", "--", host], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    answer, _ = asked.communicate()
    for line in answer.decode(errors="replace").splitlines():
        if line.startswith("hostname "):
            return line.partition(" ")[2]
    return host


def lines(pipe: IO[bytes] | None) -> Iterator[str]:
    """Lines without their ends."""
    for line in pipe or ():
        yield line.decode(errors="replace").rstrip("\r\n")


def finish(process: subprocess.Popen[bytes]) -> None:
    """Let a process come to its end."""
    if process.stdin is not None:
        process.stdin.close()
    if process.stdout is not None:
        process.stdout.read()
    process.wait()


def end(process: subprocess.Popen[bytes]) -> None:
    """Leave a process, whether it ended or not; the connection's own may hold its pipes on."""
    if process.poll() is None:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        with suppress(BrokenPipeError):
            if pipe is not None:
                pipe.close()
