"""A target, and perhaps one of its boards, as what limits and runs networks."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from edgenet.board import Board
from edgenet.board import load as load_board
from edgenet.codegen.program import STACK
from edgenet.errors import UsageError, unknown
from edgenet.fit.record import Limit, Limits
from edgenet.spec import COMPILED_FROM
from edgenet.target import Target


@dataclass(frozen=True, slots=True)
class Device:
    """What networks are to fit.

    Attributes:
        target: what bundles would be exported for.
        board: None where none was chosen.
    """

    target: Target
    board: Board | None

    @property
    def generates(self) -> bool:
        """Whether models become C; else an engine reads their files."""
        return self.target.on_boards

    @property
    def compiles(self) -> bool:
        """Whether models are compiled for an Edge TPU."""
        return any(variant in COMPILED_FROM for variant in self.target.variants)

    @property
    def name(self) -> str:
        return self.board.name if self.board else self.target.name

    @property
    def stack(self) -> int:
        """Bytes of RAM that code needs beside the arena."""
        return STACK if self.generates else 0

    def limits(self, given: Limits) -> Limits:
        """What was given, and else the board's own memory.

        Raises:
            UsageError: more was given than the board has.
        """
        values: dict[Limit, float | None] = {
            "flash": given.flash,
            "ram": given.ram,
            "latency": given.latency_ms,
        }
        sources = {name: "given" for name, value in values.items() if value is not None}
        if not (self.generates and self.board):
            return msgspec.structs.replace(given, sources=sources)
        board = self.board
        own: dict[Limit, int | None] = {
            "flash": board.flash_bytes,
            "ram": board.ram_bytes,
            "block": board.block_bytes,
        }
        for name in ("flash", "ram"):
            _within(board, name, values[name], own[name])
        return msgspec.structs.replace(
            given,
            flash=given.flash or board.flash_bytes,
            ram=given.ram or board.ram_bytes,
            block=board.block_bytes,
            sources={name: board.name for name, there in own.items() if there} | sources,
        )


def _within(board: Board, name: Limit, given: float | None, there: int | None) -> None:
    if given is not None and there is not None and given > there:
        what = "RAM" if name == "ram" else name
        raise UsageError(
            f"{board.name} has {there:,} bytes of {what}, not {given:,}; give less with"
            f" --max-{name}, drop it, or describe a board of your own in a file"
        )


def choose(target: Target, board: str | None) -> Device:
    """The device that words name.

    Raises:
        UsageError: the target has no such board, or needs one.
        TargetError: a board's file is malformed.
    """
    own = target.boards()
    if board is None:
        if target.on_boards:
            raise UsageError(
                f"{target.name} is many boards, and flash, RAM and code differ; choose one with"
                f" --board ({', '.join(_sold(own))}), or give a file of your own"
            )
        return Device(target, load_board(own[0]) if len(own) == 1 else None)
    if not board.endswith(".toml") and board not in own:
        raise UsageError(unknown(f"board of {target.name}", board, own))
    found = load_board(board)
    if target.on_boards and found.core == "host":
        raise UsageError(f"{board} has no limits of its own; choose a microcontroller")
    return Device(target, found)


def _sold(names: list[str]) -> list[str]:
    """Without this machine and boards that only QEMU has."""
    found = (load_board(name) for name in names)
    return [one.name for one in found if one.core != "host" and one.emulation is None]
