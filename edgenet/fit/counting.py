"""Instructions of an inference, counted in QEMU: exact, and neither cycles nor time."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from edgenet.board import Board, emulated
from edgenet.codegen import qemu, tools
from edgenet.dataset import Progress, silent
from edgenet.errors import TargetError, UsageError
from edgenet.fit import linked
from edgenet.fit.device import Device
from edgenet.fit.generated import generate
from edgenet.fit.record import Row


def check(device: Device) -> None:
    """That instructions of a device can be counted here.

    Raises:
        UsageError: the target generates no C, or QEMU has no machine of the core.
        TargetError: a tool is missing.
    """
    if not device.generates or device.board is None:
        raise UsageError(
            f"{device.target.name} runs an engine, whose instructions are not counted; drop"
            " --instructions"
        )
    emulated(device.board)
    for tool in (tools.COMPILER, tools.EMULATOR):
        if reason := tools.lacking(tool):
            raise TargetError(reason)


def counted(rows: Sequence[Row], device: Device, *, progress: Progress = silent) -> list[Row]:
    """Rows with the instructions of those that fit.

    Raises:
        TargetError: a tool failed.
    """
    assert device.board is not None
    found: list[Row] = []
    fitting = sum(row.fits for row in rows)
    for row in rows:
        if row.fits:
            done = sum(one.instructions is not None for one in found)
            progress("counting instructions", done, fitting)
            number = instructions(row, device.board)
            found.append(msgspec.structs.replace(row, instructions=number))
        else:
            found.append(row)
    progress("counting instructions", fitting, fitting)
    return found


def instructions(row: Row, board: Board) -> int:
    """Of one inference of an untrained network on noise."""
    made = generate(row.point, sram_budget=row.sram_budget)
    size = sum(made.graph.values[port.value].size for port in made.graph.inputs)
    noise = np.random.default_rng(0).integers(-128, 128, (1, size)).astype(np.int8)
    with tempfile.TemporaryDirectory(prefix="edgenet-fit-") as folder:
        built = linked.build(made, board, Path(folder))
        return qemu.run(built, noise).instructions
