"""The points that are compared: networks out of families, by alpha and resolution."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edgenet.architecture import ARCHITECTURES, format_name
from edgenet.cost import Configuration, Cost
from edgenet.errors import UsageError, unknown

SIDES = (96, 128, 160, 192, 224)
ALPHAS = {
    "mobilenet_v1": (0.25, 0.5, 0.75, 1.0),
    "mobilenet_v2": (0.35, 0.5, 0.75, 1.0),
    "mobilenet_v3": (0.75, 1.0),
}
"""Width multipliers that families were published at, by how their names begin."""


@dataclass(frozen=True, slots=True)
class Point:
    """One network at one resolution.

    Attributes:
        arch: a key of ``ARCHITECTURES``.
        alpha: width multiplier.
        side: of the input, in pixels.
        classes: outputs of the classifier.
    """

    arch: str
    alpha: float
    side: int
    classes: int

    @property
    def name(self) -> str:
        """As ``edgenet info`` and ``edgenet train --like`` take it."""
        return format_name(self.arch, self.alpha, self.side)

    def cost(self) -> Cost:
        """Its layers and what they cost.

        Raises:
            UsageError: a number that makes no network.
        """
        return Configuration(self.arch, self.alpha, self.side, self.side, self.classes).cost()


def grid(
    words: Sequence[str], alphas: Sequence[float], sides: Sequence[int], classes: int
) -> list[Point]:
    """All combinations; those of a family lie together.

    Args:
        words: architectures, or ``v1``, ``v2``, ``v3`` for all of a generation; empty for all.
        alphas: width multipliers; empty for those that the family was published at.
        sides: of the input, in pixels; empty for what networks were published at.
        classes: outputs of the classifier.

    Raises:
        UsageError: an unknown architecture, or a number that makes no network.
    """
    points = [
        Point(arch, alpha, side, classes)
        for arch in _families(words)
        for alpha in alphas or _alphas(arch)
        for side in sides or _sides(arch)
    ]
    for point in points:
        point.cost()
    return list(dict.fromkeys(points))


def listed(
    known: Iterable[tuple[str, float, int]],
    words: Sequence[str],
    alphas: Sequence[float],
    sides: Sequence[int],
    classes: int,
) -> list[Point]:
    """Those points of a table that ``grid`` would be asked for.

    Raises:
        UsageError: an unknown architecture, or none of the table's points is left.
    """
    table = sorted(known)
    points = [
        Point(arch, alpha, side, classes)
        for family in _families(words)
        for arch, alpha, side in table
        if arch == family and alpha in (alphas or [alpha]) and side in (sides or [side])
    ]
    if not points:
        there = ", ".join(format_name(*one) for one in table)
        raise UsageError(f"none of these networks was measured; the table has {there}")
    return points


def _families(words: Sequence[str]) -> list[str]:
    """Architectures for pictures of ImageNet's size, unless one is named in full."""
    large = [name for name, family in ARCHITECTURES.items() if family.stem_stride == 2]
    found = [] if words else large
    for word in words:
        generation = [name for name in large if name.startswith(f"mobilenet_{word}")]
        if word in ARCHITECTURES:
            found.append(word)
        elif word.startswith("v") and generation:
            found += generation
        else:
            raise UsageError(unknown("architecture", word, ["v1", "v2", "v3", *ARCHITECTURES]))
    return list(dict.fromkeys(found))


def _alphas(arch: str) -> Sequence[float]:
    known = [alphas for start, alphas in ALPHAS.items() if arch.startswith(start)]
    return known[0] if known else (1.0,)


def _sides(arch: str) -> Sequence[int]:
    family = ARCHITECTURES[arch]
    return SIDES if family.stem_stride == 2 else (family.imgsz,)
