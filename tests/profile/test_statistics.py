from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenet.profile.statistics import summarize

times = st.floats(min_value=1e-3, max_value=1e5, allow_nan=False)


def test_a_known_list_has_known_percentiles() -> None:
    stats = summarize([float(ms) for ms in range(1, 101)])
    assert (stats.count, stats.min_ms, stats.max_ms, stats.avg_ms) == (100, 1, 100, 50.5)
    assert (stats.p50_ms, stats.p90_ms, stats.p95_ms, stats.p99_ms) == (50.5, 90.1, 95.05, 99.01)
    assert stats.std_ms == pytest.approx(28.866070, abs=1e-6)


def test_an_outlier_is_never_clipped() -> None:
    stats = summarize([1.0] * 999 + [500.0])
    assert (stats.count, stats.max_ms) == (1000, 500.0)
    assert stats.avg_ms == pytest.approx(1.499)


def test_the_keys_are_the_fields_names() -> None:
    names = ["count", "avg_ms", "std_ms", "min_ms", "p50_ms", "p90_ms", "p95_ms", "p99_ms"]
    assert list(summarize([1.0]).__struct_fields__) == [*names, "max_ms"]


@given(st.lists(times, min_size=2))
def test_the_median_and_spread_are_those_of_the_standard_library(samples: list[float]) -> None:
    stats = summarize(samples)
    assert stats.p50_ms == pytest.approx(statistics.median(samples), rel=1e-9, abs=1e-6)
    assert stats.std_ms == pytest.approx(statistics.pstdev(samples), rel=1e-6, abs=1e-5)
    assert stats.min_ms <= stats.p50_ms <= stats.p90_ms <= stats.p99_ms <= stats.max_ms


@pytest.mark.parametrize("samples", [[], [1.0, float("nan")], [float("inf")]])
def test_no_sample_and_no_finite_sample_are_refused(samples: list[float]) -> None:
    with pytest.raises(ValueError, match="samples"):
        summarize(samples)
