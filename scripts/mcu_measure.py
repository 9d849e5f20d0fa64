"""One program on one emulated board: instructions, memory, and whether its answers are exact."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple

import numpy as np
from mcu_records import Measured, Tools, Variant

from edgenet.codegen import emit, qemu
from edgenet.codegen.program import Program, program


def tools() -> Tools:
    return Tools(*(_version(name) for name in (qemu.COMPILER, qemu.EMULATOR)))


def generate(
    data: bytes, name: str, variant: Variant = "", *, budget: int | None = None
) -> Program:
    """The program of a network, in the way that a row asks for."""
    asked = {} if budget is None else {"sram_budget": budget}
    return program(data, name, elimination=not variant, **asked)


def write(made: Program, folder: Path) -> Path:
    """Its folder below one."""
    emit.write(made, folder / made.name)
    return folder / made.name


def measure(
    made: Program, folder: Path, board: str, *, variant: Variant = "", budget: int | None = None
) -> Measured:
    """A program that ``write`` wrote, built and run on a board."""
    workdir = folder / board
    firmware = qemu.build(folder, qemu.board(board), workdir)
    golden = made.golden(3)
    counted = qemu.run(firmware, golden.inputs[0])
    sizes = _sizes(made, workdir)
    layers = [layer.layer.name for layer in made.layers]
    return Measured(
        model=made.name,
        variant=variant,
        budget=budget,
        core=firmware.board.core,
        board=board,
        macs=made.elimination.macs,
        macs_left=made.elimination.macs_left,
        instructions=counted.instructions,
        sram=firmware.ram + sum(size.data + size.bss for size in sizes.values()),
        stack=counted.stack,
        flash=firmware.flash,
        constants=sizes[f"{made.name}_weights"].text,
        exact=bool(np.array_equal(counted.outputs, golden.outputs[0])),
        layers=dict(zip(layers, counted.layers, strict=True)),
    )


class _Size(NamedTuple):
    """Bytes of an object's sections; constants lie in text."""

    text: int
    data: int
    bss: int


def _sizes(made: Program, workdir: Path) -> dict[str, _Size]:
    """Of the program's own objects, by name."""
    objects = sorted(workdir.glob(f"{made.name}*.o"))
    command = ["arm-none-eabi-size", *map(str, objects)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    rows = [line.split(maxsplit=5) for line in done.stdout.splitlines()[1:]]
    return {Path(row[5]).stem: _Size(*map(int, row[:3])) for row in rows}


def _version(command: str) -> str:
    done = subprocess.run([command, "--version"], check=True, capture_output=True, text=True)
    return done.stdout.splitlines()[0]
