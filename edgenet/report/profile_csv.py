"""A profile as CSV for a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator

import msgspec

from edgenet.profile.record import STAGES, Profile, Run
from edgenet.profile.statistics import Stats
from edgenet.profile.sustained import Sustained

_STATS = Stats.__struct_fields__
FIELDS = (
    *("host", "measured_at", "bundle", "target", "bundle_sha256", "variant", "model_sha256"),
    *("engine", "engine_version", "delegated", "threads", "part", "stage", *_STATS),
    *("init_ms", "first_ms", "warmup_avg_ms", "model_bytes", "memory_bytes", "throttled"),
    *("governor", "mhz_min", "mhz_max", "temperature_c_max", "watts", "mj_per_frame"),
    *("competitors", "board", "cpu", "cores", "emulator", "os", "python", "edgenet"),
)


def text(profile: Profile) -> str:
    """One row for each stage of each run, with all that it was measured on; unknowns are empty.

    A sustained run has two rows more: ``part`` is ``run`` for the others, ``burst`` and
    ``sustained`` for its.
    """
    return text_of([("", profile)])


def text_of(profiles: Iterable[tuple[str, Profile]]) -> str:
    """The rows of several machines: the name of each, and its profile."""
    out = io.StringIO()
    writer = csv.DictWriter(out, FIELDS, lineterminator="\n")
    writer.writeheader()
    for host, profile in profiles:
        writer.writerows({"host": host} | row for row in _rows(profile))
    return out.getvalue()


def _rows(profile: Profile) -> Iterator[dict[str, object]]:
    for run in profile.runs:
        common = _common(profile) | _of(run) | {"part": "run"}
        for stage in STAGES:
            yield common | {"stage": stage} | msgspec.structs.asdict(run.stats[stage])
    lasting = profile.sustained
    if lasting is not None:
        common = _common(profile) | _states(lasting) | {"stage": "invoke"}
        parts = {"burst": lasting.timeline.burst, "sustained": lasting.timeline.sustained}
        for part, stats in parts.items():
            yield common | {"part": part} | msgspec.structs.asdict(stats)


def _common(profile: Profile) -> dict[str, object]:
    machine = profile.machine
    return {
        "measured_at": profile.measured_at,
        "bundle": profile.bundle,
        "target": profile.target,
        "bundle_sha256": profile.bundle_sha256,
        "competitors": "; ".join(profile.competitors),
        "board": machine.board,
        "cpu": machine.cpu,
        "cores": machine.cores,
        "emulator": machine.emulator,
        "os": machine.os,
        "python": machine.python,
        "edgenet": profile.edgenet,
    }


def _of(run: Run) -> dict[str, object]:
    found, cost = run.measured, run.energy
    return _states(run) | {
        "model_sha256": run.model_sha256,
        "engine": found.engine,
        "engine_version": found.engine_version,
        "delegated": found.delegated,
        "init_ms": found.init_ms,
        "first_ms": found.first_ms,
        "warmup_avg_ms": found.warmup_avg_ms,
        "model_bytes": run.model_bytes,
        "memory_bytes": found.memory.growth if found.memory else None,
        "watts": cost.watts if cost else None,
        "mj_per_frame": cost.mj_per_frame if cost else None,
    }


def _states(run: Run | Sustained) -> dict[str, object]:
    clocks = [mhz for state in run.states for mhz in state.mhz]
    heat = [state.temperature_c for state in run.states if state.temperature_c is not None]
    return {
        "variant": run.variant,
        "threads": run.threads,
        "throttled": None if run.throttled is None else "; ".join(run.throttled) or "no",
        "governor": next((state.governor for state in run.states), None),
        "mhz_min": min(clocks, default=None),
        "mhz_max": max(clocks, default=None),
        "temperature_c_max": max(heat, default=None),
    }
