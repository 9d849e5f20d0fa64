"""Google's compiler, where it is installed, and how to come by it where it is not."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from edgenet import tflite
from edgenet.edgetpu.log import Log, parse
from edgenet.errors import ExportError, GraphError
from edgenet.runtime.edgetpu import is_compiled

COMMAND = "edgetpu_compiler"
TIMEOUT_S = 600


@dataclass(frozen=True, slots=True)
class Compiled:
    """What the compiler made.

    Attributes:
        content: the compiled model's bytes.
        log: what it printed.
    """

    content: bytes
    log: Log

    @property
    def versions(self) -> dict[str, str]:
        """For a bundle's manifest."""
        return {COMMAND: self.log.version or "(version unknown)"}


def available() -> bool:
    """Whether the compiler is on the PATH."""
    return shutil.which(COMMAND) is not None


def compile(content: bytes, name: str, *, timeout_s: float = TIMEOUT_S) -> Compiled:
    """Compile a model.

    Args:
        content: of a .tflite file.
        name: of the file, for sentences; ``int8.tflite`` becomes ``int8_edgetpu.tflite``.
        timeout_s: after so many seconds the compiler is ended.

    Raises:
        ExportError: the compiler is missing, refuses the model, maps none of it, or takes too long.
    """
    command = shutil.which(COMMAND)
    if command is None:
        raise ExportError(f"{COMMAND} is not on the PATH; docs/coral.md says how to run it")
    with tempfile.TemporaryDirectory(prefix="edgenet-") as folder:
        model = Path(folder, Path(name).name).with_suffix(".tflite")
        model.write_bytes(content)
        try:
            done = subprocess.run(
                [command, "-s", "-o", folder, str(model)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                cwd=folder,
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise ExportError(f"{COMMAND} took longer than {timeout_s:g} s over {name}") from None
        except OSError as error:
            raise ExportError(f"{command} cannot be run: {error.strerror}") from error
        log, made = parse(done.stdout), model.with_name(f"{model.stem}_edgetpu.tflite")
        if done.returncode or not made.is_file():
            raise ExportError(f"{COMMAND} refuses {name}: {_reason(log, done.stdout)}")
        compiled = made.read_bytes()
    try:
        mapped = is_compiled(tflite.read(compiled, made.name))
    except GraphError as error:
        raise ExportError(f"{COMMAND} wrote something else than a model: {error}") from error
    if not mapped:
        raise ExportError(f"{COMMAND} maps no operator of {name}; edgenet check says which rules")
    return Compiled(compiled, log)


def recipe(model: str) -> str:
    """The commands that compile a model on another machine, any that has Docker.

    Args:
        model: the path of a .tflite; the compiled one lands in the current folder.
    """
    path = Path(model)
    folder, file = shlex.quote(str(path.parent)), shlex.quote(path.name)
    key = "/usr/share/keyrings/coral.gpg"
    source = "https://packages.cloud.google.com/apt"
    steps = (
        "apt-get update -q && apt-get install -qy curl gpg",
        f"curl -fsSL {source}/doc/apt-key.gpg | gpg --dearmor -o {key}",
        f'echo "deb [signed-by={key}] {source} coral-edgetpu-stable main"'
        " > /etc/apt/sources.list.d/coral.list",
        "apt-get update -q && apt-get install -qy edgetpu-compiler",
        f"{COMMAND} -s -o /out /in/{file}",
    )
    script = " &&\n    ".join(steps)
    return (
        f'docker run --rm --platform linux/amd64 -v "$(realpath {folder})":/in:ro'
        f" -v \"$PWD\":/out \\\n  debian:bookworm-slim sh -c '\n    {script}'"
    )


def _reason(log: Log, text: str) -> str:
    lines = text.strip().splitlines()
    return log.faults[0] if log.faults else lines[-1] if lines else "it says nothing"
