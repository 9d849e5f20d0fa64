"""What a network takes on a microcontroller: its int8 graph planned, its C compiled.

Weights are drawn, and none of the numbers depends on them: constants and arena are the planner's,
code is the compiler's.  Channels that training leaves dead are not known before it; leaving them
out, as ``edgenet export`` does, can only take less.
"""

from __future__ import annotations

from edgenet.board import Board
from edgenet.codegen import tools, untrained
from edgenet.codegen.program import Program, program
from edgenet.fit import recorded
from edgenet.fit.constants import bytes_of
from edgenet.fit.footprint import Footprint
from edgenet.fit.linked import Linker
from edgenet.fit.point import Point

_NAME = "net"


class Generator:
    """Makes the programs of one board.

    Args:
        board: whose core the code is for.

    Attributes:
        links: whether there is a compiler for it here; else code is of recorded sizes.
    """

    def __init__(self, board: Board) -> None:
        self.board = board
        self.links = board.core.startswith("cortex-m") and not tools.lacking(tools.COMPILER)
        self._linker = Linker(board)

    def footprint(self, point: Point, *, sram_budget: int | None = None) -> Footprint:
        """What a network takes.

        Args:
            point: the network.
            sram_budget: bytes that the arena may have; layers run row by row until it fits.

        Raises:
            GraphError: there is no kernel for a layer.
            LimitExceeded: no plan keeps to the budget.
            TargetError: the compiler failed.
        """
        made = generate(point, sram_budget=sram_budget)
        stored = bytes_of(made, self.board.core)
        if self.links:
            code = self._linker.code(made)
            size: int | None = code.calls + code.kernels
        else:
            size = recorded.code(made, self.board.core)
        return Footprint(
            flash=None if size is None else stored + size,
            ram=made.plan.size,
            macs=point.cost().multiply_adds,
            exact=self.links,
            constants=stored,
            sram_budget=sram_budget,
        )


def generate(point: Point, *, sram_budget: int | None = None) -> Program:
    """The program of an untrained network; raises as ``Generator.footprint``."""
    layers = [one.layer for one in point.cost().layers]
    data = untrained.model(layers, point.side, point.side)
    return program(data, _NAME, elimination=False, sram_budget=sram_budget)


def compiler() -> str:
    """The compiler that code is measured with; empty where there is none."""
    return "" if tools.lacking(tools.COMPILER) else tools.version(tools.COMPILER)
