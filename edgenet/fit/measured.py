"""Saved measurements as networks with what they took."""

from __future__ import annotations

from pathlib import Path

from edgenet.architecture import ARCHITECTURES, parse_name
from edgenet.errors import RecordError, UsageError
from edgenet.fit import latency
from edgenet.fit.calibration import Seen
from edgenet.fit.point import Point
from edgenet.mcu import counting
from edgenet.mcu.counting import Counts
from edgenet.profile import profiles
from edgenet.profile.record import Profile, Run


def read(path: Path) -> list[Seen]:
    """What ``edgenet profile --json`` wrote, of an engine or of a real microcontroller.

    Raises:
        RecordError: it cannot be read, is no profile, or does not tell its network.
        UsageError: it counts instructions, which are no time.
    """
    counts = counting.read(path)
    if counts is not None:
        return [_counted(counts, path)]
    return of_profile(profiles.read_one(path), str(path))


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
    machine = profile.machine
    host = ", ".join(word for word in (machine.board, machine.cpu, machine.architecture) if word)
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


def _counted(counts: Counts, path: Path) -> Seen:
    if counts.unit != "cycles" or not counts.clock_hz:
        raise UsageError(
            f"{path} counts {counts.unit} on {counts.board}, which are no time; profile a"
            " real board with --port"
        )
    point = _point(counts, path)
    per_ms = counts.clock_hz / 1000
    layers = tuple(one.count / per_ms for one in counts.layers)
    return Seen(
        point=point,
        variant="int8.tflite",
        threads=1,
        invoke_ms=counts.total / per_ms,
        operators=layers if len(layers) == len(latency.operators(point.cost())) else (),
        ram=counts.ram,
        host=counts.board,
        engine=f"generated C, {counts.tools.get('compiler', '')}".rstrip(", "),
        file=counts.flash,
    )


def _point(counts: Counts, path: Path) -> Point:
    arch, alpha, side = parse_name(counts.bundle)
    if alpha is None or side is None or counts.classes < 1:
        raise RecordError(
            f"{path} is of {counts.bundle} and does not tell alpha, resolution and classes; profile"
            " the bundle again with this edgenet"
        )
    return Point(arch, alpha, side, counts.classes)
