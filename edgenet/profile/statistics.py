"""What is said of a list of latencies; every sample counts, none is clipped."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np


class Stats(msgspec.Struct, frozen=True):
    """Latencies in milliseconds, over ``count`` samples.

    The percentiles interpolate linearly (Hyndman and Fan's type 7, numpy's default);
    ``std_ms`` divides by the count, as LiteRT's benchmark does.
    """

    count: int
    avg_ms: float
    std_ms: float
    min_ms: float
    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float


def summarize(samples_ms: Sequence[float]) -> Stats:
    """The statistics of at least one latency, rounded to a nanosecond.

    Raises:
        ValueError: there is no sample, or one is not finite.

    >>> summarize([1.0, 2.0, 3.0, 10.0]).p50_ms
    2.5
    """
    samples = np.asarray(samples_ms, dtype=np.float64)
    if samples.size == 0 or not np.isfinite(samples).all():
        raise ValueError(f"{samples.size} samples; at least one is needed, and all must be finite")
    p50, p90, p95, p99 = np.percentile(samples, (50, 90, 95, 99))
    found = (samples.mean(), samples.std(), samples.min(), p50, p90, p95, p99, samples.max())
    return Stats(samples.size, *(round(float(value), 6) for value in found))
