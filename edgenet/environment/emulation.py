"""Whether the machine is made by software, so that its timings are not those of its processor."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

# What systemd-detect-virt calls machines whose instructions are translated one by one.
_TRANSLATORS = {"qemu": "QEMU", "bochs": "Bochs"}
_FAMILIES = {"aarch64": "arm", "armv7l": "arm", "armv6l": "arm", "armv8l": "arm"}


def emulator(root: Path, architecture: str) -> str | None:
    """What emulates the processor, in words; None where nothing tells that something does.

    A virtual machine that runs on the processor itself (KVM) is none.

    Args:
        root: the folder that holds ``sys`` and ``proc``.
        architecture: of the Python that runs.
    """
    # Linux tells the kernel's own architecture here (since 6.1), which qemu-user passes through.
    kernel = _read(root / "proc/sys/kernel/arch")
    cpuinfo = _read(root / "proc/cpuinfo")
    foreign = _family(kernel) != "arm" if kernel else "vendor_id" in cpuinfo
    if foreign and _family(architecture) == "arm":
        return f"QEMU user emulation on {kernel or 'another processor'}"
    if "QEMU TCG" in cpuinfo:
        return "QEMU"
    product = _read(root / "sys/devices/virtual/dmi/id/product_name")
    if product.startswith("KVM"):
        return None
    # https://github.com/qemu/qemu/blob/master/hw/arm/virt.c names its board so
    model = _read(root / "proc/device-tree/model") + _read(root / "proc/device-tree/compatible")
    if "dummy-virt" in model or product == "QEMU Virtual Machine":
        return "QEMU"
    return _detected() if root == Path("/") else None


def _detected() -> str | None:
    """What systemd knows of more machines than the files above tell."""
    command = shutil.which("systemd-detect-virt")
    if command is None:
        return None
    try:
        done = subprocess.run(
            [command, "--vm"], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return _TRANSLATORS.get(done.stdout.strip())


def _family(architecture: str) -> str:
    return _FAMILIES.get(architecture, architecture)


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8", "replace").replace("\0", " ").strip()
    except OSError:
        return ""
