"""A sustained run in a report: burst against sustained, and when the board was slowed down."""

from __future__ import annotations

from collections.abc import Iterator

from edgenet.environment import Episode, episodes
from edgenet.profile.record import Profile, run_title
from edgenet.profile.statistics import Stats
from edgenet.profile.sustained import Sustained
from edgenet.report import html, profile_timeline
from edgenet.report.html import Markup, Section, badge, escape
from edgenet.report.text import table
from edgenet.report.units import between, ms

_EPISODES = 6
_HEADS = ("runs", "min", "p50", "p90", "p95", "p99", "max", "mean")


def text(profile: Profile) -> list[str]:
    """The part for a terminal; nothing without a sustained run."""
    found = profile.sustained
    if found is None:
        return []
    mark = f"  THROTTLED ({', '.join(found.throttled)})" if found.throttled else ""
    rows = [(name, *_cells(stats)) for name, stats in _parts(found)]
    lines = table(("invoke, milliseconds", *_HEADS), rows).splitlines()
    marked = [lines[0], *(line + mark for line in lines[1:])]
    return [
        "\n".join((f"sustained: {_title(found)}", *marked, *(f"  {one}" for one in facts(found))))
    ]


def sections(profile: Profile, colour: int) -> list[Section]:
    """The part of a page; nothing without a sustained run.

    Args:
        profile: what was measured.
        colour: of the model, 1 to 8.
    """
    found = profile.sustained
    if found is None:
        return []
    slowed, mark = None, ""
    if found.throttled is not None:
        words = f"throttled: {', '.join(found.throttled)}" if found.throttled else "not throttled"
        slowed = badge(words, "bad" if found.throttled else "ok")
        mark = f" {badge('throttled', 'bad')}" if found.throttled else ""
    line = found.timeline
    body = (
        html.facts(
            [
                ("model", _title(found)),
                ("burst p50", Markup(f"{ms(line.burst.p50_ms)} ms{mark}")),
                ("sustained p50", Markup(f"{ms(line.sustained.p50_ms)} ms{mark}")),
                ("sustained over burst", Markup(f"{line.slowdown:.2f} times{mark}")),
                ("throttling", slowed),
            ]
        )
        + html.table(
            ("invoke", *_HEADS),
            [(Markup(escape(name) + mark), *_cells(stats)) for name, stats in _parts(found)],
            caption="Inference (invoke alone), milliseconds.",
        )
        + profile_timeline.figure(found, colour)
        + "".join(html.paragraph(f"{one[:1].upper()}{one[1:]}.") for one in facts(found))
    )
    return [Section("sustained", "Sustained", body)]


def facts(found: Sustained) -> Iterator[str]:
    """What is to be said of a sustained run, in sentences without a full stop."""
    line = found.timeline
    mark = " (THROTTLED)" if found.throttled else ""
    yield f"sustained over burst: {line.slowdown:.2f} times as long{mark}"
    heat = [state.temperature_c for state in found.states if state.temperature_c is not None]
    if heat:
        cooled = f", after {found.cooled_s:.0f} s of cooling down" if found.cooled_s else ""
        yield f"temperature from {heat[0]:.0f} to at most {max(heat):.0f} °C{cooled}"
    clocks = [max(state.mhz) for state in found.states if state.mhz]
    measured = [state.arm_mhz for state in found.states if state.arm_mhz is not None]
    if clocks or measured:
        yield f"clock {between(measured or clocks)} MHz"
    watts = [state.watts for state in found.states if state.watts is not None]
    if watts:
        yield f"power {min(watts):.1f} to {max(watts):.1f} W, of the rails that the board measures"
    slowed = episodes(found.states)
    for one in slowed[:_EPISODES]:
        yield f"slowed down {_when(one)}: {', '.join(one.reasons)}"
    if len(slowed) > _EPISODES:
        whole = sum(one.to_s - one.from_s for one in slowed)
        yield f"slowed down {len(slowed)} times in all, for {whole:.0f} s together"
    if found.throttled is None:
        yield "whether the board was slowed down is not known: it does not tell"


def _title(found: Sustained) -> str:
    return f"{run_title(found.variant, found.threads)}, {found.timeline.seconds:.0f} s"


def _parts(found: Sustained) -> tuple[tuple[str, Stats], tuple[str, Stats]]:
    line = found.timeline
    return (
        (f"burst (first {line.burst_s:g} s)", line.burst),
        ("sustained (last third)", line.sustained),
    )


def _cells(stats: Stats) -> tuple[object, ...]:
    spread = (stats.min_ms, stats.p50_ms, stats.p90_ms, stats.p95_ms, stats.p99_ms, stats.max_ms)
    return (stats.count, *map(ms, (*spread, stats.avg_ms)))


def _when(one: Episode) -> str:
    if one.to_s <= 0:
        return "before the first sample"
    begin, end = f"{max(0.0, one.from_s):.0f}", f"{one.to_s:.0f}"
    return f"at {end} s" if begin == end else f"from {begin} s to {end} s"
