"""Which of several models is the fastest on this machine: measured once, then remembered.

What was measured is kept outside the bundle, which must stay as its manifest says: in the bundle's
run directory, one folder a bundle below the state directory of the user, or of the service
(``STATE_DIRECTORY``, which systemd sets).
"""

from __future__ import annotations

import logging
import os
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter

import msgspec

from edgenet import image, runtime
from edgenet.bundle import Bundle
from edgenet.environment import Probe
from edgenet.files import write_atomic
from edgenet.runner import Array, Session
from edgenet.spec import Variant

log = logging.getLogger(__name__)

SECONDS = 0.5
"""How long each model is measured, at least; a model takes some milliseconds."""

_WARM_UP = 3
_LEAST_RUNS = 5
_FILE = "backend.json"


class Measured(msgspec.Struct, frozen=True):
    """What is remembered, and of what it is true.

    Attributes:
        bundle: its sha256.
        machine: board, processor and cores.
        engines: package and version by variant.
        threads: that the engines were given.
        ms: median milliseconds of one inference, by variant.
    """

    bundle: str
    machine: str
    engines: dict[Variant, str]
    threads: int
    ms: dict[Variant, float]


class Fastest(msgspec.Struct, frozen=True):
    """The choice.

    Attributes:
        variant: the fastest; of equal ones the first.
        ms: of each, as in ``Measured``.
        recalled: whether it was measured before.
    """

    variant: Variant
    ms: Mapping[Variant, float]
    recalled: bool


def fastest(bundle: Bundle, variants: Sequence[Variant], *, threads: int) -> Fastest:
    """The fastest of the bundle's variants here; a folder that cannot be written is no error.

    Raises:
        EngineError: an engine cannot run its model.
    """
    engines = {variant: runtime.check(variant) for variant in variants}
    wanted = Measured(bundle.sha256, _machine(), engines, threads, {})
    file = run_directory(bundle) / _FILE
    found = _recall(file)
    if found is not None and msgspec.structs.replace(found, ms={}) == wanted:
        return Fastest(min(variants, key=found.ms.__getitem__), found.ms, recalled=True)
    ms = measure(bundle, variants, threads=threads)
    _remember(file, msgspec.structs.replace(wanted, ms=ms))
    return Fastest(min(variants, key=ms.__getitem__), ms, recalled=False)


def run_directory(bundle: Bundle) -> Path:
    """Where what concerns a bundle on this machine is kept."""
    service = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    user = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    state = Path(service) if service else Path(user) / "edgenet"
    return state / "bundles" / bundle.sha256[:16]


def measure(bundle: Bundle, variants: Sequence[Variant], *, threads: int) -> dict[Variant, float]:
    """Median milliseconds of one inference; the variants take turns, so that heat meets all.

    Raises:
        EngineError: an engine cannot run its model.
    """
    sessions = {
        variant: runtime.backend_for(variant).open(bundle.model(variant), threads=threads)
        for variant in variants
    }
    inputs = {variant: _input(bundle, variant) for variant in variants}
    for variant, session in sessions.items():
        for _ in range(_WARM_UP):
            session.run([inputs[variant]])
    times: dict[Variant, list[float]] = {variant: [] for variant in variants}
    end = perf_counter() + SECONDS * len(variants)
    while perf_counter() < end or len(times[variants[0]]) < _LEAST_RUNS:
        for variant, session in sessions.items():
            times[variant].append(_once(session, inputs[variant]))
    return {variant: round(statistics.median(found), 4) for variant, found in times.items()}


def _input(bundle: Bundle, variant: Variant) -> Array:
    pixels = bundle.golden().inputs[0]
    return image.as_tensor(pixels, bundle.spec.preprocess, bundle.record(variant).inputs[0])


def _once(session: Session, value: Array) -> float:
    start = perf_counter()
    session.run([value])
    return (perf_counter() - start) * 1e3


def _machine() -> str:
    machine = Probe().machine()
    return f"{machine.board}, {machine.cpu}, {machine.architecture}, {machine.cores} cores"


def _recall(file: Path) -> Measured | None:
    """What was measured before; None where nothing was, or where it cannot be read."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Measured)
    except (OSError, msgspec.DecodeError) as error:
        log.debug("nothing is remembered: %s", error)
        return None


def _remember(file: Path, measured: Measured) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(file, msgspec.json.format(msgspec.json.encode(measured), indent=2) + b"\n")
    except OSError as error:
        log.warning("%s cannot be written (%s); the next run measures again", file, error.strerror)
