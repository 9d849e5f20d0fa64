"""A profile as it is kept: every sample, what it was measured on, and with what.

The file is JSON.  A reader ignores keys that it does not know and refuses a newer schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from edgenet.environment import Machine, State
from edgenet.errors import RecordError
from edgenet.profile.energy import Energy
from edgenet.profile.statistics import Stats
from edgenet.profile.sustained import Sustained

SCHEMA = 1
Stage = Literal["preprocess", "invoke", "postprocess", "total"]
STAGES: tuple[Stage, ...] = ("preprocess", "invoke", "postprocess", "total")


class Settings(msgspec.Struct, frozen=True):
    """How long to measure, and on what.

    Attributes:
        num_runs: samples to take at the least.
        warmup_runs: runs before the samples, the first inference not counted.
        min_secs: seconds to go on sampling for at the least.
        max_secs: seconds after which sampling stops in any case.
        frame_width: columns of the pictures that are preprocessed.
        frame_height: rows of the pictures that are preprocessed.
        op_profile: whether each operator is timed too, in a process of its own.
        sustained_secs: how long the best run is repeated without a pause afterwards; None for not.
    """

    num_runs: int = 50
    warmup_runs: int = 10
    min_secs: float = 1.0
    max_secs: float = 150.0
    frame_width: int = 640
    frame_height: int = 480
    op_profile: bool = False
    sustained_secs: float | None = None


class Memory(msgspec.Struct, frozen=True):
    """Resident memory of the measuring process, in bytes.

    Attributes:
        before: with Python, numpy and the image library loaded, but no engine.
        loaded: with the engine and the model loaded.
        peak: the most at any time until the last sample.
    """

    before: int
    loaded: int
    peak: int

    @property
    def growth(self) -> int:
        """What engine, model and buffers add at the most."""
        return self.peak - self.before


class Operator(msgspec.Struct, frozen=True):
    """One operator of the graph as the engine runs it.

    Attributes:
        index: its place in the order of execution.
        kind: what the engine calls it.
        name: the graph's name for it, where the engine keeps one.
        avg_ms: mean time of one call.
        share: of the time of all operators, 0 to 1.
    """

    index: int
    kind: str
    name: str
    avg_ms: float
    share: float


class Measurement(msgspec.Struct, frozen=True):
    """What a fresh process measured of one variant.

    Attributes:
        engine: the inference engine.
        engine_version: its package and version.
        import_ms: time to import the engine's package.
        init_ms: time to load the model, until it can be invoked.
        first_ms: the first inference (invoke alone), before any warm-up.
        warmup_avg_ms: mean of the warm-up's inferences; None without warm-up.
        samples: each stage's milliseconds, in the order measured; ``total`` is the whole call.
        started_s: when each sample began, in seconds since the measurement did.
        memory: None where the system does not tell.
        delegated: whether XNNPACK, or another delegate, runs the model or a part of it; None for
            an engine that has no delegates.
    """

    engine: str
    engine_version: str
    import_ms: float
    init_ms: float
    first_ms: float
    warmup_avg_ms: float | None
    samples: dict[Stage, tuple[float, ...]]
    started_s: tuple[float, ...]
    memory: Memory | None
    delegated: bool | None = None


class Run(msgspec.Struct, frozen=True):
    """One variant at one thread count.

    Attributes:
        variant: the model's precision and format.
        threads: threads that the engine may use.
        model_bytes: size of the model file.
        measured: the samples.
        stats: of each stage's samples.
        states: of the machine, from before the measuring process began until after it ended.
        throttled: what slowed the machine down meanwhile; empty if nothing did, None if the
            machine cannot tell.
        operators: None where they were not timed.
        operators_reason: why the engine gave no operator times, where they were asked for.
        model_sha256: of the model file; empty in records of older versions.
        energy: None where the board does not measure its power.
    """

    variant: str
    threads: int
    model_bytes: int
    measured: Measurement
    stats: dict[Stage, Stats]
    states: tuple[State, ...]
    throttled: tuple[str, ...] | None
    operators: tuple[Operator, ...] | None = None
    operators_reason: str | None = None
    model_sha256: str = ""
    energy: Energy | None = None


class Unmeasured(msgspec.Struct, frozen=True):
    """One variant at one thread count that could not be measured.

    Attributes:
        variant: the model's precision and format.
        threads: threads that the engine should have used.
        reason: why not.
        missing: whether that is for want of a package; else something broke.
    """

    variant: str
    threads: int
    reason: str
    missing: bool


class Profile(msgspec.Struct, frozen=True):
    """All runs of one bundle on one machine.

    Attributes:
        kind: tells the record from others.
        schema: version of this layout.
        edgenet: version of edgenet that measured.
        bundle: the bundle's name.
        target: what it was exported for.
        bundle_sha256: the bundle's identity, ``Bundle.sha256``.
        arch: the network.
        alpha: its width multiplier.
        height: rows of its input.
        width: columns of its input.
        measured_at: when the measurement began; ISO 8601, UTC.
        command: what was typed.
        settings: how it was measured.
        machine: what it was measured on.
        runs: in the order measured.
        unmeasured: what this machine could not run.
        sustained: the best run repeated for minutes; None where that was not asked for.
        competitors: services that ran beside the measurement and took CPU time from it.
        classes: outputs of its classifier; 0 in records of older versions.
    """

    kind: Literal["profile"]
    schema: int
    edgenet: str
    bundle: str
    target: str
    bundle_sha256: str
    arch: str
    alpha: float
    height: int
    width: int
    measured_at: str
    command: str
    settings: Settings
    machine: Machine
    runs: tuple[Run, ...]
    unmeasured: tuple[Unmeasured, ...]
    sustained: Sustained | None = None
    competitors: tuple[str, ...] = ()
    classes: int = 0


class _Header(msgspec.Struct):
    kind: str = ""
    schema: int = 0


def run_title(variant: str, threads: int) -> str:
    """What tells a run from the others of its profile.

    >>> run_title("int8.tflite", 2)
    'int8.tflite, 2 threads'
    """
    return f"{variant}, {threads} thread{'' if threads == 1 else 's'}"


def encode(profile: Profile) -> bytes:
    """The record as JSON."""
    return msgspec.json.format(msgspec.json.encode(profile), indent=2) + b"\n"


def check(text: bytes, name: str, schemas: Mapping[str, int]) -> str:
    """The kind of a record, which must be one of those that ``schemas`` gives the newest of.

    Raises:
        RecordError: it is another kind, no JSON, or of a newer schema; names ``name``.
    """
    try:
        header = msgspec.json.decode(text, type=_Header)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecordError(f"{name} is not a profile of edgenet: {error}") from error
    if header.kind not in schemas:
        raise RecordError(
            f"{name} is not a profile of edgenet; write one with: edgenet profile BUNDLE --json"
        )
    newest = schemas[header.kind]
    if header.schema > newest:
        raise RecordError(
            f"{name} has schema {header.schema}, this edgenet reads up to {newest}; upgrade edgenet"
        )
    return header.kind


def decode(text: bytes, name: str = "profile") -> Profile:
    """Read a record back.

    Raises:
        RecordError: it is not a profile, is malformed, or is of a newer schema; names ``name``.
    """
    check(text, name, {"profile": SCHEMA})
    try:
        return msgspec.json.decode(text, type=Profile)
    except msgspec.DecodeError as error:
        raise RecordError(f"{name} is malformed: {error}; measure again") from error


def load(path: Path) -> bytes:
    """The content of a record's file.

    Raises:
        RecordError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise RecordError(f"{path} cannot be read: {error.strerror}") from error


def read(path: Path) -> Profile:
    """Read a record's file; raises as ``decode`` and ``load`` do."""
    return decode(load(path), str(path))
