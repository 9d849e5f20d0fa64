"""What one inference takes on a board, counted: instructions in QEMU, cycles on a real board."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Literal

import msgspec

from edgenet import __version__, image
from edgenet.board import emulated
from edgenet.codegen import tools
from edgenet.errors import RecordError
from edgenet.mcu.device import Cycles, Device
from edgenet.mcu.make import VARIANT
from edgenet.mcu.session import codes_of

SCHEMA = 1


class _Header(msgspec.Struct):
    """What every record begins with."""

    kind: str
    schema: int = SCHEMA


Unit = Literal["instructions", "cycles"]


class LayerCount(msgspec.Struct, frozen=True):
    """One layer: its name, the kernel that runs it, its multiplications, and what was counted."""

    layer: str
    kernel: str
    macs: int
    count: int


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """One inference of the first golden frame.

    Attributes:
        kind: tells the record from others.
        schema: version of this layout.
        edgenet: version of edgenet that counted.
        bundle: the bundle's name.
        bundle_sha256: the bundle's identity.
        board: that the program is built for.
        core: of the board.
        clock_hz: the highest of the core, where the board's file states it.
        unit: ``instructions`` are exact, and are neither cycles nor time; ``cycles`` are a real
            board's own count, at the clock that its firmware chose.
        counter: ``plugin`` or ``systick`` in QEMU; ``dwt``, ``systick`` or ``own`` on a board.
        machine: of QEMU, or the board's port.
        total: of the whole network.
        layers: in order; empty where the counter does not tell them apart.
        functions: instructions by function, the longest first.
        macs: multiplications for one picture.
        flash: bytes of code and constants; None where another compiler built them.
        ram: bytes of the arena; the model has no other memory but the stack.
        stack: bytes, at the deepest; None where it was not looked at.
        tools: versions of the compiler and the emulator.
        classes: outputs of the network's classifier.
    """

    kind: Literal["counts"] = "counts"
    schema: int = SCHEMA
    edgenet: str = __version__
    bundle: str
    bundle_sha256: str
    board: str
    core: str
    clock_hz: int | None
    unit: Unit
    counter: str
    machine: str
    total: int
    layers: tuple[LayerCount, ...]
    functions: dict[str, int]
    macs: int
    flash: int | None
    ram: int
    stack: int | None
    tools: dict[str, str]
    classes: int = 0


def encode(counts: Counts) -> bytes:
    """The record as JSON."""
    return msgspec.json.format(msgspec.json.encode(counts), indent=2) + b"\n"


def read(path: Path) -> Counts | None:
    """A record that was saved; None where the file cannot be read or holds something else.

    Raises:
        RecordError: it is one of these, and malformed or of a newer schema.
    """
    try:
        text = path.read_bytes()
        header = msgspec.json.decode(text, type=_Header)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    if header.kind != "counts":
        return None
    if header.schema > SCHEMA:
        raise RecordError(
            f"{path} has schema {header.schema}, this edgenet reads up to {SCHEMA}; upgrade edgenet"
        )
    try:
        return msgspec.json.decode(text, type=Counts)
    except msgspec.DecodeError as error:
        raise RecordError(f"{path} is malformed: {error}; measure again") from error


def count(device: Device) -> Counts:
    """Count on a prepared device.

    Raises:
        UsageError: the board is this machine, which counts nothing.
        TargetError: the board has no counter, or the program stopped.
    """
    bundle, program = device.bundle, device.program
    tensor = bundle.record(VARIANT).inputs[0]
    picture = image.as_tensor(bundle.golden().inputs[0], bundle.spec.preprocess, tensor)
    found = device.count(codes_of(picture, program))
    layers = tuple(
        LayerCount(layer.name, layer.kernel(device.board.core), layer.macs, number)
        for layer, number in zip(program.layers, found.layers, strict=False)
    )
    record = partial(
        Counts,
        bundle=bundle.manifest.name,
        bundle_sha256=bundle.sha256,
        board=device.board.name,
        core=device.board.core,
        clock_hz=device.board.clock_hz,
        layers=layers,
        classes=len(bundle.spec.labels),
        macs=int(program.number("MACS")),
    )
    if isinstance(found, Cycles):
        return record(
            unit="cycles",
            counter=found.counter,
            machine=device.port or "",
            total=found.cycles,
            functions={},
            flash=None,
            ram=device.hello.arena,
            stack=None,
            tools={},
        )
    return record(
        unit="instructions",
        counter="plugin" if found.layers else "systick",
        machine=emulated(device.board).machine,
        total=found.instructions,
        functions=found.functions,
        flash=device.firmware.flash,
        ram=device.firmware.ram,
        stack=found.stack,
        tools={name: tools.version(name) for name in (tools.COMPILER, tools.EMULATOR)},
    )
