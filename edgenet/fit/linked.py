"""Bytes of code around a program's constants, out of the linked program of its core.

Only the calls differ between programs of the same kernels: a first program is linked whole, and for
others the file with their calls is compiled alone.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgenet.board import Board
from edgenet.codegen import emit, qemu, report, tools
from edgenet.codegen.program import Golden, Program
from edgenet.codegen.qemu import Firmware
from edgenet.fit.constants import bytes_of, shortened

_DROPPED = re.compile(r"^ \.(text\.\S+)\s+0x0+\s+0x[0-9a-f]+ \S*/(\w+)\.o$", re.M)
_SECTION = re.compile(r"^\.((?:text|rodata|data)\S*)\s+(\d+)\s", re.M)


@dataclass(frozen=True, slots=True)
class Code:
    """Bytes of a program without its constants.

    Attributes:
        calls: of the calls and their parameters.
        kernels: of all else.
    """

    calls: int
    kernels: int


class Linker:
    """Links for one board, and remembers what kernels take there.

    Args:
        board: of a core that the compiler has.
    """

    def __init__(self, board: Board) -> None:
        self.board = board
        self._kernels: dict[tuple[str, ...], int] = {}
        self._dropped: set[str] = set()

    def code(self, made: Program) -> Code:
        """Code of a program.

        Constants are cut to one element each: text of megabytes would be compiled for nothing.

        Raises:
            TargetError: the compiler failed.
        """
        short = shortened(made)
        with tempfile.TemporaryDirectory(prefix="edgenet-fit-") as folder:
            place = Path(folder)
            if made.kernels not in self._kernels:
                built = build(short, self.board, place)
                linker_map = built.elf.with_suffix(".map").read_text()
                self._dropped |= {name for name, file in _DROPPED.findall(linker_map)}
                calls = self._sections(built.elf.with_name(f"{made.name}.o"))
                code = built.flash - bytes_of(short, self.board.core)
                self._kernels[made.kernels] = code - calls
            else:
                write(short, place)
                calls = self._sections(self._compiled(place, made.name))
        return Code(calls, self._kernels[made.kernels])

    def _compiled(self, place: Path, name: str) -> Path:
        source, made = place / "c" / emit.SOURCES / f"{name}.c", place / f"{name}.o"
        flags = [*qemu.core_flags(self.board.core), *qemu.FLAGS]
        tools.call([tools.COMPILER, *flags, "-c", str(source), "-o", str(made)])
        return made

    def _sections(self, file: Path) -> int:
        """Bytes of an object that linking keeps."""
        listed = tools.call(["arm-none-eabi-size", "-A", "-d", str(file)])
        return sum(
            int(size) for name, size in _SECTION.findall(listed) if name not in self._dropped
        )


def build(made: Program, board: Board, place: Path) -> Firmware:
    """Write a program, compile and link it; raises as ``Linker.code``."""
    return qemu.build(write(made, place), board, place / "build")


def write(made: Program, place: Path) -> Path:
    """A program's folder, with nothing where its golden answers would be."""
    content = {**emit.files(made, _nothing(made)), **report.files(made)}
    for name, text in content.items():
        path = place / "c" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    return place / "c"


def _nothing(made: Program) -> Golden:
    values = made.graph.values
    inputs, outputs = (
        tuple(np.zeros((1, values[port.value].size), np.int8) for port in ports)
        for ports in (made.graph.inputs, made.graph.outputs)
    )
    return Golden(inputs, outputs, np.zeros((1, len(made.layers)), np.uint32))
