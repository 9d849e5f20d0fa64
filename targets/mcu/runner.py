"""A bundle on a microcontroller: its int8 model as C, compiled here, in QEMU, or at a port."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from edgenet.board import Board
from edgenet.bundle import Bundle
from edgenet.errors import TargetError
from edgenet.mcu import counting, make
from edgenet.mcu.device import HOST, Device
from edgenet.mcu.make import VARIANT
from edgenet.report import mcu as report
from edgenet.runner import Footprint, Frame, Prediction, Runner
from edgenet.spec import Variant
from edgenet.stream.runner import InProcess
from edgenet.target import Target


def runner(
    target: Target,
    bundle: Bundle,
    *,
    variant: Variant = VARIANT,
    board: str | None = None,
    port: str | None = None,
) -> Runner:
    """Open a bundle's int8 model on a board.

    Args:
        target: this one.
        bundle: an opened bundle.
        variant: the int8 model.
        board: a name or a file; None for the bundle's, else this machine's own compiler.
        port: of a real board.

    Raises:
        TargetError: the variant is another.
        UsageError: there is no such board.
    """
    if variant != VARIANT:
        raise TargetError(f"{target.name} runs {VARIANT}, not {variant}")
    return OnBoard(device(target, bundle, board=board, port=port))


def device(target: Target, bundle: Bundle, *, board: str | None, port: str | None) -> Device:
    """The board that runs a bundle's int8 model."""
    return Device(bundle, chosen(target, bundle, board), port)


def complete(
    target: Target,
    bundle: Bundle,
    destination: Path,
    *,
    board: str | None,
    sram_budget: int | None,
) -> tuple[Bundle, str]:
    """The bundle with its int8 model as C, and what that takes."""
    found = None if board is None else target.board(board, bundle)
    made = make.add(bundle, destination, target=target.name, board=found, sram_budget=sram_budget)
    return made.bundle, report.made(made, found)


def chosen(target: Target, bundle: Bundle, board: str | None) -> Board:
    """The board that was named, else the one that the bundle was made for, else this machine."""
    program = bundle.manifest.program
    return target.board(board or (program and program.board) or HOST, bundle)


class OnBoard(InProcess):
    """A bundle's int8 model on a board.

    Args:
        device: the board.
    """

    def __init__(self, device: Device) -> None:
        super().__init__(device.bundle, VARIANT)
        self._device = device

    def prepare(self, workdir: Path) -> Footprint:
        """Build the program and start it, or find it at the port.

        Raises:
            ExportError: it does not fit the board.
            TargetError: a tool is missing, or the board does not answer or runs another model.
        """
        footprint = self._device.prepare(workdir)
        self.backend = self._device.engine
        super().prepare(workdir)
        if self._device.counts_instructions:
            self.notes = (*self.notes, report.noted(counting.count(self._device)))
        return footprint

    def run(self, frames: Iterable[Frame]) -> Iterator[Prediction]:
        """Classify frames as they come; the emulator's time is none of the board's."""
        for prediction in super().run(frames):
            emulated = self._device.counts_instructions
            yield prediction._replace(stage_ms={}) if emulated else prediction

    def close(self) -> None:
        """Stop the board."""
        super().close()
        self._device.close()
