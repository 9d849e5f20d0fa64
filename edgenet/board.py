"""Boards: each is a file with figures and where they come from, in a target's ``boards`` folder."""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import msgspec

from edgenet.errors import TargetError, UsageError, nothing_at, unknown

_TARGETS = "edgenet.targets"
_OTHERS = ("cortex-a", "edgetpu")
_FIGURES = ("clock_hz", "flash_bytes", "ram_bytes")


class Region(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Memory that lies together: address of its first byte, and bytes."""

    at: int
    size: int


class Emulation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A machine of QEMU that executes a board's code.

    Attributes:
        machine: its name there.
        vectors: where the processor looks for its vectors.
        flash: for code and constants.
        ram: for the rest.
        tick: instructions for a tick of SysTick under ``-icount shift=0``.
        uart: address of a CMSDK UART, the first that ``-serial`` connects.
    """

    machine: str
    vectors: Region
    flash: Region
    ram: Region
    tick: float
    uart: int


class Board(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a board's file says.

    Attributes:
        name: equal to the file's.
        title: what people call it.
        core: as compilers take it, such as ``cortex-m4``; ``host`` is this machine's own compiler.
        clock_hz: the highest of the core.
        flash_bytes: for programs and constants.
        ram_bytes: all of it.
        block_bytes: the largest piece of RAM that lies together, where that is not all of it.
        source: for each figure the address of the document that states it.
        emulation: of QEMU's own boards.
        counted_on: the board of QEMU that executes this one's code, for counting instructions.
    """

    name: str
    title: str
    core: str
    clock_hz: int | None = None
    flash_bytes: int | None = None
    ram_bytes: int | None = None
    block_bytes: int | None = None
    source: dict[str, str] = {}
    emulation: Emulation | None = None
    counted_on: str | None = None

    def __post_init__(self) -> None:
        figures = {name for name in _FIGURES if getattr(self, name) is not None}
        if self.block_bytes is not None:
            figures.add("block_bytes")
        for name in figures:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be above 0")
            if not self.source.get(name, "").startswith("https://"):
                raise ValueError(f"{name} needs the https:// address of its source in [source]")
        for name in self.source:
            if name not in figures:
                raise ValueError(f"source names {name}, of which the file has no figure")
        if self.emulation is not None and self.counted_on is not None:
            raise ValueError("a board of QEMU's is counted on itself; drop counted_on")

    @property
    def microcontroller(self) -> bool:
        """Whether programs without an operating system are compiled for it, or it is ``host``."""
        return not self.core.startswith(_OTHERS)

    @property
    def ships(self) -> bool:
        """Whether this is what the file of an edgenet board says."""
        file = _files().get(self.name)
        return file is not None and _read(file, file.name) == self

    @property
    def arena_bytes(self) -> int | None:
        """RAM that can hold one array."""
        return self.ram_bytes if self.block_bytes is None else self.block_bytes


def boards(*, emulated: bool = False) -> list[Board]:
    """The boards that ship with edgenet, by name.

    Args:
        emulated: only those that are QEMU's own.

    Raises:
        TargetError: a file is malformed.
    """
    found = (_read(file, file.name) for file in _files().values())
    return sorted((b for b in found if b.emulation or not emulated), key=lambda b: b.name)


def load(name: str) -> Board:
    """A board by its name, or of a file of one's own that ends in ``.toml``.

    Raises:
        UsageError: there is no such board; the sentence lists those there are.
        TargetError: the file is malformed.
    """
    if name.endswith(".toml"):
        path = Path(name)
        if not path.is_file():
            raise UsageError(nothing_at(path, "a board's file is like those in targets/mcu/boards"))
        return _read(path, str(path))
    files = _files()
    if name not in files:
        raise UsageError(f"{unknown('board', name, files)}; a file of your own, .toml, will do too")
    return _read(files[name], files[name].name)


def emulated(board: Board) -> Emulation:
    """The machine of QEMU that executes a board's code: its own, or another of the same core.

    Raises:
        UsageError: there is none.
    """
    if board.emulation is not None:
        return board.emulation
    other = load(board.counted_on).emulation if board.counted_on else None
    if other is None:
        names = ", ".join(one.name for one in boards() if one.emulation or one.counted_on)
        raise UsageError(
            f"QEMU has no machine for {board.name} ({board.core}); choose one of {names}, or give"
            " the port of a real board with --port"
        )
    return other


def _files() -> dict[str, Traversable]:
    """The file of each board that ships."""
    found = {}
    for folder in resources.files(_TARGETS).iterdir():
        place = folder.joinpath("boards")
        for file in place.iterdir() if place.is_dir() else ():
            if file.name.endswith(".toml"):
                found[file.name.removesuffix(".toml")] = file
    return found


def _read(file: Traversable, shown: str) -> Board:
    try:
        board = msgspec.toml.decode(file.read_bytes(), type=Board)
    except (msgspec.DecodeError, UnicodeDecodeError, OSError) as error:
        raise TargetError(f"{shown}: {str(error)[:1].lower()}{str(error)[1:]}") from error
    if f"{board.name}.toml" != file.name:
        raise TargetError(f"{shown}: name is {board.name!r}; it must be the file's")
    return board
