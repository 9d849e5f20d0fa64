"""What a linked program holds: its symbols, and the bytes of flash that it takes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from edgenet.codegen import tools


@dataclass(frozen=True, slots=True)
class Symbol:
    """A name in an ELF file: its address without the bit that says Thumb, and its bytes."""

    address: int
    size: int
    code: bool


def symbols(elf: Path) -> list[tuple[str, Symbol]]:
    """What nm says of an ELF file; static functions of several files may share a name."""
    found = []
    for line in tools.call(["arm-none-eabi-nm", "-S", str(elf)]).splitlines():
        address, *size, kind, name = line.split()
        bytes_ = int(size[0], 16) if size else 0
        found.append((name, Symbol(int(address, 16) & ~1, bytes_, kind in "tTW")))
    return found


_PLACED = re.compile(r"^ \.(?:text|rodata|data)\S*\s+0x[0-9a-f]+\s+(0x[0-9a-f]+) (.+)$", re.M)


def flash(linker_map: str, others: set[str]) -> int:
    """Bytes of code and constants that do not come from some objects."""
    placed = linker_map.partition("Linker script and memory map")[2]
    return sum(
        int(size, 16)
        for size, file in _PLACED.findall(placed)
        if file.rpartition("/")[2] not in others
    )
