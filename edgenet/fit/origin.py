"""Whether a measurement is of the board that it is given for."""

from __future__ import annotations

import re

from edgenet.board import Board, boards
from edgenet.environment import Machine
from edgenet.errors import UsageError
from edgenet.fit.device import Device

_ARM = ("aarch64", "arm")


def check_counts(board: str, device: Device, name: str) -> None:
    """That a microcontroller's cycles are of the device.

    Raises:
        UsageError: they are of another one.
    """
    if board != device.name:
        raise UsageError(f"{name} was measured on {board}, not on {device.name}; {_ADVICE}")


def check_machine(machine: Machine, device: Device, name: str) -> None:
    """That a profile is of the device, as far as the machine tells what it is.

    Raises:
        UsageError: it is of another machine.
    """
    if device.generates:
        raise UsageError(
            f"{name} is of an engine on {described(machine)}, and {device.name} runs generated C;"
            " profile it with --port"
        )
    board = device.board
    if board is not None and not _may_be(machine, board):
        raise UsageError(
            f"{name} was measured on {described(machine)}, not on {device.name} ({board.title},"
            f" {board.core}); {_ADVICE}"
        )


def described(machine: Machine) -> str:
    """A machine in words."""
    words = (machine.board, machine.cpu, machine.architecture)
    return ", ".join(word for word in words if word)


_ADVICE = "name the board that it is of, or profile this one"


def _may_be(machine: Machine, board: Board) -> bool:
    """Whether nothing that is known of a machine says that it is another than the board."""
    if not board.core.startswith("cortex-a"):
        return True  # what hangs on a computer, of any kind
    core = re.search(r"cortex-a\d+", (machine.cpu or "").lower())
    if not machine.architecture.startswith(_ARM) or (core and core[0] != board.core):
        return False
    return _names(machine, board) or not any(_names(machine, one) for one in boards())


def _names(machine: Machine, board: Board) -> bool:
    """Whether a machine's firmware calls it by a board's title, as a device tree spells it."""
    title = board.title.replace("+", " Plus")
    return re.match(rf"{re.escape(title)}\b", machine.board or "") is not None
