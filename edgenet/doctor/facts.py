"""What this machine has: read once, so that the examination can be tested on any other."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import mmap
import platform
import shlex
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edgenet.codegen import tools
from edgenet.doctor.wheels import System
from edgenet.environment import architecture
from edgenet.errors import EngineError, MissingDevice, MissingPackage, TargetError
from edgenet.runtime import edgetpu, edgetpu_device
from edgenet.runtime.edgetpu_device import Device

# What is loaded to see whether it works, by the package that brings it.
MODULES = {
    "ai-edge-litert": "ai_edge_litert.interpreter",
    "tflite-runtime": "tflite_runtime.interpreter",
    "onnxruntime": "onnxruntime",
    "opencv": "cv2",
}
_LOAD_S = 60


@dataclass(frozen=True, slots=True)
class Loaded:
    """What came of loading a module: its version, or why it does not load."""

    version: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class EdgeTpus:
    """What this machine has of the Coral.

    Attributes:
        devices: that are plugged in.
        library: the path of libedgetpu; None where it is not installed.
        error: why the library cannot open a device, tried in a process of its own.
        page_size: of the kernel's memory, in bytes.
    """

    devices: tuple[Device, ...] = ()
    library: str | None = None
    error: str | None = None
    page_size: int = 4096


@dataclass(frozen=True, slots=True)
class Facts:
    """What an examination looks at.

    Attributes:
        system: what wheels are chosen by.
        python: the interpreter's full version.
        executable: the interpreter.
        pip: the command that installs into it.
        managed: whether the system forbids installing into it (PEP 668).
        requires_python: edgenet's own range.
        requirements: edgenet's own requirements, as its metadata has them.
        installed: version of each installed package, by its name in lower case with hyphens.
        loaded: what came of loading each of ``MODULES`` that is there.
        edgetpu: what there is of the Coral.
        tools: version of each compiler and emulator for microcontrollers; None where it is missing.
    """

    system: System
    python: str
    executable: str
    pip: str
    managed: bool
    requires_python: str
    requirements: tuple[str, ...]
    installed: Mapping[str, str]
    loaded: Mapping[str, Loaded]
    edgetpu: EdgeTpus = EdgeTpus()
    tools: Mapping[str, str | None] = field(default_factory=dict)


def gather() -> Facts:
    """The facts of this machine and this interpreter.

    Raises:
        MissingPackage: edgenet runs from a folder that was never installed.
    """
    try:
        own = importlib.metadata.metadata("edgenet")
    except importlib.metadata.PackageNotFoundError:
        raise MissingPackage("edgenet's own metadata", "pc", needed_for="edgenet doctor") from None
    return Facts(
        system=System(sys.platform, architecture(), sys.version_info[:2], _glibc()),
        python=platform.python_version(),
        executable=sys.executable,
        pip=_pip(),
        managed=_managed(),
        requires_python=own["Requires-Python"] or "",
        requirements=tuple(own.get_all("Requires-Dist") or ()),
        installed={
            found.metadata["Name"].lower().replace("_", "-").replace(".", "-"): found.version
            for found in importlib.metadata.distributions()
        },
        loaded={
            package: load(module)
            for package, module in MODULES.items()
            if importlib.util.find_spec(module.partition(".")[0]) is not None
        },
        edgetpu=_edgetpu(),
        tools={name: _tool(name) for name in tools.NEEDED},
    )


def _tool(command: str) -> str | None:
    try:
        return tools.version(command).removeprefix(f"{command} ")
    except TargetError:
        return None


def _edgetpu() -> EdgeTpus:
    devices, page_size = edgetpu_device.devices(), mmap.PAGESIZE
    try:
        library = edgetpu.find()
    except MissingDevice:
        return EdgeTpus(devices, page_size=page_size)
    try:
        edgetpu.attempt(library, None)
    except (EngineError, MissingPackage) as error:
        return EdgeTpus(devices, library, str(error), page_size)
    return EdgeTpus(devices, library, None, page_size)


def load(module: str) -> Loaded:
    """Load a module in a process of its own: a crash is an answer, too."""
    script = (
        f"import importlib; m = importlib.import_module({module!r});"
        " print('version', getattr(m, '__version__', ''))"
    )
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", script],
            capture_output=True,
            text=True,
            timeout=_LOAD_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Loaded(error=f"it does not load within {_LOAD_S} s")
    if done.returncode < 0:
        return Loaded(error=f"it crashes with {signal.Signals(-done.returncode).name}")
    if done.returncode > 0:
        lines = done.stderr.strip().splitlines()
        return Loaded(error=lines[-1] if lines else f"it ends with status {done.returncode}")
    return Loaded(version=done.stdout.rpartition("version ")[2].strip() or None)


def _glibc() -> tuple[int, int] | None:
    name, version = platform.libc_ver()
    if name != "glibc":
        return None
    major, minor = version.split(".")[:2]
    return int(major), int(minor)


def _pip() -> str:
    """Environments that uv makes have no pip of their own."""
    python = shlex.quote(sys.executable)
    if importlib.util.find_spec("pip") is None:
        return f"uv pip install --python {python}"
    return f"{python} -m pip install"


def _managed() -> bool:
    marker = Path(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED")
    return sys.prefix == sys.base_prefix and marker.exists()
