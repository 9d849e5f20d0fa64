from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenet.drift.significance import mcnemar, paired_difference, wilson

counts = st.integers(1, 3000).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of)))
paired = st.integers(1, 2000).flatmap(
    lambda of: st.integers(0, of).flatmap(
        lambda worse: st.tuples(st.just(worse), st.integers(0, of - worse), st.just(of))
    )
)


@pytest.fixture(scope="module")
def stats():
    return pytest.importorskip("scipy.stats", reason="scipy comes with the host extra")


def test_wilson_matches_the_worked_example_of_newcombe_1998():
    # R. Newcombe, Statistics in Medicine 17, 1998, 857-872, table I, method 3: 81 of 263.
    low, high = wilson(81, 263)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)
    low, high = wilson(0, 20)
    assert (low, round(high, 4)) == (0.0, 0.1611)


@given(counts)
def test_wilson_is_scipys_interval(stats, sample):
    count, of = sample
    theirs = stats.binomtest(count, of).proportion_ci(0.95, method="wilson")
    assert wilson(count, of) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


@given(counts)
def test_wilson_holds_the_share_and_stays_within_0_and_1(sample):
    low, high = wilson(*sample)
    assert 0 <= low <= sample[0] / sample[1] <= high <= 1
    assert low < high


@given(counts)
def test_wilson_of_the_opposite_is_mirrored(sample):
    count, of = sample
    low, high = wilson(count, of)
    assert wilson(of - count, of) == pytest.approx((1 - high, 1 - low), abs=1e-12)


@pytest.mark.parametrize(("count", "of"), [(1, 0), (-1, 5), (6, 5)])
def test_wilson_refuses_what_is_not_a_share(count, of):
    with pytest.raises(ValueError, match="is not a share"):
        wilson(count, of)


@given(st.integers(0, 700), st.integers(0, 700))
def test_mcnemar_is_scipys_exact_binomial_test(stats, worse, better):
    theirs = stats.binomtest(worse, worse + better).pvalue if worse + better else 1.0
    assert mcnemar(worse, better) == pytest.approx(theirs, rel=1e-9, abs=1e-300)


def test_mcnemar_counts_the_ways_to_split():
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(3, 3) == 1.0
    assert mcnemar(5, 0) == 2 / 32
    assert mcnemar(1, 9) == 2 * (comb(10, 0) + comb(10, 1)) / 1024


def test_mcnemar_needs_no_approximation_for_many_pictures():
    assert mcnemar(20_000, 30_000) == 0.0  # far below the smallest double
    assert 0.3 < mcnemar(24_900, 25_100) < 0.4


@pytest.mark.parametrize("counts", [(-1, 3), (3, -1)])
def test_mcnemar_refuses_negative_counts(counts):
    with pytest.raises(ValueError, match="are not counts"):
        mcnemar(*counts)


@given(paired)
def test_paired_difference_holds_the_difference(table):
    worse, better, of = table
    low, high = paired_difference(worse, better, of)
    assert -1 <= low <= (better - worse) / of <= high <= 1


@given(paired)
def test_paired_difference_changes_sign_with_the_models(table):
    worse, better, of = table
    low, high = paired_difference(worse, better, of)
    assert paired_difference(better, worse, of) == pytest.approx((-high, -low))


def test_paired_difference_has_a_width_when_nothing_changed():
    low, high = paired_difference(0, 0, 1000)
    assert (low, high) == pytest.approx((-0.00276, 0.00276), abs=1e-5)


def test_paired_difference_matches_the_worked_example_of_fagerland_2014():
    # Airway hyper-responsiveness of 21 children before and after: 7 and 1 discordant pairs.
    low, high = paired_difference(7, 1, 21)
    assert (round(low, 3), round(high, 3)) == (-0.508, -0.013)


def test_paired_difference_covers_the_true_difference_95_times_in_100():
    rng = np.random.default_rng(0)
    of, lost, gained = 400, 0.03, 0.01
    draws = rng.multinomial(of, [lost, gained, 1 - lost - gained], 4000)
    covered = 0
    for worse, better, _ in draws.tolist():
        low, high = paired_difference(worse, better, of)
        covered += low <= gained - lost <= high
    assert 0.935 <= covered / len(draws) <= 0.97


@pytest.mark.parametrize("table", [(3, 3, 5), (-1, 0, 5), (0, 0, 0)])
def test_paired_difference_refuses_counts_that_do_not_fit(table):
    with pytest.raises(ValueError, match="are not paired counts"):
        paired_difference(*table)


@pytest.mark.parametrize("level", [0.0, 1.0, 95])
def test_a_level_is_a_probability(level):
    with pytest.raises(ValueError, match="is not between 0 and 1"):
        wilson(1, 2, level)
