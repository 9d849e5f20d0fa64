"""Two profiles against each other: ratios of medians, and what makes them hard to compare."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from edgenet.errors import LimitExceeded, RecordError
from edgenet.profile.bootstrap import ratio_interval
from edgenet.profile.conditions import Difference, differences
from edgenet.profile.record import Profile, Run, Stage, run_title

SCHEMA = 1


class Ratio(msgspec.Struct, frozen=True):
    """One variant at one thread count in both profiles.

    Attributes:
        variant: the model's precision and format.
        threads: threads that the engine could use.
        part: ``run`` is the ordinary measurement, ``sustained`` the last third of a sustained run.
        first_ms: the first profile's median.
        second_ms: the second's.
        ratio: ``second_ms`` over ``first_ms``; above 1, the second is slower.
        low: of the 95 % interval of the ratio.
        high: of the interval.
        first_throttled: what slowed the first machine down; None if it cannot tell.
        second_throttled: what slowed the second.
    """

    variant: str
    threads: int
    part: Literal["run", "sustained"]
    first_ms: float
    second_ms: float
    ratio: float
    low: float
    high: float
    first_throttled: tuple[str, ...] | None
    second_throttled: tuple[str, ...] | None

    @property
    def title(self) -> str:
        """What tells it from the others."""
        mark = "sustained " if self.part == "sustained" else ""
        return mark + run_title(self.variant, self.threads)


class Comparison(msgspec.Struct, frozen=True):
    """Two profiles against each other.

    Attributes:
        kind: tells the record from others.
        schema: version of this layout.
        stage: whose medians are compared.
        first: names the first profile.
        second: names the second.
        ratios: of what both have, in the first's order.
        only_first: runs that only the first has.
        only_second: runs that only the second has.
        differences: what else is not the same.
    """

    kind: Literal["comparison"]
    schema: int
    stage: Stage
    first: str
    second: str
    ratios: tuple[Ratio, ...]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    differences: tuple[Difference, ...]


def compare(
    first: Profile, second: Profile, *, names: tuple[str, str], stage: Stage = "invoke"
) -> Comparison:
    """Compare the runs that two profiles have in common.

    Args:
        first: the measure.
        second: what is held against it.
        names: of the two, for people.
        stage: whose medians; a sustained run has ``invoke`` alone.

    Raises:
        RecordError: they have no run in common.
    """
    one = {(run.variant, run.threads): run for run in first.runs}
    other = {(run.variant, run.threads): run for run in second.runs}
    ratios = [_of_runs(run, other[key], stage) for key, run in one.items() if key in other]
    if stage == "invoke":
        ratios += _of_sustained(first, second)
    if not ratios:
        raise RecordError(
            f"{names[0]} and {names[1]} have no run in common"
            f" ({_list(one)} against {_list(other)}); measure the same variants and threads"
        )
    return Comparison(
        kind="comparison",
        schema=SCHEMA,
        stage=stage,
        first=names[0],
        second=names[1],
        ratios=tuple(ratios),
        only_first=tuple(run_title(*key) for key in one.keys() - other.keys()),
        only_second=tuple(run_title(*key) for key in other.keys() - one.keys()),
        differences=tuple(differences(first, second)),
    )


def judge(comparison: Comparison, max_ratio: float, *, anyway: bool = False) -> None:
    """Demand that nothing of the second profile takes over ``max_ratio`` times as long.

    A ratio breaks the limit when it is above, whatever its interval.

    Args:
        comparison: what was compared.
        max_ratio: above 0.
        anyway: judge even where a difference makes the ratios say nothing.

    Raises:
        LimitExceeded: a ratio is above; names each.
        RecordError: the profiles cannot be compared.
    """
    fatal = [one for one in comparison.differences if one.fatal]
    if fatal and not anyway:
        reasons = "; ".join(f"{one.what}: {one.first} against {one.second}" for one in fatal)
        raise RecordError(
            f"no limit can be judged, since the profiles differ in more than their models"
            f" ({reasons}); measure again under the same conditions, or add --anyway"
        )
    above = [one for one in comparison.ratios if one.ratio > max_ratio]
    if above:
        raise LimitExceeded(
            "; ".join(
                f"{one.title} takes {one.ratio:.3f} times as long"
                f" ({one.low:.3f} to {one.high:.3f}), above {max_ratio:g}"
                for one in above
            )
        )


def _of_runs(one: Run, other: Run, stage: Stage) -> Ratio:
    return _ratio(
        one.variant,
        one.threads,
        "run",
        (one.measured.samples[stage], other.measured.samples[stage]),
        (one.stats[stage].p50_ms, other.stats[stage].p50_ms),
        (one.throttled, other.throttled),
    )


def _of_sustained(first: Profile, second: Profile) -> Iterator[Ratio]:
    one, other = first.sustained, second.sustained
    if one and other and (one.variant, one.threads) == (other.variant, other.threads):
        lines = one.timeline, other.timeline
        yield _ratio(
            one.variant,
            one.threads,
            "sustained",
            (lines[0].sustained_samples, lines[1].sustained_samples),
            (lines[0].sustained.p50_ms, lines[1].sustained.p50_ms),
            (one.throttled, other.throttled),
        )


def _ratio(
    variant: str,
    threads: int,
    part: Literal["run", "sustained"],
    samples: tuple[Sequence[float], Sequence[float]],
    medians: tuple[float, float],
    throttled: tuple[tuple[str, ...] | None, tuple[str, ...] | None],
) -> Ratio:
    low, high = ratio_interval(*samples)
    ratio = round(medians[1] / medians[0], 6)
    return Ratio(variant, threads, part, *medians, ratio, low, high, *throttled)


def _list(keys: dict[tuple[str, int], Run]) -> str:
    return "; ".join(run_title(*key) for key in keys) or "nothing"
