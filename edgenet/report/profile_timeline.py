"""The time line of a sustained run: latency, temperature, clock and power above one another.

All panels share the axis of time; the stretches in which the board was slowed down are shaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from edgenet.environment import Episode, State, episodes
from edgenet.profile.record import run_title
from edgenet.profile.sustained import Sustained
from edgenet.report import html, plot
from edgenet.report.html import escape
from edgenet.report.plot import Points
from edgenet.report.units import ms

WIDTH = 720
_LEFT, _RIGHT, _TITLE, _GAP, _BOTTOM = 44, 16, 22, 14, 34
_TALL, _LOW = 170, 80
_GREY = 6
_WORD = 58
_HEADROOM = 1.15
_THIN = 2.0
_LEGEND_TAIL = "; shaded: throttled"


@dataclass(frozen=True, slots=True)
class Panel:
    """One quantity over time.

    Attributes:
        title: what it is, with its unit.
        lines: points of each line and its colour, 1 to 8.
        height: of its area.
        low: the least value of its axis; from the points when None.
        marks: values at which a dashed line is drawn, with its text.
    """

    title: str
    lines: Sequence[tuple[int, Points]]
    height: int
    low: float | None = None
    marks: Sequence[tuple[float, str]] = field(default=())


def figure(found: Sustained, colour: int) -> str:
    """The drawing, with its caption; scrolls sideways on a narrow screen."""
    panels = [_latency(found, colour), *_states(found.states)]
    slowed = episodes(found.states)
    end = max(found.timeline.seconds, found.timeline.window_s)
    title = f"{run_title(found.variant, found.threads)} over {found.timeline.seconds:.0f} s"
    drawn = draw(panels, end, slowed, title=title)
    caption = (
        f"Median and 99th percentile of each {found.timeline.window_s:g} s of invoke; the machine"
        f" was looked at four times a second{_LEGEND_TAIL if slowed else ''}"
    )
    key = [(colour, "p50 of invoke"), (_GREY, "p99 of invoke")]
    inner = html.figure(drawn, caption).replace("<figure>", '<figure class="wide">', 1)
    return plot.legend(key) + inner


def draw(panels: Sequence[Panel], end_s: float, slowed: Iterable[Episode], *, title: str) -> str:
    """Panels one below the other.

    Args:
        panels: at least one.
        end_s: seconds, the right end of the axis.
        slowed: stretches to shade.
        title: read out by screen readers.
    """
    across = _scale((0.0, end_s), _LEFT, WIDTH - _RIGHT)
    body: list[str] = []
    top = 0
    shades = [
        (across(max(0.0, one.from_s)), across(min(end_s, one.to_s)), ", ".join(one.reasons))
        for one in slowed
        if one.to_s >= 0
    ]
    for panel in panels:
        area = top + _TITLE, top + _TITLE + panel.height
        body += [_shade(*one, area) for one in shades]
        body.append(_panel(panel, area, across))
        top = area[1] + _GAP
    body += _labels([left for left, _, _ in shades])
    bottom = top - _GAP
    for second in plot.ticks(0.0, end_s, 8):
        x = across(second)
        body.append(f'<path class="axis" d="M{x:.1f} {bottom}v4"/>')
        body.append(_text(x, bottom + 16, f"{second:g}", anchor="middle"))
    body.append(_text((_LEFT + WIDTH) / 2, bottom + 31, "seconds", anchor="middle"))
    return (
        f'<svg viewBox="0 0 {WIDTH} {bottom + _BOTTOM}" role="img" aria-label="{escape(title)}">'
        f"{''.join(body)}</svg>"
    )


def _latency(found: Sustained, colour: int) -> Panel:
    line = found.timeline
    middles = [(one.at_s + line.window_s / 2, one) for one in line.windows]
    burst, kept = line.burst.p50_ms, line.sustained.p50_ms
    return Panel(
        "milliseconds of invoke",
        [
            (_GREY, [(at_s, one.p99_ms) for at_s, one in middles]),
            (colour, [(at_s, one.p50_ms) for at_s, one in middles]),
        ],
        _TALL,
        low=0.0,
        marks=[(burst, f"burst p50 {ms(burst)}"), (kept, f"sustained p50 {ms(kept)}")],
    )


def _states(states: Sequence[State]) -> list[Panel]:
    """Temperature, clock and power, where the machine tells them."""
    heat = _known(states, lambda state: state.temperature_c)
    measured = _known(states, lambda state: state.arm_mhz)
    asked = _known(states, lambda state: max(state.mhz, default=None))
    watts = _known(states, lambda state: state.watts)
    panels = [
        Panel("temperature, °C", [(2, heat)], _LOW),
        Panel("clock, MHz, as the firmware measures it", [(3, measured)], _LOW, low=0.0)
        if measured
        else Panel("clock of the fastest core, MHz", [(3, asked)], _LOW, low=0.0),
        Panel("power of the rails that the board measures, W", [(4, watts)], _LOW, low=0.0),
    ]
    return [panel for panel in panels if len(panel.lines[0][1]) > 1]


def _known(states: Sequence[State], value: Callable[[State], float | None]) -> Points:
    found = [(state.at_s, value(state)) for state in states if state.at_s >= 0]
    return [(at_s, one) for at_s, one in found if one is not None]


def _panel(panel: Panel, area: tuple[int, int], across: Callable[[float], float]) -> str:
    values = [y for _, points in panel.lines for _, y in points]
    values += [value for value, _ in panel.marks]
    low = min(values) - 1 if panel.low is None else panel.low
    high = max(values) * _HEADROOM if panel.low is not None else max(values) + 1
    up = _scale((low, high), area[1], area[0])
    parts = [_text(0, area[0] - 9, panel.title, "strong")]
    for value in plot.ticks(low, high, 4 if panel.height > _LOW else 3):
        y = up(value)
        parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{WIDTH - _RIGHT}"/>')
        parts.append(_text(_LEFT - 6, y + 4, f"{value:g}", anchor="end"))
    for colour, points in panel.lines:
        moves = "L".join(f"{across(x):.1f} {up(y):.1f}" for x, y in plot.thin(points))
        kind = "line faint" if colour == _GREY else "line"
        parts.append(f'<path class="{kind} s{colour}" d="M{moves}"/>')
    for value, _ in panel.marks:
        parts.append(f'<path class="mark" d="M{_LEFT} {up(value):.1f}H{WIDTH - _RIGHT}"/>')
    words = ", ".join(words for _, words in panel.marks)
    if words:
        parts.append(_text(WIDTH - _RIGHT, area[0] - 9, f"dashed: {words}", anchor="end"))
    return "".join(parts)


def _shade(left: float, right: float, reasons: str, area: tuple[int, int]) -> str:
    width = max(right - left, _THIN)
    left = min(left, WIDTH - _RIGHT - width)
    return (
        f'<rect class="slowed" x="{left:.1f}" y="{area[0]}" width="{width:.1f}"'
        f' height="{area[1] - area[0]}"><title>throttled: {escape(reasons)}</title></rect>'
    )


def _labels(lefts: Iterable[float]) -> list[str]:
    """The word at each shaded stretch, unless it would run into the one before."""
    written, taken = [], 0.0
    for left in lefts:
        at = min(left + 4, WIDTH - _RIGHT - _WORD)
        if at >= taken:
            written.append(_text(at, _TITLE + 12, "throttled", "slowed"))
            taken = at + _WORD
    return written


def _scale(limits: tuple[float, float], first: float, last: float) -> Callable[[float], float]:
    low, high = limits
    span = high - low or 1.0
    return lambda value: first + (value - low) / span * (last - first)


def _text(x: float, y: float, text: str, kind: str = "", *, anchor: str = "start") -> str:
    style = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{style}>{escape(text)}</text>'
