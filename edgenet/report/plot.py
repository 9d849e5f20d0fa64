"""Small SVG plots for the report page: lines, dots and bars whose colours the style sheet gives.

A plot is drawn ``WIDTH`` units wide so that its text stays readable on a phone; the page sets
several side by side where there is room.  Series are coloured by number (classes s1 to s8).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from edgenet.report.html import escape

WIDTH, HEIGHT = 360, 220
_DOT = 2

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Series:
    """Points of one colour.

    Attributes:
        colour: 1 to 8; the style sheet's.
        points: x and y, in the order to draw.
        label: shown when pointed at.
        kind: a line, a filled outline, a staircase that steps up at each x, or dots.
    """

    colour: int
    points: Points
    label: str = ""
    kind: Literal["line", "area", "step", "dots"] = "line"


@dataclass(frozen=True, slots=True)
class Axes:
    """What the axes of a plot show.

    Attributes:
        x: what runs along, with its unit.
        y: what runs up, with its unit.
        log_x: whether x is logarithmic; all x must then be above 0.
        x_range: limits of x; from the points when None.
        y_range: limits of y; from 0 to the largest when None.
        marks: y at which a dashed line is drawn, with its text.
    """

    x: str
    y: str
    log_x: bool = False
    x_range: tuple[float, float] | None = None
    y_range: tuple[float, float] | None = None
    marks: Sequence[tuple[float, str]] = field(default=())


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round numbers from low to high: steps of 1, 2 or 5 times a power of ten.

    >>> ticks(0, 9.7)
    [0.0, 2.0, 4.0, 6.0, 8.0]
    """
    if not high > low:
        return [low]
    rough = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = min((power * m for m in (1, 2, 5, 10)), key=lambda step: abs(step - rough))
    first = math.ceil(low / step - 1e-9)
    return [round(n * step, 12) for n in range(first, math.floor(high / step + 1e-9) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """The numbers 1, 2 and 5 times powers of ten from low to high; every ten alone if too many.

    Where there is but one of them, round numbers of equal steps.

    >>> log_ticks(0.9, 30)
    [1.0, 2.0, 5.0, 10.0, 20.0]
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1,)):
        found = [round(f * 10.0**p, 12) for p in powers for f in factors]
        found = [value for value in found if low <= value <= high]
        if len(found) <= 6:
            break
    return found if len(found) >= 2 else ticks(low, high, 4)


def plot(series: Sequence[Series], axes: Axes, *, title: str) -> str:
    """Draw series on axes; ``title`` is read out by screen readers."""
    frame = Frame.around(series, axes)
    body = [frame.grid(axes)]
    body += [_dots(one, frame) if one.kind == "dots" else _path(one, frame) for one in series]
    body += [frame.mark(value, said) for value, said in axes.marks]
    return svg("".join(body), title)


def bars(
    rows: Sequence[tuple[str, Sequence[tuple[int, float, str]]]], *, unit: str, title: str
) -> str:
    """Horizontal bars, each of parts laid end to end.

    Args:
        rows: a label, and its parts: colour 1 to 8, length, and what the part is.
        unit: of the lengths, written after each bar's total.
        title: read out by screen readers.
    """
    longest = max((sum(length for _, length, _ in parts) for _, parts in rows), default=0) or 1
    scale = (WIDTH - 90) / longest
    pitch, thick = 36, 14
    body = []
    for number, (label, parts) in enumerate(rows):
        top, left = number * pitch + 14, 0.0
        body.append(text(0, top - 3, label, "strong"))
        for colour, length, what in parts:
            width = length * scale
            tip = escape(f"{what}: {length:#.3g} {unit}")
            body.append(
                f'<rect class="fill s{colour}" x="{left:.1f}" y="{top}" width="{width:.1f}" '
                f'height="{thick}"><title>{tip}</title></rect>'
            )
            left += width
        total = sum(length for _, length, _ in parts)
        body.append(text(left + 5, top + thick - 3, f"{total:#.3g} {unit}", "strong"))
    return svg("".join(body), title, size=(WIDTH, max(1, len(rows)) * pitch))


def legend(labels: Sequence[tuple[int, str]]) -> str:
    """The key of colours: a number 1 to 8 and what it stands for."""
    items = "".join(f'<li class="s{colour}">{escape(label)}</li>' for colour, label in labels)
    return f'<ul class="legend">{items}</ul>'


def cumulative(samples: Sequence[float]) -> list[tuple[float, float]]:
    """The share of samples at or below each value: points for a ``step`` series, y in percent."""
    ordered = sorted(samples)
    return [(value, 100 * (rank + 1) / len(ordered)) for rank, value in enumerate(ordered)]


def histogram(samples: Sequence[float], bins: int = 40) -> list[tuple[float, float]]:
    """Counts of samples in equal bins, as the outline of a staircase from 0 to 0."""
    low, high = min(samples), max(samples)
    width = (high - low) / bins or 1.0
    counts = [0] * bins
    for value in samples:
        counts[min(bins - 1, int((value - low) / width))] += 1
    outline = [(low, 0.0)]
    for number, count in enumerate(counts):
        outline += [(low + number * width, count), (low + (number + 1) * width, count)]
    return [*outline, (low + bins * width, 0.0)]


def thin(points: Points, most: int = 800) -> list[tuple[float, float]]:
    """At most about ``most`` points that still hold the highest and lowest of each stretch."""
    if len(points) <= most:
        return list(points)
    stretch = math.ceil(2 * len(points) / most)
    kept = []
    for start in range(0, len(points), stretch):
        part = points[start : start + stretch]
        ends = {part.index(min(part, key=_y)), part.index(max(part, key=_y))}
        kept += [part[index] for index in sorted(ends)]
    return kept


@dataclass(frozen=True, slots=True)
class Frame:
    """The plot's area and its scales.

    Attributes:
        x: limits of what runs along.
        y: limits of what runs up.
        log_x: whether x is logarithmic.
        width: of the drawing, in units of a page's pixels.
        height: the same.
        left: of the space beside the area, where the y axis is written.
        right: of the space on the other side.
        top: of the space above, where the name of y is written.
        bottom: of the space below.
    """

    x: tuple[float, float]
    y: tuple[float, float]
    log_x: bool
    width: int = WIDTH
    height: int = HEIGHT
    left: int = 40
    right: int = 10
    top: int = 20
    bottom: int = 34

    @classmethod
    def around(
        cls, series: Sequence[Series], axes: Axes, size: tuple[int, int] = (WIDTH, HEIGHT)
    ) -> Frame:
        """A frame that holds series, unless the axes say what it holds."""
        xs = [x for one in series for x, _ in one.points] or [0.0, 1.0]
        ys = [y for one in series for _, y in one.points] or [0.0, 1.0]
        ys += [value for value, _ in axes.marks]
        x = axes.x_range or (min(xs), max(xs))
        y = axes.y_range or (0.0, max(ys) * 1.05)
        return cls(_widened(x), _widened(y), axes.log_x, *size)

    def across(self, value: float) -> float:
        """Units from the left edge to a value of x."""
        low, high = self.x
        if self.log_x:
            value, low, high = math.log(value), math.log(low), math.log(high)
        return self.left + (value - low) / (high - low) * (self.width - self.left - self.right)

    def down(self, value: float) -> float:
        """Units from the upper edge to a value of y."""
        low, high = self.y
        room = self.height - self.top - self.bottom
        return self.height - self.bottom - (value - low) / (high - low) * room

    def grid(self, axes: Axes) -> str:
        """Axes with their names and numbers, and lines to read values by."""
        bottom, right, parts = self.height - self.bottom, self.width - self.right, []
        for value in ticks(*self.y):
            y = self.down(value)
            parts.append(f'<path class="grid" d="M{self.left} {y:.1f}H{right}"/>')
            parts.append(text(self.left - 5, y + 4, _number(value), anchor="end"))
        for value in log_ticks(*self.x) if self.log_x else ticks(*self.x):
            x = self.across(value)
            parts.append(f'<path class="axis" d="M{x:.1f} {bottom}v4"/>')
            parts.append(text(x, bottom + 15, _number(value), anchor="middle"))
        parts.append(f'<path class="axis" d="M{self.left} {bottom}H{right}"/>')
        parts.append(text((self.width + self.left) / 2, self.height - 4, axes.x, anchor="middle"))
        parts.append(text(0, 9, axes.y))
        return "".join(parts)

    def mark(self, value: float, said: str) -> str:
        """A dashed line across at a value of y."""
        y, right = self.down(value), self.width - self.right
        line = f'<path class="mark" d="M{self.left} {y:.1f}H{right}"/>'
        return line + text(right, y - 3, said, "strong", anchor="end")


def _path(series: Series, frame: Frame) -> str:
    moves, last = [], None
    for x, y in series.points:
        here = (frame.across(x), frame.down(y))
        if last is None:
            moves.append(f"M{here[0]:.1f} {here[1]:.1f}")
        elif series.kind == "step":
            moves.append(f"H{here[0]:.1f}V{here[1]:.1f}")
        else:
            moves.append(f"L{here[0]:.1f} {here[1]:.1f}")
        last = here
    shape = "fill" if series.kind == "area" else "line"
    return (
        f'<path class="{shape} s{series.colour}" d="{"".join(moves)}">'
        f"<title>{escape(series.label)}</title></path>"
    )


def _dots(series: Series, frame: Frame) -> str:
    # One path of tiny squares: thousands of circles would make the page heavy.
    at = "".join(
        f"M{frame.across(x) - _DOT / 2:.1f} {frame.down(y) - _DOT / 2:.1f}h{_DOT}v{_DOT}h-{_DOT}z"
        for x, y in series.points
    )
    tip = escape(series.label)
    return f'<path class="dot s{series.colour}" d="{at}"><title>{tip}</title></path>'


def svg(body: str, title: str, *, size: tuple[int, int] = (WIDTH, HEIGHT), kind: str = "") -> str:
    """A drawing of a size in units; ``title`` is read out, ``kind`` is of the style sheet."""
    style = f' class="{kind}"' if kind else ""
    view = "{} {}".format(*size)
    return f'<svg{style} viewBox="0 0 {view}" role="img" aria-label="{escape(title)}">{body}</svg>'


def text(x: float, y: float, said: str, kind: str = "", *, anchor: str = "start") -> str:
    """Text in a drawing, its base line at y."""
    style = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{style}>{escape(said)}</text>'


def _number(value: float) -> str:
    """Three significant digits, without an exponent for what people read."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _widened(limits: tuple[float, float]) -> tuple[float, float]:
    low, high = limits
    return (low, high) if high > low else (low, low + (abs(low) or 1.0))


def _y(point: tuple[float, float]) -> float:
    return point[1]
