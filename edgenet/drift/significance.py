"""How far a share or a difference of shares, counted on a sample of pictures, can be trusted.

Standard library only, so that a device can compute the same numbers as the host.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, sqrt
from statistics import NormalDist, fmean, stdev

LEVEL = 0.95


def wilson(count: int, of: int, level: float = LEVEL) -> tuple[float, float]:
    """Interval for the share ``count / of``, both ends between 0 and 1.

    The score interval (Wilson, JASA 22, 1927, 209-212).  Unlike the normal approximation it stays
    within 0..1 and keeps its coverage near both ends, where the accuracies of good models are.

    Args:
        count: how many of the pictures have the property.
        of: how many pictures there are, at least 1.
        level: probability that an interval made in this way covers the true share.

    Raises:
        ValueError: ``count`` is not between 0 and ``of``, or ``of`` is below 1.
    """
    if of < 1 or not 0 <= count <= of:
        raise ValueError(f"{count} of {of} is not a share")
    z = _z(level)
    centre = (count + z * z / 2) / (of + z * z)
    half = z / (of + z * z) * sqrt(count * (of - count) / of + z * z / 4)
    low = 0.0 if count == 0 else max(0.0, centre - half)
    high = 1.0 if count == of else min(1.0, centre + half)
    return low, high


def mcnemar(worse: int, better: int) -> float:
    """Probability of a split at least as uneven as this one if no direction were favoured.

    McNemar's test (Psychometrika 12, 1947, 153-157) in its exact two-sided binomial form: of the
    pictures that only one of two models gets right, each model should get half.  Computed in
    integers, so that it is right to the last digit for any count.

    Args:
        worse: pictures that only the first model gets right.
        better: pictures that only the second model gets right.

    Raises:
        ValueError: a count is negative.
    """
    if min(worse, better) < 0:
        raise ValueError(f"{worse} and {better} are not counts")
    discordant = worse + better
    term = tail = 1
    for k in range(min(worse, better)):
        term = term * (discordant - k) // (k + 1)
        tail += term
    return min(1.0, 2 * tail / (1 << discordant))


def paired_difference(
    worse: int, better: int, of: int, level: float = LEVEL
) -> tuple[float, float]:
    """Interval for ``(better - worse) / of``, the change of a share on the same pictures.

    Bonett and Price's adjusted Wald interval (J. Educ. Behav. Stat. 37, 2012, 479-488), which
    Fagerland et al. (Statistics in Medicine 33, 2014, 2850-2875) recommend: it covers well for few
    pictures too, and has a width when no picture changed.

    Args:
        worse: pictures that only the first model gets right.
        better: pictures that only the second model gets right.
        of: pictures that both were shown, at least 1.
        level: probability that an interval made in this way covers the true difference.

    Raises:
        ValueError: the counts do not fit in ``of``.
    """
    if of < 1 or min(worse, better) < 0 or worse + better > of:
        raise ValueError(f"{worse} and {better} of {of} are not paired counts")
    lost, gained = (worse + 1) / (of + 2), (better + 1) / (of + 2)
    half = _z(level) * sqrt((lost + gained - (gained - lost) ** 2) / (of + 2))
    return max(-1.0, gained - lost - half), min(1.0, gained - lost + half)


def mean_interval(values: Sequence[float], level: float = LEVEL) -> tuple[float, float, float]:
    """The mean of what was measured picture by picture, and the interval of the true mean.

    By the central limit theorem; one picture says nothing of the spread, so its interval is
    without bounds.

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("a mean needs at least one value")
    mean = fmean(values)
    half = _z(level) * stdev(values) / sqrt(len(values)) if len(values) > 1 else inf
    return mean, mean - half, mean + half


def _z(level: float) -> float:
    if not 0 < level < 1:
        raise ValueError(f"a level of {level} is not between 0 and 1")
    return NormalDist().inv_cdf((1 + level) / 2)
