"""Predictions beside what was measured."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from edgenet.fit.calibration import Calibration, Rates, Seen
from edgenet.fit.device import Device
from edgenet.fit.footprint import file_bytes
from edgenet.fit.generated import Generator


class Pair(msgspec.Struct, frozen=True):
    """What was predicted, and what was measured; either is None where it is not known."""

    predicted: float | None
    measured: float | None

    @property
    def error(self) -> float | None:
        """Of the prediction, as a share of what was measured; below zero where it is too low."""
        if self.predicted is None or not self.measured:
            return None
        return self.predicted / self.measured - 1


class Compared(msgspec.Struct, frozen=True):
    """One network at one number of threads.

    Attributes:
        name: of the network.
        variant: of the bundle.
        threads: of the engine.
        flash: bytes: of the model's file, or of a microcontroller's program.
        ram: bytes at the peak.
        latency: milliseconds of an inference.
        calibrated: whether the calibration was made from this network too.
    """

    name: str
    variant: str
    threads: int
    flash: Pair
    ram: Pair
    latency: Pair
    calibrated: bool


def compare(
    device: Device, calibration: Calibration | None, seen: Iterable[Seen]
) -> list[Compared]:
    """Each measurement with its prediction.

    Raises:
        GraphError: there is no kernel for a layer, and so no prediction.
    """
    generator = Generator(device.board) if device.generates and device.board else None
    return [_compared(generator, calibration, one) for one in seen]


def _compared(generator: Generator | None, calibration: Calibration | None, one: Seen) -> Compared:
    rates = _rates(calibration, one)
    if generator is not None:
        found = generator.footprint(one.point)
        flash, ram = found.flash, found.ram
    else:
        flash = file_bytes(one.point) if one.variant == "int8.tflite" else None
        ram = rates.memory.of(one.point) if rates and rates.memory else None
    return Compared(
        name=one.point.name,
        variant=one.variant,
        threads=one.threads,
        flash=Pair(flash, one.file),
        ram=Pair(ram, one.ram),
        latency=Pair(rates.latency.of(one.point.cost()) if rates else None, one.invoke_ms),
        calibrated=rates is not None and one.point.name in rates.networks,
    )


def _rates(calibration: Calibration | None, one: Seen) -> Rates | None:
    """Those of the measurement's own variant and threads."""
    for rates in calibration.rates if calibration else ():
        if (rates.variant, rates.threads) == (one.variant, one.threads):
            return rates
    return None
