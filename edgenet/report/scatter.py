"""Named points of several families on axes of cost and accuracy, and the front through them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from edgenet.report.html import escape
from edgenet.report.plot import Axes, Frame, svg, text

BROAD, NARROW = (1000, 460), (360, 320)
"""Sizes of a page and of a phone; the style sheet shows the one that suits."""

_COLOURS = (1, 2, 3, 4, 5, 8, 7)
_RADIUS = 5.0
_SHAPES = (
    "M{left:.1f} {y:.1f}a{r} {r} 0 1 0 {side} 0a{r} {r} 0 1 0 -{side} 0z",
    "M{left:.1f} {above:.1f}h{side}v{side}h-{side}z",
    "M{x:.1f} {top:.1f}l{long} {long}l-{long} {long}l-{long} -{long}z",
    "M{x:.1f} {top:.1f}l{long} {side}h-{wide}z",
)
# of letters, on the average: of all names, and of the best's, which is larger and bold
_LETTER, _LARGE = 6.3, 8.4
_LINE = 12.0
# beyond the outermost marks, so that none touches the frame
_BESIDE, _ABOVE = 1.15, 3.0


@dataclass(frozen=True, slots=True)
class Mark:
    """One point.

    Attributes:
        x: its cost.
        y: its accuracy.
        family: a number, which decides its colour and shape.
        label: its name, short; written beside it on the front.
        tip: shown when pointed at; may have several lines.
        kind: whether it can be had, is on the front of those, or is the one to take.
    """

    x: float
    y: float
    family: int
    label: str
    tip: str
    kind: Literal["out", "in", "front", "best"] = "in"


@dataclass(frozen=True, slots=True)
class _Box:
    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: _Box) -> bool:
        return not (
            self.right < other.left
            or other.right < self.left
            or self.bottom < other.top
            or other.bottom < self.top
        )


def scatter(
    marks: Sequence[Mark], axes: Axes, *, title: str, limit: tuple[float, str] | None = None
) -> str:
    """The marks at both sizes.

    Args:
        marks: at least one.
        axes: what they mean, with both ranges.
        title: read out by screen readers.
        limit: of the cost, and what is written at its line.
    """
    return _drawn(marks, axes, title, limit, BROAD, "broad") + _drawn(
        marks, axes, title, limit, NARROW, "narrow"
    )


def axes(marks: Sequence[Mark], cost: str, *costs: float) -> Axes:
    """Axes of top-1 in percent over the cost, with room around every mark.

    Args:
        marks: at least one.
        cost: what it is, with its unit.
        costs: further ones that are shown.
    """
    across, up = [*(one.x for one in marks), *costs], [one.y for one in marks]
    return Axes(
        cost,
        "top-1, %",
        log_x=True,
        x_range=(min(across) / _BESIDE, max(across) * _BESIDE),
        y_range=(max(0.0, min(up) - _ABOVE), min(100.0, max(up) + _ABOVE)),
    )


def legend(families: Sequence[tuple[int, str]], *, out: str = "") -> str:
    """The key of colours and shapes; ``out`` names what hollow marks are."""
    items = [
        (f'class="point s{colour(one)}" d="{_shape(one, 0, 0)}"', name) for one, name in families
    ]
    items.append(('class="front" d="M-8 4h8v-8h8"', "the most accurate at each cost"))
    if out:
        items.append((f'class="point out s6" d="{_shape(0, 0, 0)}"', out))
    keys = "".join(
        f'<li><svg viewBox="-8 -8 16 16" aria-hidden="true"><path {path}/></svg>{escape(name)}</li>'
        for path, name in items
    )
    return f'<ul class="legend drawn">{keys}</ul>'


def colour(family: int) -> int:
    """Of a family, 1 to 8 as the style sheet has them; with its shape no other family's."""
    return _COLOURS[family % len(_COLOURS)]


def _drawn(
    marks: Sequence[Mark],
    axes: Axes,
    title: str,
    limit: tuple[float, str] | None,
    size: tuple[int, int],
    kind: str,
) -> str:
    frame = Frame.around([], axes, size)
    body = [frame.grid(axes)]
    body += [] if limit is None else [_limit(frame, *limit)]
    end = frame.width - frame.right if limit is None else frame.across(limit[0])
    body.append(_front(frame, marks, end))
    # the front above what it leaves behind
    ordered = sorted(marks, key=lambda one: _ORDER.index(one.kind))
    body += [_point(frame, one) for one in ordered]
    body += _labels(frame, marks)
    return svg("".join(body), title, size=size, kind=kind)


