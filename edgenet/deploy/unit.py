"""The systemd unit of a release.

What a camera forbids of systemd's hardening: PrivateDevices= hides it, PrivateUsers= takes its
group away, ProcSubset=pid hides /proc/cpuinfo, by which the engine chooses its kernels, and without
AF_NETLINK libcamera does not hear of devices.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from edgenet.deploy.layout import Layout

# V4L2 and what libcamera uses beside it; the firmware, for vcgencmd
CAMERA = (
    "char-video4linux rw",
    "char-media rw",
    "char-dma_heap rw",
    "/dev/vcio rw",
    "/dev/vchiq rw",
)
_ONLINE = "After=network-online.target\nWants=network-online.target"
_LOOPBACK_ONLY = "IPAddressDeny=any\nIPAddressAllow=localhost"


@dataclass(frozen=True, slots=True)
class Unit:
    """What the unit of a release depends on.

    Attributes:
        layout: of the deployment.
        release: its digest.
        title: what the service is, for people.
        command: that is run, absolute.
        groups: that exist on the device; an unknown one would keep the service from starting.
        start_s: seconds until the first frame must be classified.
        watchdog_s: seconds without a classified frame after which it is restarted.
        devices: rules as DeviceAllow= takes them.
        network: whether it reaches beyond this device.
        output: where standard output goes, as StandardOutput= takes it.
        secrets: path of a file of environment variables, or nothing.
    """

    layout: Layout
    release: str
    title: str
    command: Sequence[str]
    groups: Sequence[str]
    start_s: int
    watchdog_s: int
    devices: Sequence[str] = CAMERA
    network: bool = False
    output: str = "null"
    secrets: str = ""


def render(unit: Unit) -> str:
    """The text of the unit."""
    text = resources.files("edgenet.deploy").joinpath("unit.service").read_text(encoding="utf-8")
    return string.Template(text).substitute(
        name=unit.layout.name,
        description=unit.title.replace("%", "%%"),
        release=unit.layout.release(unit.release),
        network_unit=_ONLINE if unit.network else "# it reaches nothing but this device",
        command=" ".join(map(quote, unit.command)),
        start_s=unit.start_s,
        watchdog_s=unit.watchdog_s,
        secrets=f"EnvironmentFile={unit.secrets}" if unit.secrets else "# no secrets",
        output=unit.output,
        groups=" ".join(unit.groups),
        devices="\n".join(f"DeviceAllow={rule}" for rule in unit.devices),
        network_service="# any" if unit.network else _LOOPBACK_ONLY,
    )


def quote(word: str) -> str:
    r"""A word of ExecStart= that systemd takes for itself.

    >>> print(quote("50 %"), quote('say "$HOME"'))
    "50 %%" "say \"$$HOME\""
    """
    for special, instead in (("\\", "\\\\"), ('"', '\\"'), ("%", "%%"), ("$", "$$")):
        word = word.replace(special, instead)
    plain = word and not set(word) & set(" \t\n'\"\\;")
    return word if plain else '"' + word.replace("\n", "\\n") + '"'
