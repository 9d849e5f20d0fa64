from __future__ import annotations

import platform
import struct
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from standin import Device

from edgenet.deploy import facts
from edgenet.errors import DeployError
from edgenet.remote import Remote

from .conftest import GOOD


def test_the_device_tells_what_it_has(pi: Device) -> None:
    with Remote("device") as remote:
        found = facts.gather(remote, f"{pi.root}/not/yet", root=str(pi.root))
        assert found.executable == f"{pi.root}/usr/bin/python3"
        assert found.python == sys.version_info[:3]
        assert (found.machine, found.bits) == (platform.machine(), 8 * struct.calcsize("P"))
        assert found.free > 0
        assert "root" in found.groups
        assert found.home.endswith("/home")
        # another Python is not asked where the system has none
        assert facts.gather(remote, "~", root="/nowhere").executable == "python3"


def test_an_answer_that_is_none_is_one_sentence(pi: Device) -> None:
    python = pi.root / "usr/bin/python3"
    kept = python.read_text()
    python.write_text("#!/bin/sh\necho hello\n")
    try:
        with (
            Remote("device") as remote,
            pytest.raises(DeployError, match="does not say what it has"),
        ):
            facts.gather(remote, "~", root=str(pi.root))
    finally:
        python.write_text(kept)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"bits": 32}, "pi has a 32-bit system, for which LiteRT has no wheel; install the 64-bit"),
        ({"python": (3, 9, 2)}, "pi has Python 3.9.2, edgenet needs "),
        ({"python": (3, 14, 0)}, "pi has Python 3.14.0, edgenet needs "),
        ({"libc": ""}, "pi has no glibc"),
        ({"venv": False}, "run there: sudo apt install -y python3-venv"),
    ],
)
def test_a_device_that_will_not_do_is_told_why(changed: dict[str, Any], words: str) -> None:
    facts.check_python(msgspec.convert(GOOD, facts.Facts), "pi")
    with pytest.raises(DeployError, match=words):
        facts.check_python(msgspec.convert(GOOD | changed, facts.Facts), "pi")


def test_a_full_disk_is_told_in_megabytes() -> None:
    found = msgspec.convert(GOOD | {"free": 123_456_789}, facts.Facts)
    facts.check_space(found, "pi", "/srv", 123_456_789)
    with pytest.raises(
        DeployError, match="pi has 123 MB free for /srv, 700 MB are needed; make room"
    ):
        facts.check_space(found, "pi", "/srv", 700_000_000)


@pytest.mark.tool("sshd")
def test_a_camera_that_is_not_there_is_named(pi: Device, tmp_path: Path) -> None:
    found = msgspec.convert(GOOD, facts.Facts)
    without = msgspec.convert(GOOD | {"picamera2": False, "cameras": ()}, facts.Facts)
    with Remote("device") as remote:
        for source in (
            "picam",
            "picam1:640x480",
            "fake",
            "rtsp://camera/1",
            "/dev/null:640x480@30",
        ):
            facts.check_source(found, remote, source)
        with pytest.raises(DeployError, match="run there: sudo apt install -y python3-picamera2"):
            facts.check_source(without, remote, "picam0:640x480@30")
        with pytest.raises(
            DeployError, match="has no camera /dev/video77: it has /dev/video0; for a"
        ):
            facts.check_source(found, remote, "77:640x480@30")
        with pytest.raises(DeployError, match="has no camera /dev/v4l/by-id/x: it has none"):
            facts.check_source(without, remote, "/dev/v4l/by-id/x")
