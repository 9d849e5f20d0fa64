"""Google's compiler, where it is installed, and how to come by it where it is not."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edgenet import tflite
from edgenet.bundle import Bundle, add_model
from edgenet.edgetpu.compiled import inspect
from edgenet.edgetpu.log import Log, parse
from edgenet.errors import ExportError, GraphError
from edgenet.runtime.edgetpu import CUSTOM_OP, is_compiled
from edgenet.spec import COMPILED_FROM, TensorSpec, Variant
from edgenet.tflite import Tensor

COMMAND = "edgetpu_compiler"
VARIANT: Variant = "int8_edgetpu.tflite"
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


def add(bundle: Bundle, compiled: Compiled, destination: Path) -> Bundle:
    """Write a bundle again with the compiled model in it.

    Args:
        bundle: with the model that was compiled.
        compiled: from here or from another machine.
        destination: where to write; the folder of the bundle itself will do.

    Raises:
        BundleError: the bundle lacks int8.tflite, or the destination cannot be written.
        ExportError: the compiled model takes or gives something else than the bundle's.
    """
    record = bundle.record(COMPILED_FROM[VARIANT])
    check_ends(compiled, record.inputs, record.outputs)
    return add_model(bundle, VARIANT, compiled.content, destination, versions=compiled.versions)


def check_ends(
    compiled: Compiled, takes: Sequence[TensorSpec], gives: Sequence[TensorSpec]
) -> None:
    """Refuse a model that was compiled from another than the one with these ends.

    Raises:
        ExportError: it takes or gives something else.
    """
    for what, ours, theirs in zip(
        ("takes", "gives"), (takes, gives), ends(compiled.content), strict=True
    ):
        if [_kind(one) for one in ours] != [_kind(one) for one in theirs]:
            raise ExportError(
                f"the compiled model {what} {_shown(theirs)}, the int8 one {_shown(ours)}; it was"
                " compiled from another model"
            )


def read(content: bytes, name: str) -> Compiled:
    """A model that was compiled elsewhere.

    Raises:
        ExportError: it is not compiled for the Edge TPU.
        GraphError: it is no .tflite.
    """
    model = tflite.read(content, name)
    if not is_compiled(model):
        raise ExportError(f"{name} is not compiled for the Edge TPU; run: {COMMAND} -s {name}")
    parts = [inspect(one) for one in model.subgraphs[0].operators if one.name == CUSTOM_OP]
    version = next((part.compiler for part in parts if part.compiler), None)
    return Compiled(content, msgspec.structs.replace(parse(""), version=version))


def ends(content: bytes) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """The tensors that a model takes and gives."""
    graph = tflite.read(content, "the model").subgraphs[0]
    takes, gives = (tuple(graph.tensors[i] for i in side) for side in (graph.inputs, graph.outputs))
    return takes, gives


def _kind(tensor: Tensor | TensorSpec) -> tuple[object, ...]:
    return tensor.shape, tensor.dtype, tensor.scale, tensor.zero_point


def _shown(tensors: Sequence[Tensor | TensorSpec]) -> str:
    return ", ".join(
        f"{t.dtype} {'x'.join(map(str, t.shape))} of scale {t.scale[0] if t.scale else 1:.6g}"
        for t in tensors
    )


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
