from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenet.int8 import fixed_point

int32 = st.integers(-(2**31), 2**31 - 1)


def twice_rounded(value: int, multiplier: int, shift: int) -> int:
    """MultiplyByQuantizedMultiplier in Python's integers, by the words of gemmlowp."""
    value = (value * 2 ** max(shift, 0) + 2**31) % 2**32 - 2**31
    product = value * multiplier
    nudged = product + (2**30 if product >= 0 else 1 - 2**30)
    high = abs(nudged) // 2**31 * (1 if nudged >= 0 else -1)
    right = max(-shift, 0)
    remainder = high & (2**right - 1)
    threshold = (2**right - 1) // 2 + (high < 0)
    return (high >> right) + (remainder > threshold)


@given(int32, st.integers(2**30, 2**31 - 1), st.integers(-31, 30))
def test_multiply_rounds_twice(value, multiplier, shift):
    found = fixed_point.multiply(np.array([value]), multiplier, shift)
    assert found == twice_rounded(value, multiplier, shift)


@given(st.lists(st.tuples(int32, st.integers(2**30, 2**31 - 1), st.integers(-31, 5)), min_size=1))
def test_multiply_takes_a_factor_for_each_channel(rows):
    values, multipliers, shifts = np.array(rows, np.int64).T
    found = fixed_point.multiply(values, multipliers, shifts)
    assert found.tolist() == [twice_rounded(*row) for row in rows]


@given(st.floats(2**-31, 2.0**29))
def test_a_factor_survives_to_31_bits(factor):
    multiplier, shift = fixed_point.quantize_multiplier(factor)
    assert 2**30 <= multiplier < 2**31
    assert math.isclose(multiplier * 2.0 ** (shift - 31), factor, rel_tol=2**-31)


def test_factors_that_vanish_are_zero_and_those_that_are_none_are_refused():
    assert fixed_point.quantize_multiplier(0.0) == (0, 0)
    assert fixed_point.quantize_multiplier(2.0**-33) == (0, 0)
    assert fixed_point.quantize_multiplier(1 - 2**-40) == (2**30, 1)
    for factor in (-1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="cannot be a fixed-point number"):
            fixed_point.quantize_multiplier(factor)


@pytest.mark.parametrize("power", range(-2, 5))
def test_exponentials_of_powers_of_two_are_exact(power):
    found = fixed_point.exp_of_negative(np.array([-(2**26) * 2**power // 1], np.int64))
    # where the Taylor expansion of exp(-1/4), which is a factor, is off by some units
    expected = math.exp(-(2.0**power)) * 2**31
    assert abs(int(found[0]) - expected) <= max(1, 650 * math.exp(-(2.0**power)))


def test_exponentials_and_reciprocals_are_close_to_the_real_ones():
    values = -np.arange(0, 2**31, 2**20, dtype=np.int64)
    found = fixed_point.exp_of_negative(values) / 2**31
    assert np.abs(found - np.exp(values / 2**26)).max() < 3e-7
    sums = np.arange(2**19, 2**29, 12345, dtype=np.int64)
    scale, bits = fixed_point.reciprocal(sums)
    assert np.abs(scale / 2.0**31 / 2.0**bits * (sums / 2**19) - 1).max() < 5e-9
