"""What scripts/bench_mcu and scripts/bench_mcu_accuracy write to docs/bench."""

from __future__ import annotations

from typing import Literal

import msgspec

from edgenet.environment import Machine

Variant = Literal["", "dead channels left in"]


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured; all but ``instructions`` and ``macs`` in bytes.

    Attributes:
        model: the network.
        variant: how it was generated, where that is not the usual way.
        budget: of SRAM, where one was set.
        core: such as cortex-m4.
        board: of QEMU.
        macs: multiplications for one picture of the network as it was given.
        macs_left: of the program.
        instructions: executed for one inference.
        sram: the arena, and the program's .data and .bss.
        stack: the deepest.
        flash: code and constants, without the harness around them.
        constants: of the flash, weights, biases, multipliers and tables.
        exact: whether every output was that of the reference.
        layers: instructions by layer.
    """

    model: str
    variant: Variant = ""
    budget: int | None = None
    core: str
    board: str
    macs: int
    macs_left: int
    instructions: int
    sram: int
    stack: int
    flash: int
    constants: int
    exact: bool
    layers: dict[str, int]


class Tools(msgspec.Struct, frozen=True):
    """First lines of what the compiler and the emulator say of their versions."""

    compiler: str
    emulator: str


class Bench(msgspec.Struct, frozen=True, kw_only=True):
    """The file: what was run where, and what it gave."""

    command: str
    edgenet: str
    machine: Machine
    tools: Tools
    rows: tuple[Measured, ...]


class Accuracy(msgspec.Struct, frozen=True, kw_only=True):
    """Top-1, as shares.

    Attributes:
        network: the bundle's.
        dataset: name and split.
        images: how many pictures each engine was shown: all that there are.
        fp32: of fp32.tflite.
        xnnpack: of int8.tflite on LiteRT's default engine, which rounds in float32.
        c: of int8.tflite as generated C, on this machine.
        different_logits: of the C and TensorFlow Lite Micro.
    """

    network: str
    dataset: str
    images: int
    fp32: float
    xnnpack: float
    c: float
    different_logits: int


class AccuracyBench(msgspec.Struct, frozen=True, kw_only=True):
    """The file: what was run where, and what it gave."""

    command: str
    edgenet: str
    machine: Machine
    results: tuple[Accuracy, ...]
