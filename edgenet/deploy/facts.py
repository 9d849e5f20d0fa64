"""What the device has, and whether that will do."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from packaging.specifiers import SpecifierSet

from edgenet.deploy import probe
from edgenet.errors import DeployError

if TYPE_CHECKING:
    from edgenet.remote import Remote

_MB = 1_000_000
# apt's packages are the system's Python's, whatever else comes first on a person's PATH
_PROBE = 'python=$1; [ -x "$python" ] || python=python3; exec "$python" -I - "$2" "$python"'
_MODE = re.compile(r":[\dx@.]*$")  # of a camera, as in 0:640x480@30


class Facts(msgspec.Struct, frozen=True):
    """What the probe answered.

    Attributes:
        executable: its python3.
        python: version of it: major, minor, micro.
        machine: as ``uname -m`` has it; ``bits`` tells a 32-bit system under a 64-bit kernel.
        libc: name of the C library, with ``libc_version``: major, minor.
        venv: whether its Python makes environments with pip.
        picamera2: whether the system has it.
        pinned: versions that the system's own packages were built against, by name.
        groups: that exist.
        free: bytes on the disk where the deployment goes.
        home: of the user that ssh comes in as; ``data``: his XDG_DATA_HOME.
        cameras: V4L2 devices.
    """

    executable: str
    python: tuple[int, int, int]
    machine: str
    bits: int
    libc: str
    libc_version: tuple[int, ...]
    venv: bool
    picamera2: bool
    pinned: dict[str, str]
    groups: tuple[str, ...]
    free: int
    home: str
    data: str
    cameras: tuple[str, ...]

    @property
    def version(self) -> str:
        """The version of Python."""
        return ".".join(map(str, self.python))


def gather(remote: Remote, folder: str, *, root: str = "") -> Facts:
    """Ask the device.

    Args:
        remote: the device.
        folder: that is going to be filled.
        root: put before the path of its Python; for tests.

    Raises:
        RemoteError: it cannot be reached or has no python3.
        DeployError: its answer cannot be understood.
    """
    source = Path(probe.__file__).read_bytes()
    words = ["sh", "-c", _PROBE, "probe", f"{root}/usr/bin/python3", folder]
    answer = remote.run(words, input=source).stdout
    try:
        return msgspec.json.decode(answer.strip().splitlines()[-1], type=Facts)
    except (msgspec.DecodeError, IndexError) as error:
        raise DeployError(f"{remote.host} does not say what it has: {error}") from error


def check_python(facts: Facts, host: str) -> None:
    """That edgenet runs there at all.

    Raises:
        DeployError: it does not, with what to do about it.
    """
    allowed = metadata.metadata("edgenet")["Requires-Python"] or ""
    if facts.bits != 64:
        raise DeployError(
            f"{host} has a 32-bit system, for which LiteRT has no wheel; install the 64-bit"
            " Raspberry Pi OS there"
        )
    if facts.version not in SpecifierSet(allowed):
        raise DeployError(
            f"{host} has Python {facts.version}, edgenet needs {allowed}; Raspberry Pi OS has such"
            " a one from bookworm on"
        )
    if facts.libc != "glibc":
        raise DeployError(f"{host} has no glibc, for which the wheels are made; take a Debian")
    if not facts.venv:
        raise DeployError(
            f"{host} makes no Python environments; run there: sudo apt install -y python3-venv"
        )


def check_space(facts: Facts, host: str, folder: str, needed: int) -> None:
    """That the disk has room.

    Raises:
        DeployError: it has not.
    """
    if facts.free < needed:
        raise DeployError(
            f"{host} has {facts.free // _MB} MB free for {folder}, {needed // _MB} MB are needed;"
            " make room there, for example with: sudo apt clean"
        )


def check_source(facts: Facts, remote: Remote, source: str) -> None:
    """That the camera's software, or its device, is there.

    Raises:
        DeployError: it is not.
    """
    if source.startswith("picam") and not facts.picamera2:
        raise DeployError(
            f"{remote.host} has no picamera2; run there: sudo apt install -y python3-picamera2"
        )
    name = _MODE.sub("", source)
    device = f"/dev/video{name}" if name.isdecimal() else name
    if device.startswith("/dev/") and remote.run(["test", "-e", device], check=False).code:
        there = f"it has {', '.join(facts.cameras)}" if facts.cameras else "it has none"
        raise DeployError(
            f"{remote.host} has no camera {device}: {there}; for a ribbon-cable camera use"
            " --source picam"
        )
