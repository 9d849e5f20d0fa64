"""Saved measurements as networks with what they took."""

from __future__ import annotations

from pathlib import Path

from edgenet.architecture import ARCHITECTURES, parse_name
from edgenet.errors import RecordError, UsageError
from edgenet.fit import latency, origin
from edgenet.fit.calibration import Seen
from edgenet.fit.device import Device
from edgenet.fit.point import Point
from edgenet.mcu import counting
from edgenet.mcu.counting import Counts
from edgenet.profile import profiles
from edgenet.profile.record import Profile, Run


def read(path: Path, device: Device, clock_hz: int | None = None) -> list[Seen]:
    """What ``edgenet profile --json`` wrote, of an engine or of a real microcontroller.

    Args:
        path: of the record.
        device: that it must be of.
        clock_hz: at which a microcontroller's firmware runs; None for the highest of its core.

    Raises:
        RecordError: it cannot be read, is no profile, or does not tell its network.
        UsageError: it is of another device, or it counts instructions, which are no time; or the
            clock is above the board's, or of a device whose time is measured.
    """
    if clock_hz is not None:
        _check_clock(device, clock_hz)
    counts = counting.read(path)
    if counts is not None:
        origin.check_counts(counts.board, device, str(path))
        return [_counted(counts, path, clock_hz)]
    profile = profiles.read_one(path)
    origin.check_machine(profile.machine, device, str(path))
    return of_profile(profile, str(path))


def _check_clock(device: Device, clock_hz: int) -> None:
    board = device.board
    if not device.generates or board is None:
        raise UsageError(
            "--clock makes time of cycles, which microcontrollers count; drop it: profiles of"
            f" {device.name} hold time"
        )
    if board.clock_hz is not None and clock_hz > board.clock_hz:
        raise UsageError(
            f"{board.name} runs at {_mhz(board.clock_hz)} at the most, not at {_mhz(clock_hz)}"
        )


def of_profile(profile: Profile, name: str) -> list[Seen]:
    """One for each run.

    Raises:
        RecordError: the network is not one of edgenet's, or its classes are not told.
    """
    if profile.arch not in ARCHITECTURES:
        raise RecordError(
            f"{name} is of a network that edgenet did not make ({profile.arch}); profile bundles of"
            " edgenet export"
        )
    if profile.classes < 1 or profile.height != profile.width:
        raise RecordError(
            f"{name} does not tell the network's classes, or its input is no square; profile the"
            " bundle again with this edgenet"
        )
    point = Point(profile.arch, profile.alpha, profile.height, profile.classes)
    host = origin.described(profile.machine)
    return [_run(run, point, host) for run in profile.runs]


def _run(run: Run, point: Point, host: str) -> Seen:
    timed = run.operators or ()
    known = latency.matches([one.name for one in timed], point.cost())
    memory = run.measured.memory
    return Seen(
        point=point,
        variant=run.variant,
        threads=run.threads,
        invoke_ms=run.stats["invoke"].p50_ms,
        operators=tuple(one.avg_ms for one in timed) if known else (),
        ram=memory.growth if memory else None,
        host=host,
        engine=run.measured.engine_version,
        file=run.model_bytes,
    )


def _counted(counts: Counts, path: Path, clock_hz: int | None) -> Seen:
    if counts.unit != "cycles":
        raise UsageError(
            f"{path} counts {counts.unit} on {counts.board}, which are no time; profile a"
            " real board with --port"
        )
    hz = clock_hz or counts.clock_hz
    if not hz:
        raise UsageError(
            f"{path} holds cycles, and the clock of {counts.board} is not known; give it with"
            " --clock"
        )
    point = _point(counts, path)
    per_ms = hz / 1000
    clock = _mhz(hz) + ("" if clock_hz else ", the highest of its core")
    layers = tuple(one.count / per_ms for one in counts.layers)
    return Seen(
        point=point,
        variant="int8.tflite",
        threads=1,
        invoke_ms=counts.total / per_ms,
        operators=layers if len(layers) == len(latency.operators(point.cost())) else (),
        ram=counts.ram,
        host=f"{counts.board} at {clock}",
        engine=f"generated C, {counts.tools.get('compiler', '')}".rstrip(", "),
        file=counts.flash,
    )


def _mhz(hz: int) -> str:
    return f"{hz / 1e6:g} MHz"


def _point(counts: Counts, path: Path) -> Point:
    arch, alpha, side = parse_name(counts.bundle)
    if alpha is None or side is None or counts.classes < 1:
        raise RecordError(
            f"{path} is of {counts.bundle} and does not tell alpha, resolution and classes; profile"
            " the bundle again with this edgenet"
        )
    return Point(arch, alpha, side, counts.classes)
