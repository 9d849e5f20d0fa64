"""How sure a ratio of two medians is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_RESAMPLES = 1000
# Longer series are thinned evenly: 10 000 samples pin a median down to far less than runs differ.
_LONGEST = 10_000


def ratio_interval(
    first: Sequence[float], second: Sequence[float], *, seed: int = 0
) -> tuple[float, float]:
    """The 95 % interval of median(second) / median(first), by the moving block bootstrap.

    Neighbouring latencies are alike (clocks and caches change slowly), so blocks of n^(1/3)
    neighbours are drawn, not single ones: H. R. Kuensch, The Jackknife and the Bootstrap for
    General Stationary Observations, Annals of Statistics 17 (3), 1989.

    >>> ratio_interval([2.0] * 50, [3.0] * 50)
    (1.5, 1.5)
    """
    generator = np.random.default_rng(seed)
    ratios = _medians(second, generator) / _medians(first, generator)
    low, high = np.percentile(ratios, (2.5, 97.5))
    return round(float(low), 6), round(float(high), 6)


def _medians(samples: Sequence[float], generator: np.random.Generator) -> NDArray[np.float64]:
    """The median of each of many resamples."""
    values = np.asarray(samples, np.float64)
    values = values[:: -(-len(values) // _LONGEST)]
    block = max(1, round(len(values) ** (1 / 3)))
    blocks = -(-len(values) // block)
    offsets = np.arange(block)
    found = np.empty(_RESAMPLES)
    for number in range(_RESAMPLES):
        starts = generator.integers(0, len(values) - block + 1, blocks)
        places = (starts[:, None] + offsets).ravel()[: len(values)]
        found[number] = np.median(values[places])
    return found
