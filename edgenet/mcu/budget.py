"""Whether a model fits a board: what it needs and what there is, by what."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from edgenet.board import Board
from edgenet.codegen import flash, qemu, tools
from edgenet.codegen.program import STACK, Program
from edgenet.codegen.written import Written
from edgenet.errors import ExportError


@dataclass(frozen=True, slots=True)
class Budget:
    """Bytes that a model needs.

    Attributes:
        constants: weights and parameters, in flash.
        arena: all other memory of the model, in one piece of RAM.
        fullest: the layer at which the arena is full.
        code: of the model in flash; None before it is built.
        proof: pictures and answers of the selftest, in flash too where a program calls that.
    """

    constants: int
    arena: int
    fullest: str
    code: int | None = None
    proof: int = 0

    @property
    def flash(self) -> int:
        """Without the selftest's pictures."""
        return self.constants + (self.code or 0)

    @property
    def ram(self) -> int:
        """Of the model and its calls."""
        return self.arena + STACK

    def rows(self, board: Board) -> list[tuple[str, str, int | None, int | None]]:
        """Memory, what takes it, bytes needed, bytes there."""
        place = "arena, in one piece" if board.block_bytes else "arena"
        return [
            ("flash", "weights and parameters", self.constants, None),
            ("flash", "code" if self.code is not None else "code, once built", self.code, None),
            ("flash", "all", self.flash, board.flash_bytes),
            ("flash", "beside: the selftest's pictures, if called", self.proof, None),
            ("RAM", f"{place}, full at {self.fullest}", self.arena, board.arena_bytes),
            ("RAM", "stack", STACK, None),
            ("RAM", "all", self.ram, board.ram_bytes),
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
    return Budget(
        program.constant_bytes, arena, next(full, "the input"), proof=flash.proof(program)
    )


def of_written(written: Written) -> Budget:
    """What a written program needs, before it is built."""
    constants, arena = (int(written.number(f"{what}_BYTES")) for what in ("CONSTANT", "ARENA"))
    return Budget(constants, arena, written.fullest, proof=_proof(written))


def counted(written: Written, board: Board, workdir: Path) -> Budget:
    """What a written program needs on a board, with its code where the compiler for it is here.

    Raises:
        TargetError: the compiler refuses the program.
    """
    needs = of_written(written)
    if uncounted(board):
        return needs
    built = qemu.build(written.folder, board, workdir)
    return replace(needs, code=built.flash - needs.constants)


def uncounted(board: Board) -> str:
    """Why code for a board is not counted here, in a few words; empty where it is."""
    if not board.core.startswith("cortex-m"):
        return f"{tools.COMPILER} has no core {board.core}"
    if board.emulation is None and board.counted_on is None:
        return f"the file of {board.name} has no counted_on"
    return tools.lacking(tools.COMPILER).partition(";")[0]


_GOLDEN = re.compile(r"^#define \w+_GOLDEN_PICTURES (\d+)$", re.M)


def _proof(written: Written) -> int:
    """Bytes of input, output and layers' checksums of the selftest's pictures."""
    header = (written.sources / f"{written.name}_golden.h").read_text(encoding="utf-8")
    found = _GOLDEN.search(header)
    sizes = (written.number("IN_LEN"), written.number("OUT_LEN"), 4 * written.number("LAYERS"))
    return int(found[1]) * int(sum(sizes)) if found else 0
