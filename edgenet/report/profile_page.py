"""A profile as an HTML page: tables, distributions, stages, time series, machine."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from edgenet.profile.advice import notes, title
from edgenet.profile.recommend import recommend
from edgenet.profile.record import STAGES, Profile, Run, run_title
from edgenet.report import html, plot, profile_engines, profile_lasting, profile_machine
from edgenet.report.html import Markup, Section, badge, escape
from edgenet.report.plot import Axes, Series
from edgenet.report.profile_text import (
    clock,
    engines,
    governor,
    place,
    temperature,
    throttling,
    watched,
)
from edgenet.report.units import ms, size
from edgenet.spec import VARIANTS

_PREPROCESS, _POSTPROCESS = 6, 7


def page(profile: Profile) -> str:
    """The whole document."""
    return html.page(f"{profile.bundle}: profile", sections(profile), lead=lead(profile))


def lead(profile: Profile) -> str:
    """What was measured, where and when: what a page says first."""
    when = datetime.fromisoformat(profile.measured_at).strftime("%Y-%m-%d %H:%M %Z")
    return html.paragraph(f"Exported for {profile.target}; measured {when} on {place(profile)}.")


def sections(profile: Profile) -> list[Section]:
    """The parts of the page, for a report that has others too."""
    if not profile.runs:
        return [Section("latency", "Latency", _notes(profile)), profile_machine.section(profile)]
    lasting = profile.sustained
    return [
        Section("latency", "Latency", _latency(profile)),
        *profile_lasting.sections(profile, colour_of(lasting.variant) if lasting else 1),
        Section("stages", "Stages, load and memory", _stages(profile) + _energy(profile)),
        Section("runs", "Every run", "".join(_run(profile, run) for run in profile.runs)),
        profile_machine.section(profile),
    ]


def _latency(profile: Profile) -> str:
    rows = []
    for run in profile.runs:
        one = run.stats["invoke"]
        spread = (one.p50_ms, one.p90_ms, one.p95_ms, one.p99_ms, one.min_ms, one.max_ms)
        times = map(ms, (*spread, one.avg_ms, one.std_ms))
        rows.append((_name(run), run.threads, *times, one.count))
    heads = ("p50", "p90", "p95", "p99", "min", "max", "mean", "std", "runs")
    counts = sorted({run.threads for run in profile.runs})
    return (
        _conditions(profile)
        + _notes(profile)
        + html.table(
            ("variant", "threads", *heads),
            rows,
            caption="Inference (invoke alone), milliseconds; every sample is kept.",
        )
        + profile_engines.markup(profile)
        + plot.legend([(colour_of(name), name) for name in _variants(profile)])
        + html.figures(_distribution(profile, threads) for threads in counts)
    )


def _conditions(profile: Profile) -> str:
    runs = watched(profile)
    slowed = throttling(runs)
    shown: object = slowed
    if slowed is not None:
        kind = "bad" if any(run.throttled for run in runs) else "ok"
        shown = badge(slowed, kind)
    return html.facts(
        [
            ("recommended", recommendation(profile)),
            ("engines", engines(profile)),
            ("governor", governor(runs)),
            ("clock", clock(runs)),
            ("temperature", temperature(runs)),
            ("throttling", shown),
        ]
    ) + _why(profile)


def recommendation(profile: Profile) -> Markup | None:
    """What to run, from picture to answer; None where nothing was measured."""
    best = recommend(profile)
    if best is None:
        return None
    mark = f" {badge('throttled', 'bad')}" if best.throttled else ""
    name = run_title(best.variant, best.threads)
    return Markup(f"{escape(name)}: {ms(best.p50_ms)} ms a frame{mark}")


def _why(profile: Profile) -> str:
    best = recommend(profile)
    if best is None or not best.why:
        return ""
    name = run_title(best.variant, best.threads)
    return html.paragraph(f"{name} is recommended: {best.why}.")


def _notes(profile: Profile) -> str:
    return "".join(map(html.note, notes(profile)))


def _distribution(profile: Profile, threads: int) -> str:
    runs = [run for run in profile.runs if run.threads == threads]
    series = [
        Series(
            colour_of(run.variant),
            plot.cumulative(run.measured.samples["invoke"]),
            title(run),
            "step",
        )
        for run in runs
    ]
    axes = Axes("milliseconds of invoke (logarithmic)", "% of runs", log_x=True, y_range=(0, 100))
    caption = f"{threads} thread{'s' * (threads != 1)}: share of runs that took at most so long"
    slow = [run.variant for run in runs if run.throttled]
    if slow:
        caption += f"; THROTTLED: {', '.join(slow)}"
    return html.figure(plot.plot(series, axes, title=caption), caption)


def _stages(profile: Profile) -> str:
    rows = []
    for run in profile.runs:
        found = run.measured
        medians = (run.stats[stage].p50_ms for stage in STAGES)
        times = map(ms, (found.import_ms, found.init_ms, found.first_ms, found.warmup_avg_ms))
        memory = size(found.memory.growth if found.memory else None)
        rows.append(
            (_name(run), run.threads, *times, *map(ms, medians), memory, size(run.model_bytes))
        )
    heads = ("import", "load", "first", "warm-up", *STAGES, "peak memory", "model")
    settings = profile.settings
    bars = [
        (
            title(run) + (" (THROTTLED)" if run.throttled else ""),
            [
                (_PREPROCESS, run.stats["preprocess"].p50_ms, "preprocess"),
                (colour_of(run.variant), run.stats["invoke"].p50_ms, "invoke"),
                (_POSTPROCESS, run.stats["postprocess"].p50_ms, "postprocess"),
            ],
        )
        for run in profile.runs
    ]
    key = [
        (_PREPROCESS, "preprocess"),
        *((colour_of(v), f"invoke, {v}") for v in _variants(profile)),
    ]
    caption = "Medians of the stages of one frame"
    return (
        html.table(
            ("variant", "threads", *heads),
            rows,
            caption=f"Milliseconds; medians for the stages. Pictures of {settings.frame_width}x"
            f"{settings.frame_height} are fitted to {profile.width}x{profile.height}. Memory is "
            "what engine and model add at the peak.",
        )
        + plot.legend([*key, (_POSTPROCESS, "postprocess")])
        + html.figures([html.figure(plot.bars(bars, unit="ms", title=caption), caption)])
    )


def _energy(profile: Profile) -> str:
    rows = []
    for run in profile.runs:
        cost = run.energy
        if cost is not None:
            idle = None if cost.idle_watts is None else f"{cost.idle_watts:.2f}"
            spent = f"{cost.mj_per_frame:.1f}", f"{cost.watts:.2f}"
            rows.append((_name(run), run.threads, *spent, idle, cost.readings))
    if not rows:
        return ""
    return html.table(
        ("variant", "threads", "mJ a frame", "W", "W idle", "readings"),
        rows,
        caption="Energy of the rails that the board measures; the idle board's part is included.",
    )


def _run(profile: Profile, run: Run) -> str:
    stats, samples = run.stats["invoke"], run.measured.samples["invoke"]
    slow = html.paragraph(f"Throttled: {', '.join(run.throttled)}.") if run.throttled else ""
    outline = Series(colour_of(run.variant), plot.histogram(samples), title(run), "area")
    counts = Axes("milliseconds of invoke", "runs")
    over_time = Series(
        colour_of(run.variant),
        plot.thin(list(zip(run.measured.started_s, samples, strict=True))),
        title(run),
        "dots",
    )
    marks = ((stats.p50_ms, f"p50 {ms(stats.p50_ms)}"), (stats.p99_ms, f"p99 {ms(stats.p99_ms)}"))
    times = Axes("seconds", "ms", marks=marks)
    figures = [
        html.figure(
            plot.plot([outline], counts, title=f"histogram of {title(run)}"),
            f"{stats.count} runs; {ms(stats.min_ms)} to {ms(stats.max_ms)} ms",
        ),
        html.figure(
            plot.plot([over_time], times, title=f"latency over time of {title(run)}"),
            "invoke over time",
        ),
        *_states(run),
    ]
    summary = title(run) + (" THROTTLED" if run.throttled else "")
    first = run == profile.runs[0]
    return html.details(summary, slow + html.figures(figures) + _operators(run), shown=first)


def _states(run: Run) -> Iterator[str]:
    """Temperature and clock over time, where the machine tells them."""
    heat = [(state.at_s, state.temperature_c) for state in run.states]
    known = [(at_s, celsius) for at_s, celsius in heat if celsius is not None]
    clocks = [(state.at_s, max(state.mhz)) for state in run.states if state.mhz]
    for points, unit, name in ((known, "°C", "temperature"), (clocks, "MHz", "clock")):
        if len(points) > 1:
            series = Series(colour_of(run.variant), points, title(run))
            around = [value for _, value in points]
            limits = (min(around) - 2, max(around) + 2) if unit == "°C" else None
            axes = Axes("seconds since the first sample", unit, y_range=limits)
            drawn = plot.plot([series], axes, title=f"{name} during {title(run)}")
            yield html.figure(drawn, f"{name} of the fastest core" if unit == "MHz" else name)


def _operators(run: Run) -> str:
    if not run.operators:
        return ""
    rows = [
        (one.kind, one.name, one.index, ms(one.avg_ms), f"{one.share:.1%}") for one in run.operators
    ]
    table = html.table(
        ("operator", "name", "place", "ms", "share"),
        rows,
        texts=2,
        caption="Mean time of each operator in the order of execution, in a run of its own.",
    )
    return html.details(f"{len(rows)} operators", table)


def _name(run: Run) -> Markup:
    mark = f" {badge('throttled', 'bad')}" if run.throttled else ""
    return Markup(escape(run.variant) + mark)


def _variants(profile: Profile) -> list[str]:
    return list(dict.fromkeys(run.variant for run in profile.runs))


def colour_of(variant: str) -> int:
    """The colour of a variant, the same in every plot: 1 to 8."""
    return [*VARIANTS].index(variant) + 1 if variant in VARIANTS else 1
