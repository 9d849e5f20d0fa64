"""A profile as CSV for a spreadsheet."""

from __future__ import annotations

import csv
import io

import msgspec

from edgenet.profile.record import STAGES, Profile, Run
from edgenet.profile.statistics import Stats

_STATS = Stats.__struct_fields__
FIELDS = (
    *("measured_at", "bundle", "target", "bundle_sha256", "variant", "engine"),
    *("engine_version", "threads", "stage", *_STATS, "init_ms", "first_ms", "warmup_avg_ms"),
    *("model_bytes", "memory_bytes", "throttled", "governor", "mhz_min", "mhz_max"),
    *("temperature_c_max", "board", "cpu", "cores", "os", "python", "edgenet"),
)


def text(profile: Profile) -> str:
    """One row for each stage of each run, with all that it was measured on; unknowns are empty."""
    out = io.StringIO()
    writer = csv.DictWriter(out, FIELDS, lineterminator="\n")
    writer.writeheader()
    for run in profile.runs:
        common = _common(profile) | _of(run)
        for stage in STAGES:
            writer.writerow(common | {"stage": stage} | msgspec.structs.asdict(run.stats[stage]))
    return out.getvalue()


def _common(profile: Profile) -> dict[str, object]:
    machine = profile.machine
    return {
        "measured_at": profile.measured_at,
        "bundle": profile.bundle,
        "target": profile.target,
        "bundle_sha256": profile.bundle_sha256,
        "board": machine.board,
        "cpu": machine.cpu,
        "cores": machine.cores,
        "os": machine.os,
        "python": machine.python,
        "edgenet": profile.edgenet,
    }


def _of(run: Run) -> dict[str, object]:
    found = run.measured
    clocks = [mhz for state in run.states for mhz in state.mhz]
    heat = [state.temperature_c for state in run.states if state.temperature_c is not None]
    return {
        "variant": run.variant,
        "engine": found.engine,
        "engine_version": found.engine_version,
        "threads": run.threads,
        "init_ms": found.init_ms,
        "first_ms": found.first_ms,
        "warmup_avg_ms": found.warmup_avg_ms,
        "model_bytes": run.model_bytes,
        "memory_bytes": found.memory.growth if found.memory else None,
        "throttled": None if run.throttled is None else "; ".join(run.throttled) or "no",
        "governor": next((state.governor for state in run.states), None),
        "mhz_min": min(clocks, default=None),
        "mhz_max": max(clocks, default=None),
        "temperature_c_max": max(heat, default=None),
    }
