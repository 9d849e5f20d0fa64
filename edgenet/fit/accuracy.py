"""How accurate each point was found to be: published, or measured by this project."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Literal

import msgspec

from edgenet.architecture import parse_name
from edgenet.drift.record import DriftReport
from edgenet.errors import RecordError, UsageError
from edgenet.fit.point import Point
from edgenet.spec import Variant

Key = tuple[str, float, int]
OWN = Path("measured")
"""The word for this project's own table, unless there is a file of that name."""


class Accuracy(msgspec.Struct, frozen=True):
    """Top-1 of one network.

    Attributes:
        top1: a share, 0 to 1.
        data: what it was measured on.
        kind: ``published`` by the network's authors, in this project's ``own`` table, or
            ``measured`` by its user.
        source: where the figure stands.
    """

    top1: float
    data: str
    kind: Literal["published", "own", "measured"]
    source: str


class _Source(msgspec.Struct, forbid_unknown_fields=True):
    title: str
    url: str
    arch: str
    top1: list[tuple[float, int, float]]


class _Sources(msgspec.Struct, forbid_unknown_fields=True):
    sources: dict[str, _Source]


def published() -> dict[Key, Accuracy]:
    """Top-1 on ImageNet, of float checkpoints, by architecture, alpha and side."""
    text = (resources.files("edgenet.fit") / "published.toml").read_bytes()
    return {
        (one.arch, alpha, side): Accuracy(top1 / 100, "ImageNet", "published", one.url)
        for one in msgspec.toml.decode(text, type=_Sources).sources.values()
        for alpha, side, top1 in one.top1
    }


class Measured(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line of this project's own table: top-1 of int8.tflite, a share, and what it is of."""

    arch: str
    alpha: float
    side: int
    top1: float
    data: str
    source: str


def own() -> dict[Key, Accuracy]:
    """Top-1 in this project's own table, which scripts/make_docs.py writes from its results."""
    text = (resources.files("edgenet.fit") / "measured.json").read_bytes()
    return {
        (one.arch, one.alpha, one.side): Accuracy(one.top1, one.data, "own", one.source)
        for one in msgspec.json.decode(text, type=list[Measured])
    }


def known(files: Sequence[Path]) -> dict[Key, Accuracy]:
    """What is published, or in its place what ``files`` hold; ``OWN`` among them is the own table.

    Raises:
        RecordError, UsageError: as ``measured`` does.
    """
    if not files:
        return published()
    table = own() if asks_for_own(files) else {}
    return table | measured([file for file in files if not table or file != OWN])


def asks_for_own(files: Sequence[Path]) -> bool:
    """Whether the own table is among what accuracy is to be taken from."""
    return OWN in files and not OWN.exists()


def check_comparable(points: Sequence[Point], known: Mapping[Key, Accuracy]) -> None:
    """Refuses accuracies on several data sets, which say nothing of each other.

    Raises:
        UsageError: naming the data sets.
    """
    found = (of(point, known) for point in points)
    data = sorted({one.data for one in found if one is not None})
    if len(data) > 1:
        raise UsageError(
            f"top-1 is known on {' and on '.join(data)}, which do not compare; choose networks of "
            "one of them with --arch, or other records with --accuracy"
        )


class _Recorded(msgspec.Struct):
    drift: DriftReport


def measured(files: Sequence[Path], variant: Variant = "int8.tflite") -> dict[Key, Accuracy]:
    """Top-1 out of what ``edgenet evaluate --json`` printed, or of files of docs/results.

    Raises:
        RecordError: a file cannot be read, is neither, or does not hold the variant.
        UsageError: the bundle that was evaluated does not tell the network by its name.
    """
    found: dict[Key, Accuracy] = {}
    for file in files:
        report = _report(file)
        shares = {one.variant: one.top1.value for one in report.results}
        if variant not in shares:
            raise RecordError(f"{file} holds no {variant}, only {', '.join(shares) or 'nothing'}")
        arch, alpha, side = parse_name(report.bundle)
        if alpha is None or side is None:
            raise RecordError(f"{file} is of {report.bundle}, which names no alpha and no side")
        found[arch, alpha, side] = Accuracy(
            shares[variant], report.dataset, "measured", f"{file.name}, {variant}"
        )
    return found


def _report(file: Path) -> DriftReport:
    try:
        text = file.read_bytes()
        if "drift" in msgspec.json.decode(text, type=dict[str, msgspec.Raw]):
            return msgspec.json.decode(text, type=_Recorded).drift
        return msgspec.json.decode(text, type=DriftReport)
    except OSError as error:
        raise RecordError(f"{file} cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecordError(
            f"{file} is no evaluation ({error}); give what edgenet evaluate --json printed"
        ) from error


def of(point: Point, known: Mapping[Key, Accuracy]) -> Accuracy | None:
    """What is known of a point."""
    return known.get((point.arch, point.alpha, point.side))
