"""What a board was measured to take, as rates that predict networks which were not measured."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Literal

import msgspec
import numpy as np

from edgenet.errors import RecordError, UsageError
from edgenet.files import write_atomic
from edgenet.fit import latency, nonnegative, stored
from edgenet.fit.footprint import activations, file_bytes
from edgenet.fit.latency import Model, Sample
from edgenet.fit.point import Point

SCHEMA = 1
LEAST = 5
"""Networks that a calibration needs, or its error could not be told by leaving each one out."""


class Seen(msgspec.Struct, frozen=True):
    """A network as it was measured on a board.

    Attributes:
        point: the network.
        variant: of the bundle.
        threads: of the engine; 1 on a microcontroller.
        invoke_ms: of an inference, the median.
        operators: milliseconds of each operator; empty where the engine does not tell, or its
            operators are not the network's layers one by one.
        ram: bytes that engine and model added to the process at the peak; None if not known.
        host: what it was measured on, in words.
        engine: with its version.
        file: bytes of the model's file, or of a microcontroller's flash; None if not known.
    """

    point: Point
    variant: str
    threads: int
    invoke_ms: float
    operators: tuple[float, ...]
    ram: int | None
    host: str
    engine: str
    file: int | None = None

    @property
    def sample(self) -> Sample:
        return Sample(self.point.cost(), self.invoke_ms, self.operators)


class Memory(msgspec.Struct, frozen=True):
    """Bytes of RAM: of the engine, for each byte of the model's file, for each of activations."""

    engine: float
    file: float
    activation: float

    def of(self, point: Point) -> int:
        """Bytes that a network's process grows by, at the peak."""
        parts = (1.0, file_bytes(point), activations(point))
        return round(float(np.dot(parts, msgspec.structs.astuple(self))))


class Rates(msgspec.Struct, frozen=True):
    """One variant at one number of threads.

    Attributes:
        variant: of bundles.
        threads: of the engine.
        engine: with its version.
        networks: what it was made from, with the medians in milliseconds.
        latency: predicts inferences.
        memory: predicts RAM; None where it was not measured.
        median_error: of predicting each network from the others, a share; None where no network
            has all its kinds of layers in another.
        largest_error: the same, of the worst.
    """

    variant: str
    threads: int
    engine: str
    networks: dict[str, float]
    latency: Model
    memory: Memory | None
    median_error: float | None
    largest_error: float | None


class Calibration(msgspec.Struct, frozen=True):
    """What is known of one board.

    Attributes:
        kind: tells the record from others.
        schema: version of this layout.
        board: its name.
        host: what it was measured on, in words.
        rates: of each variant at each number of threads.
    """

    kind: Literal["calibration"]
    schema: int
    board: str
    host: str
    rates: tuple[Rates, ...]

    def choose(self, variants: Sequence[str], threads: int | None) -> Rates:
        """The rates to predict with: of the first variant there is, the fastest threads.

        Raises:
            UsageError: there are none of these variants or threads.
        """
        for variant in variants:
            found = [one for one in self.rates if one.variant == variant]
            if threads is not None:
                found = [one for one in found if one.threads == threads]
            if found:
                return min(found, key=lambda one: sum(one.networks.values()) / len(one.networks))
        known = ", ".join(f"{one.variant} with {one.threads}" for one in self.rates)
        raise UsageError(
            f"{self.board} was calibrated for {known} threads; leave --num-threads out, or profile"
            " those that are missing"
        )


def calibrate(seen: Iterable[Seen], board: str) -> Calibration:
    """Rates out of measurements; several of one network count as their median.

    Raises:
        UsageError: there are fewer than ``LEAST`` networks of every variant and number of threads,
            or all have one alpha or one resolution, or they come from different machines.
    """
    groups: dict[tuple[str, int], list[Seen]] = {}
    hosts = set()
    for one in seen:
        groups.setdefault((one.variant, one.threads), []).append(one)
        hosts.add(one.host)
    if len(hosts) > 1:
        raise UsageError(
            f"the profiles are of {len(hosts)} machines ({'; '.join(sorted(hosts))}); calibrate a"
            " board with profiles of that board alone"
        )
    rates = [found for group in groups.values() if (found := _rates(group)) is not None]
    if not rates:
        most = max((len({one.point for one in group}) for group in groups.values()), default=0)
        raise UsageError(
            f"profiles of {most} networks do not calibrate {board}; profile bundles of at least"
            f" {LEAST}, of two alphas and two resolutions, each with the same variant and threads"
        )
    return Calibration("calibration", SCHEMA, board, hosts.pop(), tuple(rates))


def _rates(group: list[Seen]) -> Rates | None:
    by_point: dict[Point, list[Seen]] = {}
    for one in group:
        by_point.setdefault(one.point, []).append(one)
    if len(by_point) < LEAST or any(
        len(values) < 2
        for values in ({one.alpha for one in by_point}, {one.side for one in by_point})
    ):
        return None
    merged = [_merged(same) for same in by_point.values()]
    samples = [one.sample for one in merged]
    errors = [abs(error) for error in latency.errors(samples)]
    first = group[0]
    return Rates(
        variant=first.variant,
        threads=first.threads,
        engine=first.engine,
        networks={one.point.name: one.invoke_ms for one in merged},
        latency=latency.calibrate(samples),
        memory=_memory(merged),
        median_error=median(errors) if errors else None,
        largest_error=max(errors, default=None),
    )


def _merged(same: list[Seen]) -> Seen:
    timed = [one.operators for one in same if one.operators]
    rams = [one.ram for one in same if one.ram is not None]
    return msgspec.structs.replace(
        same[0],
        invoke_ms=median(one.invoke_ms for one in same),
        operators=tuple(np.median(timed, axis=0).tolist()) if timed else (),
        ram=round(median(rams)) if rams else None,
    )


def _memory(merged: Sequence[Seen]) -> Memory | None:
    known = [(one.point, one.ram) for one in merged if one.ram]
    if len(known) < LEAST:
        return None
    rows = np.array([(1.0, file_bytes(point), activations(point)) for point, _ in known])
    grown = np.array([float(ram) for _, ram in known])
    return Memory(*map(float, nonnegative.robust(rows, grown, np.ones(len(grown)))))


def folder() -> Path:
    """Where calibrations lie unless a file is named: in the user's own configuration."""
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "edgenet" / "calibration"


def save(calibration: Calibration, path: Path) -> None:
    """Write a calibration, whole or not at all.

    Raises:
        RecordError: the disk refuses.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, stored.encode(calibration))
    except OSError as error:
        raise RecordError(f"{path} cannot be written: {error.strerror}") from error


def read(path: Path) -> Calibration:
    """Read a calibration's file.

    Raises:
        RecordError: it cannot be read, is none, or is of a newer schema.
    """
    return stored.read(
        path,
        Calibration,
        SCHEMA,
        "is no calibration {}; write one with: edgenet fit --calibrate",
    )
