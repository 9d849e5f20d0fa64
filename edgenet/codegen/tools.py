"""Compilers and emulators, which no Python package brings."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from edgenet.errors import TargetError

COMPILER = "arm-none-eabi-gcc"
EMULATOR = "qemu-system-arm"
HOST_COMPILER = "cc"
LIMIT_S = 900
"""Seconds after which a command hangs: the slowest takes a tenth of that."""
PACKAGES = {
    COMPILER: "gcc-arm-none-eabi libnewlib-arm-none-eabi",
    "arm-none-eabi-nm": "binutils-arm-none-eabi",
    EMULATOR: "qemu-system-arm",
    HOST_COMPILER: "build-essential",
}
"""The Debian packages that bring each command."""
NEEDED = {
    HOST_COMPILER: "board host",
    COMPILER: "building for Cortex-M",
    EMULATOR: "running and counting there",
}
"""What each command is for."""


ENGINE = "c"
"""What target.toml calls generated C as an engine."""


def lacking_engine() -> str:
    """Why no generated C can be run here, in a sentence; empty where some board can."""
    reasons = [lacking(HOST_COMPILER), lacking(COMPILER) or lacking(EMULATOR)]
    return reasons[0] if all(reasons) else ""


def lacking(command: str) -> str:
    """Why a command cannot be used, in a sentence; empty where it is there."""
    if shutil.which(command) is not None:
        return ""
    return f"{command} is not installed; run: sudo apt install {PACKAGES[command]}"


def call(command: Sequence[str], folder: Path | None = None, *, stdin: str = "") -> str:
    """What a command prints.

    Raises:
        TargetError: it is missing, failed or hangs; the sentence has its last words.
    """
    if reason := lacking(command[0]):
        raise TargetError(reason)
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT_S,
        )
    except subprocess.TimeoutExpired as error:
        raise TargetError(f"{command[0]} did not end within {LIMIT_S} s; it was stopped") from error
    if done.returncode:
        words = " ".join((done.stderr or done.stdout).split())[-400:]
        raise TargetError(f"{command[0]} failed with {done.returncode}: {words}")
    return done.stdout


def version(command: str) -> str:
    """What a command says of its version, in one line.

    Raises:
        TargetError: it is missing or failed.
    """
    return call([command, "--version"]).partition("\n")[0].strip()
