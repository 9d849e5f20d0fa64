"""What ``edgenet fit`` found, as a record that is written to JSON and read by ``edgenet train``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from edgenet.architecture import parse_name
from edgenet.errors import RecordError, UsageError, nothing_at
from edgenet.fit import stored
from edgenet.fit.accuracy import Accuracy
from edgenet.fit.point import Point

SCHEMA = 1
Limit = Literal["flash", "ram", "block", "latency"]
Cost = Literal["latency_ms", "instructions", "macs"]


class Limits(msgspec.Struct, frozen=True):
    """What the device may spend; None where it does not matter.

    Attributes:
        flash: bytes.
        ram: bytes.
        latency_ms: of an inference.
        sources: of each limit, ``given`` or the board whose memory it is.
        block: bytes of RAM that lie together, which an arena must; None where all of it does.
    """

    flash: int | None = None
    ram: int | None = None
    latency_ms: float | None = None
    sources: dict[Limit, str] = {}
    block: int | None = None


class Excess(msgspec.Struct, frozen=True):
    """How a limit is broken.

    Attributes:
        value: what the network takes: bytes, with the stack's where it counts too; milliseconds.
        limit: what there is.
        least: whether value is only the least it takes: weights, where code is not known.
    """

    value: float
    limit: float
    least: bool = False

    @property
    def times(self) -> float:
        """How often the limit is reached."""
        return self.value / self.limit


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One point.

    Attributes:
        name: as ``edgenet train --like`` takes it.
        point: the network.
        macs: multiply-adds of a picture.
        flash: bytes; None where they cannot be told.
        ram: bytes at the peak; None where the device was never calibrated.
        exact: whether flash and RAM are those of the linked program.
        sram_budget: what the arena must be planned for to fit; None without need.
        latency_ms: predicted; None without a calibration.
        instructions: counted in QEMU; None where that was not asked for.
        accuracy: None where none is known.
        over: limits that are broken.
        refused: why the device cannot run it at all; empty where it can.
        unknown: why it cannot be told whether it keeps to the limits; empty where it can.
        parameters: bytes of weights and biases in an Edge TPU's memory; None for other devices.
        front: whether nothing that fits costs less and is as accurate.
    """

    name: str
    point: Point
    macs: int
    flash: int | None = None
    ram: int | None = None
    exact: bool = False
    sram_budget: int | None = None
    latency_ms: float | None = None
    instructions: int | None = None
    accuracy: Accuracy | None = None
    over: dict[Limit, Excess] = {}
    refused: str = ""
    unknown: str = ""
    parameters: int | None = None
    front: bool = False

    @property
    def fits(self) -> bool:
        return not (self.over or self.refused or self.unknown)

    def costs(self, cost: Cost) -> float | None:
        """Its place on an axis of cost."""
        found: float | None = getattr(self, cost)
        return found


class Fit(msgspec.Struct, frozen=True, kw_only=True):
    """Every point on one device.

    Attributes:
        kind: tells the record from others.
        schema: version of this layout.
        edgenet: version that predicted.
        command: what was typed.
        target: what bundles would be exported for.
        board: its name; None where none was chosen.
        limits: of the device and of the user.
        cost: what the front trades accuracy for.
        stack: bytes of RAM beside a row's that count against the limit.
        calibration: what latency was predicted from, in words; empty where it was not.
        labelled: whether flash has the classes' names in it.
        rows: in the order of multiply-adds.
        recommended: name of the row to train; None where nothing fits.
        nearest: name of the row that misses least; None where something fits.
    """

    kind: Literal["fit"] = "fit"
    schema: int = SCHEMA
    edgenet: str
    command: str
    target: str
    board: str | None
    limits: Limits
    cost: Cost
    stack: int = 0
    calibration: str = ""
    labelled: bool = False
    rows: tuple[Row, ...]
    recommended: str | None = None
    nearest: str | None = None

    def row(self, name: str | None) -> Row | None:
        """The row of a name."""
        return next((row for row in self.rows if row.name == name), None)


def encode(found: Fit) -> bytes:
    """The record as JSON."""
    return stored.encode(found)


def read(path: Path) -> Fit:
    """Read a record's file.

    Raises:
        RecordError: it cannot be read, is none, or is of a newer schema.
    """
    return stored.read(
        path,
        Fit,
        SCHEMA,
        "is not what edgenet fit --json wrote {}; give such a file, or a name such as"
        " mobilenet_v1_0.25_96",
    )


def like(word: str) -> tuple[str, float, int]:
    """Architecture, alpha and side of what ``edgenet train --like`` was given.

    Args:
        word: a file of ``edgenet fit --json``, whose recommendation it is, or a network's name.

    Raises:
        RecordError: the file is no such record, or recommends nothing.
        UsageError: it is neither a file nor the name of a network with alpha and resolution.
    """
    path = Path(word)
    if path.is_file():
        found = read(path)
        row = found.row(found.recommended)
        if row is None:
            raise RecordError(f"{word} recommends nothing, since nothing fits its limits")
        return row.point.arch, row.point.alpha, row.point.side
    if "/" in word or word.endswith(".json"):
        raise UsageError(nothing_at(word, "edgenet fit --json writes such a file"))
    arch, alpha, side = parse_name(word)
    if alpha is None or side is None:
        raise UsageError(
            f"{word!r} names no alpha and no resolution; write them too, as mobilenet_v1_0.25_96"
        )
    return arch, alpha, side
