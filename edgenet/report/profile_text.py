"""A profile as text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from edgenet.profile.advice import notes, title
from edgenet.profile.recommend import recommend
from edgenet.profile.record import STAGES, Profile, Run, run_title
from edgenet.profile.sustained import Sustained
from edgenet.report import profile_engines, profile_lasting
from edgenet.report.text import table
from edgenet.report.units import between, ms, size


def text(profile: Profile) -> str:
    """The machine, the latencies, what they consist of, and what must be said beside them."""
    parts = [_header(profile)]
    if profile.runs:
        parts += [_latency(profile), *profile_engines.text(profile), _stages(profile)]
    parts += profile_lasting.text(profile)
    parts += _energy(profile)
    parts += [_operators(run) for run in profile.runs if run.operators]
    parts += [f"note: {note}" for note in notes(profile)]
    best = recommend(profile)
    if best is not None:
        mark = "  THROTTLED" if best.throttled else ""
        why = f"; {best.why}" if best.why else ""
        name = run_title(best.variant, best.threads)
        parts.append(f"recommended: {name}, {ms(best.p50_ms)} ms a frame{mark}{why}")
    return "\n\n".join(parts) + "\n"


def place(profile: Profile) -> str:
    """The machine in a few words."""
    machine = profile.machine
    words = [machine.cpu, machine.board, f"{machine.cores} core{'s' * (machine.cores != 1)}"]
    made = f"EMULATED ({machine.emulator})" if machine.emulator else None
    words += [machine.os, made or ("virtual machine" if machine.virtual else None)]
    return ", ".join(word for word in words if word)


def engines(profile: Profile) -> str:
    """The engines that ran, with their versions."""
    found = {f"{run.measured.engine} {run.measured.engine_version}" for run in profile.runs}
    return ", ".join(sorted(found)) or "no engine"


def watched(profile: Profile) -> tuple[Run | Sustained, ...]:
    """Everything that the machine's state was recorded beside."""
    return profile.runs + (() if profile.sustained is None else (profile.sustained,))


def governor(runs: Sequence[Run | Sustained]) -> str | None:
    """What decided the clock frequency; None where it is not known."""
    found = {state.governor for run in runs for state in run.states if state.governor}
    return ", ".join(sorted(found)) or None


def clock(runs: Sequence[Run | Sustained]) -> str | None:
    """The range of all cores' frequencies; None where it is not known."""
    states = [state for run in runs for state in run.states]
    asked = [mhz for state in states for mhz in state.mhz]
    measured = [state.arm_mhz for state in states if state.arm_mhz is not None]
    if not measured:
        return f"{between(asked)} MHz" if asked else None
    found = f"{between(measured)} MHz measured"
    differ = asked and between(asked) != between(measured)
    return f"{found}, {between(asked)} MHz asked for" if differ else found


def temperature(runs: Sequence[Run | Sustained]) -> str | None:
    """The range of temperatures; None where it is not known."""
    known = [state.temperature_c for run in runs for state in run.states]
    found = [celsius for celsius in known if celsius is not None]
    return f"{between(found)} °C" if found else None


def throttling(runs: Sequence[Run | Sustained]) -> str | None:
    """Whether the machine was slowed down; None where it cannot be known."""
    slowed = sum(bool(run.throttled) for run in runs)
    if slowed:
        return f"THROTTLED in {slowed} of {len(runs)} runs"
    return "not throttled" if runs and all(run.throttled is not None for run in runs) else None


def _header(profile: Profile) -> str:
    runs, settings = watched(profile), profile.settings
    state = (
        f"governor {governor(runs) or 'not known'}",
        clock(runs) or "clock not known",
        temperature(runs) or "temperature not known",
        throttling(runs) or "throttling not known",
    )
    versions = f"{engines(profile)}; Python {profile.machine.python}, edgenet {profile.edgenet}"
    return "\n".join(
        (
            f"{profile.bundle}, exported for {profile.target}, on {place(profile)}",
            f"  {versions}",
            f"  {'; '.join(state)}",
            f"  {settings.warmup_runs} warm-up runs, then at least {settings.num_runs} runs and"
            f" {settings.min_secs:g} s; every sample is kept",
        )
    )


def _latency(profile: Profile) -> str:
    rows = []
    for run in profile.runs:
        stats = run.stats["invoke"]
        spread = (stats.min_ms, stats.p50_ms, stats.p90_ms, stats.p95_ms, stats.p99_ms)
        times = map(ms, (*spread, stats.max_ms, stats.avg_ms, stats.std_ms))
        rows.append((run.variant, run.threads, stats.count, *times))
    heads = ("runs", "min", "p50", "p90", "p95", "p99", "max", "mean", "std")
    lines = table(("variant", "threads", *heads), rows)
    return "inference (invoke alone), milliseconds\n" + _marked(lines, profile.runs)


def _stages(profile: Profile) -> str:
    rows = []
    for run in profile.runs:
        found = run.measured
        medians = (run.stats[stage].p50_ms for stage in STAGES)
        times = map(ms, (found.init_ms, found.first_ms, found.warmup_avg_ms, *medians))
        memory = size(found.memory.growth if found.memory else None)
        rows.append((run.variant, run.threads, *times, memory, size(run.model_bytes)))
    settings = profile.settings
    caption = (
        "load, first inference, mean of the warm-up, and the median of each stage, milliseconds;"
        f"\npictures of {settings.frame_width}x{settings.frame_height} are fitted to"
        f" {profile.width}x{profile.height}; memory is what engine and model add at the peak"
    )
    heads = ("load", "first", "warm-up", "preprocess", "invoke", "postprocess", "total")
    lines = table(("variant", "threads", *heads, "memory", "model"), rows)
    return f"{caption}\n{_marked(lines, profile.runs)}"


def _energy(profile: Profile) -> list[str]:
    runs = [run for run in profile.runs if run.energy is not None]
    if not runs:
        return []
    rows = []
    for run in runs:
        cost = run.energy
        if cost is not None:
            idle = None if cost.idle_watts is None else f"{cost.idle_watts:.2f}"
            spent = f"{cost.mj_per_frame:.1f}", f"{cost.watts:.2f}"
            rows.append((run.variant, run.threads, *spent, idle, cost.readings))
    lines = table(("variant", "threads", "mJ a frame", "W", "W idle", "readings"), rows)
    return [f"energy of the rails that the board measures\n{_marked(lines, runs)}"]


def _operators(run: Run, most: int = 10) -> str:
    operators = sorted(run.operators or (), key=lambda one: -one.avg_ms)
    rows = [
        (one.kind, one.name, one.index, ms(one.avg_ms), f"{one.share:.1%}")
        for one in operators[:most]
    ]
    left = len(operators) - len(rows)
    more = f"\n... and {left} more" if left > 0 else ""
    caption = f"slowest operators of {title(run)}, timed in a run of their own{_mark(run)}"
    heads = ("operator", "name", "place", "ms", "share")
    return f"{caption}\n{table(heads, rows, texts=2)}{more}"


def _marked(lines: str, runs: Sequence[Run]) -> str:
    """A table's lines with the mark of each run that was slowed down."""
    heading, *rows = lines.splitlines()
    marked = (line + _mark(run) for line, run in zip(rows, runs, strict=True))
    return "\n".join((heading, *marked))


def _mark(run: Run) -> str:
    return f"  THROTTLED ({', '.join(run.throttled)})" if run.throttled else ""
