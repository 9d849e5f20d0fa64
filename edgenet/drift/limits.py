"""The limits on drift: their names, and whether a report keeps them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import inf, isfinite

import msgspec

from edgenet.drift.record import DriftReport, Result, Violation
from edgenet.errors import TargetError, UsageError, unknown
from edgenet.spec import Variant

ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit.

    Attributes:
        meaning: what it demands, for people.
        unit: printed after a value; ``%`` is a share times 100, ``points`` a difference of two.
        at_least: whether values below the bound break it; else values above do.
        most: the largest bound that makes sense.
        value: what a result has, in the limit's unit; None where the limit does not apply.
    """

    meaning: str
    unit: str
    at_least: bool
    most: float
    value: Callable[[Result], float | None]

    def shown(self, number: str) -> str:
        """A value with its unit."""
        return number + (self.unit.removesuffix("s") if number == "1" else self.unit)

    def broken(self, value: float, bound: float) -> bool:
        return value < bound - ROUNDING if self.at_least else value > bound + ROUNDING


def _lost(change: float) -> float:
    """Percentage points that a change loses; below 0 where it wins."""
    return 0.0 - 100 * change


def _top1_drop(result: Result) -> float | None:
    return None if result.drift is None else _lost(result.drift.top1.value)


def _class_drop(result: Result) -> float | None:
    return None if result.drift is None else _lost(result.drift.classes[0].value)


def _agreement(result: Result) -> float | None:
    return None if result.drift is None else result.drift.agreement.value


def _confidence(result: Result) -> float | None:
    return None if result.drift is None else 100 * abs(result.drift.confidence)


def _snr(result: Result) -> float | None:
    if result.drift is None:
        return None
    return inf if result.drift.snr_db is None else result.drift.snr_db


LIMITS: Mapping[str, Limit] = {
    "top1": Limit("least top-1", "", True, 1, lambda result: result.top1.value),
    "top1_drop": Limit("most that top-1 may lose", " points", False, 100, _top1_drop),
    "class_drop": Limit("most that one class's top-1 may lose", " points", False, 100, _class_drop),
    "agreement": Limit("least share of equal answers", "", True, 1, _agreement),
    "confidence_change": Limit(
        "most that the mean confidence may move", " points", False, 100, _confidence
    ),
    "snr_db": Limit("least signal-to-noise ratio of the logits", " dB", True, 200, _snr),
    "layer_snr_db": Limit(
        "least signal-to-noise ratio of any layer", " dB", True, 200, lambda result: None
    ),
}


def parse(settings: Iterable[str]) -> dict[str, float]:
    """``name=value`` of the command line as limits.

    Raises:
        UsageError: a setting has another form, an unknown name, or a bound that makes no sense.
    """
    limits: dict[str, float] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise UsageError(f"limit {setting!r} is not of the form name=value, as top1_drop=0.5")
        if name not in LIMITS:
            raise UsageError(unknown("limit", name, LIMITS))
        try:
            bound = float(text)
        except ValueError:
            raise UsageError(f"limit {name} is {text!r}, not a number") from None
        if fault := _fault(name, bound):
            raise UsageError(fault)
        limits[name] = bound
    return limits


def of_target(limits: Mapping[str, float], *, source: str = "target.toml") -> dict[str, float]:
    """A target's limits, every one of which is known and makes sense.

    Args:
        limits: what the target's ``[limits]`` say.
        source: what an error calls the target.

    Raises:
        TargetError: a limit has an unknown name or a bound that makes no sense.
    """
    for name, bound in limits.items():
        if fault := _fault(name, bound):
            raise TargetError(f"{source}: {fault}")
    return dict(limits)


def _fault(name: str, bound: float) -> str:
    """What is wrong with a limit; empty when nothing."""
    if name not in LIMITS:
        return unknown("limit", name, LIMITS)
    limit = LIMITS[name]
    if isfinite(bound) and 0 <= bound <= limit.most:
        return ""
    hint = "; it is a share, not a percentage" if limit.most == 1 else ""
    return f"limit {name} is {bound:g}, not between 0 and {limit.most:g}{limit.unit}{hint}"


def judge(report: DriftReport, limits: Mapping[str, float]) -> DriftReport:
    """The report with ``limits`` and what breaks them.

    Every limit holds for every variant that is not the reference; ``top1`` holds for that too.
    ``layer_snr_db`` holds for the layers, which are int8.tflite's.

    Raises:
        UsageError: a limit cannot be judged, for want of a reference or of layers.
    """
    violations: list[Violation] = []
    for name, bound in limits.items():
        for variant, value in found(report, name):
            if LIMITS[name].broken(value, bound):
                violations.append(_violation(name, bound, value, variant))
    return msgspec.structs.replace(report, limits=dict(limits), violations=tuple(violations))


def found(report: DriftReport, name: str) -> list[tuple[Variant, float]]:
    """The value of every variant that the limit ``name`` holds for; raises as ``judge`` does."""
    if name == "layer_snr_db":
        if not report.layers:
            raise UsageError(f"limit {name} cannot be judged; the layers were not compared")
        worst = report.layers[0].snr_db
        return [("int8.tflite", inf if worst is None else worst)]
    values = [(result.variant, LIMITS[name].value(result)) for result in report.results]
    known = [(variant, value) for variant, value in values if value is not None]
    if not known:
        raise UsageError(
            f"limit {name} cannot be judged; it compares two variants, and there is no "
            "second one to compare"
        )
    return known


def _violation(name: str, bound: float, value: float, variant: Variant) -> Violation:
    limit = LIMITS[name]
    side = "below" if limit.at_least else "above"
    digits = next(n for n in range(3, 18) if float(f"{value:.{n}g}") != bound)
    message = (
        f"{variant}: {name} is {limit.shown(f'{value:.{digits}g}')}, "
        f"{side} its limit of {limit.shown(f'{bound:g}')}"
    )
    return Violation(limit=name, bound=bound, value=value, variant=variant, message=message)
