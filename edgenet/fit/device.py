"""A target, and perhaps one of its boards, as what limits and runs networks."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from edgenet.board import Board
from edgenet.board import load as load_board
from edgenet.codegen.program import STACK
from edgenet.errors import UsageError, unknown
from edgenet.fit.record import Limit, Limits
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
    def name(self) -> str:
        return self.board.name if self.board else self.target.name

    @property
    def stack(self) -> int:
        """Bytes of RAM that code needs beside the arena."""
        return STACK if self.generates else 0

    def limits(self, given: Limits) -> Limits:
        """What was given, and else the board's own memory."""
        values: dict[Limit, float | None] = {
            "flash": given.flash,
            "ram": given.ram,
            "latency": given.latency_ms,
        }
        sources = {name: "given" for name, value in values.items() if value is not None}
        flash, ram = given.flash, given.ram
        if self.generates and self.board:
            flash, ram = flash or self.board.flash_bytes, ram or self.board.ram_bytes
            own: dict[Limit, int | None] = {"flash": flash, "ram": ram}
            sources = {name: self.board.name for name, value in own.items() if value} | sources
        return msgspec.structs.replace(given, flash=flash, ram=ram, sources=sources)


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
                f" --board ({', '.join(own)}), or give a file of your own"
            )
        return Device(target, load_board(own[0]) if len(own) == 1 else None)
    if not board.endswith(".toml") and board not in own:
        raise UsageError(unknown(f"board of {target.name}", board, own))
    found = load_board(board)
    if target.on_boards and found.core == "host":
        raise UsageError(f"{board} has no limits of its own; choose a microcontroller")
    return Device(target, found)
