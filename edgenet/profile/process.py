"""The fresh process that measures: asked, waited for, and its death told in a sentence."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from edgenet.environment import State
from edgenet.profile.worker import Answer, Request

NO_REASON = "it gave no reason"
# A process that neither answers nor ends has this long, in seconds, beyond its sampling time.
_GRACE_S = 600


def ask(request: Request) -> Answer:
    """Have a fresh process answer; its death becomes the answer's error."""
    # The same import path as here, and not the current folder, whose files could hide a module.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    settings = request.settings
    sampling_s = settings.max_secs if request.task != "sustained" else settings.sustained_secs or 0
    with TemporaryDirectory(prefix="edgenet-") as folder:
        file = Path(folder, "answer.json")
        try:
            done = subprocess.run(
                [sys.executable, "-P", "-m", "edgenet.profile.worker", str(file)],
                input=msgspec.json.encode(request),
                capture_output=True,
                env=environment,
                timeout=sampling_s + _GRACE_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            return Answer(error=f"the measuring process was stopped after {error.timeout:.0f} s")
        if done.returncode == 0:
            return msgspec.json.decode(file.read_bytes(), type=Answer)
        return Answer(error=_death(done.returncode, done.stderr.decode("utf-8", "replace")))


def since(states: Sequence[State], begun_s: float) -> tuple[State, ...]:
    """The states, their time counted from when the first sample began."""
    return tuple(
        msgspec.structs.replace(state, at_s=round(state.at_s - begun_s, 3)) for state in states
    )


def _death(returncode: int, stderr: str) -> str:
    """Why a process ended without an answer."""
    if returncode > 0:
        lines = stderr.strip().splitlines()
        return f"the measuring process failed: {lines[-1] if lines else f'status {returncode}'}"
    name = signal.Signals(-returncode).name
    hint = {
        "SIGILL": "; the engine was built for instructions that this CPU lacks",
        "SIGKILL": "; most likely the machine ran out of memory",
    }
    return f"the measuring process died of {name}{hint.get(name, '')}"
