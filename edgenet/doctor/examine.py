"""The examination: each package against the range that edgenet was tested with."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Literal

import msgspec
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from edgenet.codegen import tools
from edgenet.doctor.facts import EdgeTpus, Facts, Loaded
from edgenet.doctor.wheels import WHEELS

# of the kernels that the PCIe driver of the Coral works with
_PAGE = 4096

Status = Literal["ok", "warning", "missing", "broken"]
Part = Literal["base", "engine", "image", "device", "mcu", "host"]

_OPENCV = (
    *("opencv-python-headless", "opencv-python"),
    *("opencv-contrib-python-headless", "opencv-contrib-python"),
)


class Check(msgspec.Struct, frozen=True):
    """One thing that was looked at.

    Attributes:
        name: the package.
        part: what it is needed for; bundles need ``base``, one ``engine`` and ``image``.
        status: ``warning`` works but was not tested so.
        found: the version that is installed.
        wanted: the versions that edgenet was tested with.
        says: what is the matter, in a few words; empty where nothing is.
        mend: the one command that mends it; None where none does.
    """

    name: str
    part: Part
    status: Status
    found: str | None
    wanted: str
    says: str = ""
    mend: str | None = None


def examine(facts: Facts) -> list[Check]:
    """Everything that edgenet can use, and what is wrong with it."""
    ranges = _Ranges(facts.requirements)
    return [
        _python(facts),
        *(_package(facts, name, ranges.of(name), "base", "") for name in ranges.names("")),
        _tensorflow_lite(facts, ranges),
        _package(facts, "onnxruntime", ranges.of("onnxruntime"), "engine", "onnx"),
        _opencv(facts, ranges.of("opencv-python-headless")),
        *_edgetpu(facts.edgetpu),
        *_tools(facts.tools),
        *_host(facts, ranges),
    ]


def ready(checks: list[Check]) -> bool:
    """Whether this machine can run bundles."""
    works = {
        part: [check.status in ("ok", "warning") for check in checks if check.part == part]
        for part in ("base", "engine", "image")
    }
    return all(works["base"]) and any(works["engine"]) and all(works["image"])


class _Ranges:
    """The versions that edgenet was tested with, from its own metadata."""

    def __init__(self, requirements: tuple[str, ...]) -> None:
        self._found: dict[str, tuple[SpecifierSet, str]] = {}
        for requirement in map(Requirement, requirements):
            # The first to name a package counts: a later extra may only narrow it.
            self._found.setdefault(requirement.name, (requirement.specifier, _extra(requirement)))

    def of(self, name: str) -> SpecifierSet:
        """The versions of a package; any where the metadata does not name it."""
        return self._found.get(name, (SpecifierSet(), ""))[0]

    def names(self, extra: str) -> list[str]:
        """The packages that an extra brings by itself; of the base for ''."""
        return [
            name for name, (_, own) in self._found.items() if own == extra and name != "edgenet"
        ]


def _extra(requirement: Requirement) -> str:
    """The extra in a requirement's marker: ``extra == "host"``; '' for the base."""
    return str(requirement.marker or "").partition('extra == "')[2].partition('"')[0]


def _python(facts: Facts) -> Check:
    wanted = SpecifierSet(facts.requires_python)
    ok = wanted.contains(facts.python)
    return Check(
        name="Python",
        part="base",
        status="ok" if ok else "warning",
        found=facts.python,
        wanted=str(wanted),
        says="" if ok else "edgenet was not tested with it",
        mend=None if ok else "uv venv --python 3.13",
    )


def _package(facts: Facts, name: str, want: SpecifierSet, part: Part, extra: str) -> Check:
    """A package that must be there, in its range, and load."""
    found, loaded = facts.installed.get(name), facts.loaded.get(name, Loaded())
    versions = str(want)
    if found is None:
        says, mend = _absent(facts, name, extra)
        return Check(name, part, "missing", None, versions, says, mend)
    exact = shlex.quote(f"{name}{want}")
    if loaded.error is not None:
        mend = _install(facts, f"--force-reinstall {exact}")
        return Check(name, part, "broken", found, versions, loaded.error, mend)
    if not want.contains(found, prereleases=True):
        says = f"edgenet was tested with {versions}"
        return Check(name, part, "warning", found, versions, says, _install(facts, exact))
    return Check(name, part, "ok", found, versions)


def _absent(facts: Facts, name: str, extra: str) -> tuple[str, str | None]:
    """What to say of a package that is not installed."""
    wheels = WHEELS.get(name)
    if wheels is not None and not wheels.suit(facts.system):
        return f"not installed, and it has no wheel for {facts.system}", None
    wanted = f"edgenet[{extra}]" if extra else "edgenet"
    return "not installed", _install(facts, shlex.quote(wanted))


def _tensorflow_lite(facts: Facts, ranges: _Ranges) -> Check:
    """LiteRT, or tflite-runtime where there is no wheel of LiteRT."""
    litert, old = ranges.of("ai-edge-litert"), ranges.of("tflite-runtime")
    if "ai-edge-litert" in facts.installed:
        return _package(facts, "ai-edge-litert", litert, "engine", "litert")
    has_wheel = WHEELS["ai-edge-litert"].suit(facts.system)
    if "tflite-runtime" in facts.installed:
        return _tflite_runtime(facts, old, has_wheel=has_wheel)
    if not has_wheel and WHEELS["tflite-runtime"].suit(facts.system):
        says = f"not installed; it has no wheel for {facts.system}, but tflite-runtime has"
        mend = _install(facts, "'edgenet[tflite]'")
        return Check("ai-edge-litert", "engine", "missing", None, str(litert), says, mend)
    check = _package(facts, "ai-edge-litert", litert, "engine", "litert")
    if facts.system.architecture == "armv7l":
        hint = "; neither has tflite-runtime: use the 64-bit Raspberry Pi OS"
        return msgspec.structs.replace(check, says=check.says + hint)
    return check


