"""Whether a model fits a board: what it needs and what there is, by what."""

from __future__ import annotations

from dataclasses import dataclass

from edgenet.board import Board
from edgenet.codegen.program import Program
from edgenet.codegen.written import Written
from edgenet.errors import ExportError

STACK = 1024
"""Bytes that no path of generated code exceeds."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Bytes that a model needs.

    Attributes:
        constants: weights and parameters, in flash.
        arena: all other memory of the model, in one piece of RAM.
        fullest: the layer at which the arena is full.
        code: of the model in flash; None before it is built.
    """

    constants: int
    arena: int
    fullest: str
    code: int | None = None

    def rows(self, board: Board) -> list[tuple[str, str, int | None, int | None]]:
        """Memory, what takes it, bytes needed, bytes there."""
        flash = self.constants + (self.code or 0)
        place = "arena, in one piece" if board.block_bytes else "arena"
        return [
            ("flash", "weights and parameters", self.constants, None),
            ("flash", "code" if self.code is not None else "code, once built", self.code, None),
            ("flash", "all", flash, board.flash_bytes),
            ("RAM", f"{place}, full at {self.fullest}", self.arena, board.arena_bytes),
            ("RAM", "stack", STACK, None),
            ("RAM", "all", self.arena + STACK, board.ram_bytes),
        ]

    def check(self, board: Board) -> None:
        """Hold the needs against a board's memory; what it does not state fits.

        Raises:
            ExportError: something does not fit; the budget's table comes after the sentence.
        """
        rows = self.rows(board)
        over = [row for row in rows if None not in row[2:] and (row[2] or 0) > (row[3] or 0)]
        if not over:
            return
        memory, what, needed, there = over[0]
        advice = (
            "let --sram-budget make the arena smaller, or choose another board"
            if all(row[0] == "RAM" for row in over)
            else "choose a smaller width or resolution, or another board"
        )
        raise ExportError(
            f"the model does not fit {board.name}: {memory} for {what.partition(',')[0]} needs"
            f" {needed:,} bytes, {there:,} are there; {advice}\n{table(rows)}"
        )


def table(rows: list[tuple[str, str, int | None, int | None]]) -> str:
    """The rows in columns."""
    cells = [("", "", "needed", "available")]
    cells += [(memory, what, _bytes(needed), _bytes(there)) for memory, what, needed, there in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        f"  {a:<{widths[0]}}  {b:<{widths[1]}}  {c:>{widths[2]}}  {d:>{widths[3]}}".rstrip()
        for a, b, c, d in cells
    )


def _bytes(number: int | None) -> str:
    return "" if number is None else f"{number:,}"


def of_program(program: Program) -> Budget:
    """What a program needs, before it is written."""
    arena = program.plan.size
    full = (s.layer for s in program.plan.steps if any(r.end >= arena for r in s.regions))
    return Budget(program.constant_bytes, arena, next(full, "the input"))


def of_written(written: Written) -> Budget:
    """What a written program needs, before it is built."""
    constants, arena = (int(written.number(f"{what}_BYTES")) for what in ("CONSTANT", "ARENA"))
    return Budget(constants, arena, written.fullest)
