"""Which Edge TPUs this machine has, and where libedgetpu lies, without loading it."""

from __future__ import annotations

import os
import sysconfig
from dataclasses import dataclass
from pathlib import Path

USB_IDS = ("1a6e:089a", "18d1:9302")
"""Vendor and product: as it is plugged in, and after the library gave it its firmware."""

_USB3_MBIT = 5000


@dataclass(frozen=True, slots=True)
class Device:
    """One Edge TPU.

    Attributes:
        path: of its device node.
        kind: ``usb`` or ``pci``.
        may_open: whether this user may read and write the node.
        slow: whether it is at a USB 2 port, at which each inference waits for its input.
    """

    path: Path
    kind: str
    may_open: bool
    slow: bool = False


def devices(root: Path = Path("/")) -> tuple[Device, ...]:
    """The Edge TPUs that are plugged in, the USB ones first.

    Args:
        root: of the file system; tests give another.
    """
    usb = (_usb(root, folder) for folder in sorted(root.glob("sys/bus/usb/devices/*")))
    pci = (
        Device(path, "pci", os.access(path, os.R_OK | os.W_OK))
        for path in sorted(root.glob("dev/apex_*"))
    )
    return (*(device for device in usb if device is not None), *pci)


def library(name: str, root: Path = Path("/")) -> str | None:
    """The path of a shared library in the folders that a Debian system loads from; None without."""
    folders = [Path(one) for one in os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep) if one]
    triplet = sysconfig.get_config_var("MULTIARCH") or ""
    for base in ("usr/local/lib", "usr/lib", "lib"):
        folders += [root / base, root / base / triplet]
    return next((str(folder / name) for folder in folders if (folder / name).is_file()), None)


def _usb(root: Path, folder: Path) -> Device | None:
    if f"{_read(folder / 'idVendor')}:{_read(folder / 'idProduct')}" not in USB_IDS:
        return None
    bus, number, speed = (_number(folder / name) for name in ("busnum", "devnum", "speed"))
    path = root / f"dev/bus/usb/{bus:03}/{number:03}"
    return Device(path, "usb", os.access(path, os.R_OK | os.W_OK), 0 < speed < _USB3_MBIT)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def _number(path: Path) -> int:
    text = _read(path)
    return int(text) if text.isdecimal() else 0