def _tflite_runtime(facts: Facts, want: SpecifierSet, *, has_wheel: bool) -> Check:
    numpy = facts.installed.get("numpy", "")
    if int(numpy.partition(".")[0] or 0) < 2:
        return _package(facts, "tflite-runtime", want, "engine", "tflite")
    return Check(
        name="tflite-runtime",
        part="engine",
        status="broken",
        found=facts.installed["tflite-runtime"],
        wanted=str(want),
        says=f"it was built for numpy 1 and crashes with numpy {numpy}",
        mend=_install(facts, "'edgenet[litert]'" if has_wheel else "'numpy<2'"),
    )


def _opencv(facts: Facts, want: SpecifierSet) -> Check:
    """OpenCV under any of its names; Debian's package has no metadata at all."""
    names = [name for name in _OPENCV if name in facts.installed]
    loaded, versions = facts.loaded.get("opencv"), str(want)
    if loaded is None:
        mend = _install(facts, "'edgenet[image]'")
        if facts.system.architecture == "armv7l":
            mend = "sudo apt install python3-opencv"
        return Check("opencv", "image", "missing", None, versions, "not installed", mend)
    headless = shlex.quote(f"opencv-python-headless{want}")
    again = _install(facts, f"--force-reinstall {headless}")
    if names and names != ["opencv-python-headless"]:
        again = f"{_uninstall(facts)} {' '.join(names)} && {again}"
    if loaded.error is not None:
        return Check("opencv", "image", "broken", _joined(names), versions, loaded.error, again)
    if len(names) > 1:
        says = f"{' and '.join(names)} overwrite each other's files"
        return Check("opencv", "image", "warning", loaded.version, versions, says, again)
    if loaded.version and not want.contains(loaded.version, prereleases=True):
        says = f"edgenet was tested with {versions}"
        return Check("opencv", "image", "warning", loaded.version, versions, says, again)
    return Check("opencv", "image", "ok", loaded.version, versions)


def _edgetpu(found: EdgeTpus) -> Iterator[Check]:
    """The Coral: nothing where neither it nor its library is there."""
    if not found.devices and found.library is None:
        return
    status, says, mend = _coral(found)
    library = None if found.library is None else PurePath(found.library).name
    yield Check("Edge TPU", "device", status, library, "libedgetpu", says, mend)


def _coral(found: EdgeTpus) -> tuple[Status, str, str | None]:
    """The first thing that is wrong with it, and what mends that."""
    guide = "docs/coral.md says"
    if found.library is None:
        return "missing", f"it is plugged in, but not its library; {guide} where to get it", None
    if not found.devices:
        return "missing", "its library is installed, but it is not plugged in", None
    if any(one.kind == "pci" for one in found.devices) and found.page_size > _PAGE:
        says = f"the kernel's pages are of {found.page_size} bytes; its driver works with {_PAGE}"
        return "broken", says, "echo kernel=kernel8.img | sudo tee -a /boot/firmware/config.txt"
    if not all(one.may_open for one in found.devices):
        says = f"this user may not open it; {guide} which udev rule allows that"
        return "broken", says, "sudo usermod -aG plugdev $USER"
    if found.error is not None:
        return "broken", found.error, None
    if any(one.slow for one in found.devices):
        return "warning", "it is at a USB 2 port; a USB 3 port is about twice as fast", None
    return "ok", "", None


def _tools(found: Mapping[str, str | None]) -> Iterator[Check]:
    """Compilers and the emulator for microcontrollers."""
    for name, version in found.items():
        if version is not None:
            yield Check(name, "mcu", "ok", version, "")
            continue
        mend = f"sudo apt install {tools.PACKAGES[name]}"
        yield Check(name, "mcu", "missing", None, tools.NEEDED[name], "not installed", mend)


def _host(facts: Facts, ranges: _Ranges) -> Iterator[Check]:
    """What trains and exports: one line where none of it is there, else one for each package."""
    if "torch" in facts.installed:
        for name in ranges.names("host"):
            yield _package(facts, name, ranges.of(name), "host", "host")
        return
    says, mend = _absent(facts, "the host extra", "host")
    says += "; training and exporting need it, running does not"
    versions = f"torch{ranges.of('torch')} and more"
    yield Check("the host extra", "host", "missing", None, versions, says, mend)


def _install(facts: Facts, what: str) -> str:
    """The command that installs; into an environment of its own where the system's is guarded."""
    if facts.managed:
        venv = "~/edgenet"
        return (
            f"python3 -m venv --system-site-packages {venv}"
            f" && {venv}/bin/pip install edgenet {what}"
        )
    return f"{facts.pip} {what}"


def _uninstall(facts: Facts) -> str:
    flag = "" if facts.pip.startswith("uv ") else " -y"
    return facts.pip.replace("pip install", "pip uninstall") + flag


def _joined(names: list[str]) -> str | None:
    return ", ".join(names) or None
