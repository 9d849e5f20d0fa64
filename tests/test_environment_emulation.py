"""Machines made of software are told from real ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgenet.environment import Probe
from edgenet.environment.emulation import emulator

ARM = "processor\t: 0\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\nCPU part\t: 0xd08\n"
X86 = "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: {}\nflags\t\t: fpu sse4_1\n"


@pytest.mark.parametrize(
    ("files", "architecture", "found"),
    [
        ({}, "aarch64", None),
        ({"proc/cpuinfo": ARM, "proc/sys/kernel/arch": "aarch64\n"}, "aarch64", None),
        ({"proc/cpuinfo": ARM, "proc/sys/kernel/arch": "aarch64\n"}, "armv7l", None),
        (
            {"proc/cpuinfo": ARM, "proc/sys/kernel/arch": "x86_64\n"},
            "aarch64",
            "QEMU user emulation on x86_64",
        ),
        (
            {"proc/cpuinfo": X86.format("Intel(R) Xeon(R)")},
            "armv7l",
            "QEMU user emulation on another processor",
        ),
        ({"proc/device-tree/model": "linux,dummy-virt\0"}, "aarch64", "QEMU"),
        ({"proc/device-tree/compatible": "linux,dummy-virt\0"}, "aarch64", "QEMU"),
        (
            {
                "proc/device-tree/model": "linux,dummy-virt\0",
                "sys/devices/virtual/dmi/id/product_name": "KVM Virtual Machine\n",
            },
            "aarch64",
            None,
        ),
        (
            {"sys/devices/virtual/dmi/id/product_name": "QEMU Virtual Machine\n"},
            "aarch64",
            "QEMU",
        ),
        ({"proc/cpuinfo": X86.format("QEMU TCG CPU version 2.5+")}, "x86_64", "QEMU"),
        ({"proc/cpuinfo": X86.format("Intel(R) Xeon(R)")}, "x86_64", None),
        ({"proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0"}, "aarch64", None),
    ],
)
def test_what_translates_instructions_is_named(
    tmp_path: Path, files: dict[str, str], architecture: str, found: str | None
) -> None:
    for name, text in files.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    assert emulator(tmp_path, architecture) == found


def test_an_emulated_machine_is_virtual(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text(X86.format("QEMU TCG CPU version 2.5+"))
    machine = Probe(tmp_path, vcgencmd=None).machine()
    assert (machine.emulator, machine.virtual) == ("QEMU", True)
