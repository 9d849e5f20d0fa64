from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from loopback import Sshd, sshd
from standin import Device

from edgenet.cli.deploy import ROOT
from edgenet.remote import connection

__all__ = ["sshd"]

TINY = Path(__file__).parent.parent / "golden" / "tiny"
# what a Raspberry Pi with bookworm says of itself
GOOD: dict[str, Any] = {
    "executable": "/usr/bin/python3", "python": (3, 11, 2), "machine": "aarch64", "bits": 64,
    "libc": "glibc", "libc_version": (2, 36), "venv": True, "picamera2": True, "pinned": {},
    "free": 10**9, "home": "/home/pi", "data": "", "cameras": ("/dev/video0",), "groups": (),
}  # fmt: skip


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Device, Sshd]]:
    """A device that answers ssh."""
    device = Device(tmp_path_factory.mktemp("device"))
    path = f"{device.commands}:/usr/local/bin:/usr/bin:/bin"
    server = Sshd(tmp_path_factory.mktemp("sshd"), {"PATH": path, "OMP_NUM_THREADS": "1"})
    yield device, server
    device.halt()
    server.stop()


@pytest.fixture
def pi(site: tuple[Device, Sshd], monkeypatch: pytest.MonkeyPatch) -> Device:
    """The device, reached as ``device``, with nothing deployed."""
    device, server = site
    device.wipe()
    monkeypatch.setenv(connection.CONFIG, str(server.config))
    monkeypatch.setenv(ROOT, str(device.root))
    return device


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file in place of edgenet's wheel: the stand-in installs nothing."""
    import zipfile

    path = tmp_path_factory.mktemp("wheel") / "edgenet-0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("edgenet/__init__.py", "")
    return path
