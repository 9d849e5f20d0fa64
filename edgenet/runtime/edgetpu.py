"""Models compiled for the Edge TPU: LiteRT with libedgetpu as its delegate.

libedgetpu is built against one TensorFlow Lite and may crash in another, so a library and a model
that meet for the first time do so in a process of their own.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from edgenet import tflite
from edgenet.errors import EngineError, GraphError, MissingDevice, nothing_at
from edgenet.runner import Array
from edgenet.runtime import edgetpu_device, litert
from edgenet.runtime.edgetpu_device import Device
from edgenet.runtime.litert import LiteRTSession
from edgenet.runtime.quiet import quiet
from edgenet.spec import TensorSpec

log = logging.getLogger(__name__)

CUSTOM_OP = "edgetpu-custom-op"
"""The operator that ``edgetpu_compiler`` puts in the place of those that it maps."""

ENVIRONMENT = "EDGENET_LIBEDGETPU"
"""Names another library than the system's."""

_LIBRARIES = {"darwin": "libedgetpu.1.dylib", "win32": "edgetpu.dll"}
_ATTEMPT_S = 60
_WAITS_S = (0.5, 1.0, 2.0, 4.0)


class EdgeTpu:
    """Opens models that are compiled for the Edge TPU.

    Args:
        library: libedgetpu; the one that ``ENVIRONMENT`` names, or the system's, by default.
        sleep: waits for a device that went away; tests give another.
    """

    name = "edgetpu"

    def __init__(
        self, library: str | None = None, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.library = library
        self._sleep = sleep

    def open(self, model: Path, *, threads: int = 1) -> EdgeTpuSession:
        """Load a model; its weights go to the device with the first inference.

        Args:
            model: a file that edgetpu_compiler wrote.
            threads: for the operators that are left to the CPU.

        Raises:
            EngineError: the model is not compiled, or library and device do not run it.
            MissingDevice: there is no library, or no Edge TPU is plugged in.
            MissingPackage: LiteRT is not installed.
            ValueError: threads is below 1.
        """
        if threads < 1:
            raise ValueError(f"threads is {threads}; at least 1 is needed")
        _refuse_uncompiled(model)
        library = self.library or find()
        attempt(library, model)
        return EdgeTpuSession(lambda: _load(library, model, threads), sleep=self._sleep)


class EdgeTpuSession:
    """One model on the Edge TPU; comes back when the device was unplugged for some seconds.

    Args:
        load: opens the model on the device.
        sleep: waits between attempts to open it again.
    """

    def __init__(self, load: Callable[[], LiteRTSession], sleep: Callable[[float], None]) -> None:
        self._load = load
        self._sleep = sleep
        self._session: LiteRTSession | None = load()
        self.inputs: tuple[TensorSpec, ...] = self._session.inputs
        self.outputs: tuple[TensorSpec, ...] = self._session.outputs

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Run the model on one array for each input; the outputs are copies.

        Raises:
            EngineError: the device does not answer, and did not come back.
            ValueError: an array's shape or type is not the input's.
        """
        try:
            return self._open().run(inputs)
        except RuntimeError as error:
            return self._again(inputs, error)

    def _open(self) -> LiteRTSession:
        if self._session is None:
            self._session = self._load()
        return self._session

    def _again(self, inputs: Sequence[Array], cause: RuntimeError) -> list[Array]:
        log.warning("the Edge TPU does not answer (%s); opening it again", _line(cause))
        for wait in _WAITS_S:
            # the library lets go of the device with the last that holds the delegate
            self._session = None
            self._sleep(wait)
            try:
                outputs = self._open().run(inputs)
            except (RuntimeError, EngineError) as error:
                log.debug("not yet: %s", error)
            else:
                log.warning("the Edge TPU is back")
                return outputs
        self._session = None
        raise EngineError(
            f"the Edge TPU stopped answering ({_line(cause)}) and was not back after"
            f" {sum(_WAITS_S):g} s; plug it in again, at a USB 3 port that gives 900 mA"
        ) from cause


def engine() -> tuple[ModuleType, str]:
    """The interpreter's module, and what runs it: ``edgetpu ai-edge-litert 2.3.0``.

    Raises:
        MissingDevice: libedgetpu is not installed.
        EngineError, MissingPackage: as ``litert.engine``.
    """
    module, package = litert.engine()
    find()
    return module, f"edgetpu {package}"


def find() -> str:
    """The path of libedgetpu.

    Raises:
        MissingDevice: it is not installed.
    """
    named = os.environ.get(ENVIRONMENT)
    if named:
        if not Path(named).is_file():
            raise MissingDevice(f"{ENVIRONMENT}: {nothing_at(named)}")
        return named
    name = _LIBRARIES.get(sys.platform, "libedgetpu.so.1")
    found = edgetpu_device.library(name)
    if found is None:
        raise MissingDevice(
            f"running on the Edge TPU needs {name}, which is not installed; docs/coral.md says"
            f" where to get it, or name it with {ENVIRONMENT}"
        )
    return found


def is_compiled(model: tflite.Model) -> bool:
    """Whether a part of the model is compiled for the Edge TPU."""
    return any(op.custom and op.name == CUSTOM_OP for s in model.subgraphs for op in s.operators)


@cache
def attempt(library: str, model: Path | None) -> None:
    """Open a model and run it once in a process of its own, once for each process that asks.

    Args:
        library: the path of libedgetpu.
        model: a compiled one; None to open the device alone.

    Raises:
        EngineError: that process crashed, hung, or the library refused.
        MissingDevice: no Edge TPU is plugged in.
    """
    _, package = litert.engine()
    # the same import path as here, and not the current folder, whose files could hide a module
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    name = Path(library).name
    words = [library] if model is None else [library, str(model)]
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "edgenet.runtime.edgetpu_attempt", *words],
            capture_output=True,
            text=True,
            errors="replace",
            env=environment,
            timeout=_ATTEMPT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise EngineError(
            f"{name} does not answer within {_ATTEMPT_S} s; plug the Edge TPU in again, and end"
            " other programs that use it"
        ) from None
    if done.returncode < 0:
        doing = done.stdout.strip().rpartition("\n")[2] or "starting"
        raise EngineError(
            f"{name} crashes with {signal.Signals(-done.returncode).name} while {doing}: it was"
            f" built for another TensorFlow Lite than {package}, or the device was reset;"
            " docs/coral.md says which builds fit"
        )
    if done.returncode > 0:
        raise _refusal(name, done.stderr, edgetpu_device.devices())


def _refusal(name: str, stderr: str, devices: Sequence[Device]) -> EngineError | MissingDevice:
    """Why the library gave no working delegate."""
    said = stderr.strip().rpartition("\n")[2]
    reason = f"{name} cannot open the Edge TPU ({said})"
    if not devices:
        return MissingDevice(f"no Edge TPU is plugged in: {reason}")
    closed = [device for device in devices if not device.may_open]
    if closed:
        return EngineError(
            f"{closed[0].path} is an Edge TPU that this user may not open; add the udev rule of"
            " docs/coral.md and plug it in again"
        )
    return EngineError(f"{reason}; end other programs that use it, or plug it in again")


def _refuse_uncompiled(model: Path) -> None:
    if not model.is_file():
        raise EngineError(nothing_at(model))
    try:
        read = tflite.read(model.read_bytes(), str(model))
    except GraphError as error:
        raise EngineError(str(error)) from error
    if not is_compiled(read):
        raise EngineError(
            f"{model} is not compiled for the Edge TPU, which would leave all of it to the CPU;"
            f" run: edgetpu_compiler -s {model}"
        )


def _load(library: str, model: Path, threads: int) -> LiteRTSession:
    module, package = litert.engine()
    try:
        with quiet():
            return LiteRTSession(interpreter(module, library, model, threads=threads))
    except (ValueError, RuntimeError, OSError) as error:
        raise EngineError(
            f"{model}: {package} cannot run it with {Path(library).name} ({_line(error)})"
        ) from error


def interpreter(module: ModuleType, library: str, model: Path, *, threads: int) -> Any:
    """A LiteRT interpreter with the model loaded and libedgetpu as its delegate."""
    delegate = module.load_delegate(library)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = module.Interpreter(
            model_path=str(model), num_threads=threads, experimental_delegates=[delegate]
        )
        made.allocate_tensors()
    return made


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