_ORDER = ("out", "in", "front", "best")
_AHEAD = _ORDER[2:]


def _front(frame: Frame, marks: Sequence[Mark], end: float) -> str:
    """A staircase up at each point of the front, and what lies below it."""
    places = _ahead(frame, marks)
    if not places:
        return ""
    bottom = frame.height - frame.bottom
    steps = "".join(f"H{x:.1f}V{y:.1f}" for x, y in places) + f"H{end:.1f}"
    start = f"M{places[0][0]:.1f} {bottom}"
    below = f'<path class="below" d="{start}{steps}V{bottom}z"/>'
    return f'{below}<path class="front" d="{start}{steps}"/>'


def _ahead(frame: Frame, marks: Sequence[Mark]) -> list[tuple[float, float]]:
    """Places of the front's points, from left to right."""
    return sorted((frame.across(one.x), frame.down(one.y)) for one in marks if one.kind in _AHEAD)


def _limit(frame: Frame, value: float, said: str) -> str:
    x = frame.across(value)
    line = f'<path class="mark" d="M{x:.1f} {frame.top}V{frame.height - frame.bottom}"/>'
    return line + text(x - 4, frame.top + 10, said, "strong", anchor="end")


def _point(frame: Frame, mark: Mark) -> str:
    x, y = frame.across(mark.x), frame.down(mark.y)
    ring = f'<circle class="ring" cx="{x:.1f}" cy="{y:.1f}" r="10"/>' if mark.kind == "best" else ""
    kind = "point out" if mark.kind == "out" else "point"
    return (
        f'{ring}<path class="{kind} s{colour(mark.family)}" d="{_shape(mark.family, x, y)}">'
        f"<title>{escape(mark.tip)}</title></path>"
    )


def _shape(family: int, x: float, y: float) -> str:
    r, side = (_RADIUS, 2 * _RADIUS) if family % len(_SHAPES) == 0 else (4.5, 9.0)
    long = 1.3 * r
    return _SHAPES[family % len(_SHAPES)].format(
        x=x, y=y, r=r, side=side, long=long, wide=2 * long,
        left=x - r, above=y - r, top=y - long,
    )  # fmt: skip


def _labels(frame: Frame, marks: Sequence[Mark]) -> Iterator[str]:
    """Names along the front where there is room; that of the best in any case."""
    ahead = sorted((one for one in marks if one.kind in _AHEAD), key=lambda one: one.kind != "best")
    taken = [*(_around(frame, one) for one in marks), *_steps(frame, marks)]
    for mark in ahead:
        best = mark.kind == "best"
        wide = len(mark.label) * (_LARGE if best else _LETTER)
        boxes = [
            _Box(left, base - _LINE + 2, left + wide, base + 3)
            for left, base in _places(frame, mark, wide)
        ]
        free = [box for box in boxes if _inside(frame, box) and not any(map(box.meets, taken))]
        box = next(iter(free or boxes[:1]))
        if free or best:
            taken.append(box)
            yield text(box.left, box.bottom - 3, mark.label, "strong best" if best else "strong")


def _places(frame: Frame, mark: Mark, wide: float) -> Iterator[tuple[float, float]]:
    """Left ends and base lines that a name may have, the first one within the frame in any case."""
    x, y = frame.across(mark.x), frame.down(mark.y)
    away = 14.0 if mark.kind == "best" else 8.0
    if mark.kind == "best":
        held = min(max(x - wide / 2, frame.left), frame.width - wide)
        yield held, max(y - away - 2, frame.top)
    yield x - wide - away, y + 3
    yield x - wide - away / 2, y - away
    yield x - wide / 2, y - away
    yield x + away, y - away
    yield x + away, y + 3
    yield x + away / 2, y + away + 6
    yield x - wide / 2, y + away + 8


def _inside(frame: Frame, box: _Box) -> bool:
    bottom = frame.height - frame.bottom
    return frame.left <= box.left and box.right <= frame.width and 0 <= box.top <= bottom - _LINE


def _steps(frame: Frame, marks: Sequence[Mark]) -> Iterator[_Box]:
    """The lines of the front."""
    places = _ahead(frame, marks)
    before = float(frame.height - frame.bottom)
    ends = [x for x, _ in places[1:]] + [float(frame.width - frame.right)]
    for (x, y), end in zip(places, ends, strict=False):
        yield _Box(x, y, x, before)
        yield _Box(x, y, end, y)
        before = y


def _around(frame: Frame, mark: Mark) -> _Box:
    x, y = frame.across(mark.x), frame.down(mark.y)
    r = _RADIUS + 1
    return _Box(x - r, y - r, x + r, y + r)
