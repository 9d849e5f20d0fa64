"""Fixed-point arithmetic of TensorFlow Lite Micro: gemmlowp's, with two roundings.

A real factor is kept as a 31-bit integer and a power of two, factor = multiplier * 2^(shift - 31).
A sum is multiplied and rounded to its high 32 bits, then shifted right and rounded again
(tensorflow/lite/kernels/internal/common.cc, gemmlowp/fixedpoint/fixedpoint.h).  All arrays here are
int64 that hold int32 values; C's overflows wrap here as they do there.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_LEAST, _MOST = -(2**31), 2**31 - 1


def quantize_multiplier(factor: float) -> tuple[int, int]:
    """Multiplier in [2^30, 2^31) and shift of a positive factor; (0, 0) if it is below 2^-32.

    >>> quantize_multiplier(0.75)
    (1610612736, 0)

    Raises:
        ValueError: the factor is negative or not finite.
    """
    if not 0 <= factor < math.inf:
        raise ValueError(f"a factor of {factor} cannot be a fixed-point number")
    fraction, shift = math.frexp(factor)
    multiplier = math.floor(fraction * 2**31 + 0.5)
    if multiplier == 2**31:
        multiplier, shift = 2**30, shift + 1
    return (multiplier, shift) if shift >= -31 else (0, 0)


def wrap(values: Array) -> Array:
    """int64 to what of it int32 can hold, as C's conversion does."""
    return np.asarray((values + 2**31) % 2**32 - 2**31)


def high_multiply(left: Array | int, right: Array | int) -> Array:
    """High 32 bits of 2 * left * right, halves up: SaturatingRoundingDoublingHighMul."""
    product = np.asarray(left, np.int64) * np.asarray(right, np.int64)
    return np.asarray(np.minimum((product + 2**30) >> 31, _MOST))


def divide_by_power(values: Array, exponent: Array | int) -> Array:
    """Quotients of a power of two, halves away from zero: RoundingDivideByPOT."""
    mask = np.left_shift(np.int64(1), exponent) - 1
    threshold = (mask >> 1) + (values < 0)
    return np.asarray((values >> exponent) + ((values & mask) > threshold))


def multiply(values: Array, multiplier: Array | int, shift: Array | int) -> Array:
    """Product with multiplier * 2^(shift - 31), rounded twice: MultiplyByQuantizedMultiplier."""
    left = np.maximum(shift, 0)
    right = np.maximum(-np.asarray(shift), 0)
    lifted = wrap(np.left_shift(np.asarray(values, np.int64), left)) if np.any(left) else values
    return divide_by_power(high_multiply(lifted, multiplier), right)


# The two functions that SOFTMAX is made of; numbers are raw values of gemmlowp's FixedPoint.

_EXPONENTIALS = {
    -2: 1672461947, -1: 1302514674, 0: 790015084, 1: 290630308, 2: 39332535, 3: 720401, 4: 242,
}  # fmt: skip
"""exp(-2^n) in Q0.31."""


def _saturate(values: Array) -> Array:
    return np.clip(values, _LEAST, _MOST)


def exp_of_negative(values: Array) -> Array:
    """Exponentials in Q0.31 of numbers in [-32, 0] in Q5.26: exp_on_negative_values."""
    quarter = 1 << 24
    below = (values & (quarter - 1)) - quarter
    result = _exp_of_quarter(below << 5)
    remainder = below - values
    for power, factor in _EXPONENTIALS.items():
        chosen = (remainder >> (26 + power)) & 1
        result = np.where(chosen, high_multiply(result, factor), result)
    return np.where(values == 0, _MOST, result)


def _exp_of_quarter(values: Array) -> Array:
    """Exponentials of numbers in [-1/4, 0), both in Q0.31: a Taylor expansion around -1/8."""
    constant_term, third = 1895147668, 715827883
    x = values + (1 << 28)
    x2 = high_multiply(x, x)
    x3 = high_multiply(x2, x)
    x4 = high_multiply(x2, x2)
    inner = high_multiply(divide_by_power(x4, 2) + x3, third) + x2
    return constant_term + high_multiply(constant_term, x + divide_by_power(inner, 1))


def reciprocal(sums: Array) -> tuple[Array, Array]:
    """1 / sums of positive numbers in Q12.19, in Q0.31, and bits of sums above one: GetReciprocal.

    Returns:
        fraction in (1/2, 1] and bits, where 1 / sum = fraction / 2^bits.
    """
    headroom = 32 - np.frexp(sums.astype(np.float64))[1].astype(np.int64)
    return _inverse_of_one_plus((sums << headroom) - 2**31), 12 - headroom


def _inverse_of_one_plus(values: Array) -> Array:
    """1 / (1 + x) of x in [0, 1] in Q0.31, by three steps of Newton and Raphson in Q2.29."""
    half_denominator = (values + _MOST + 1) >> 1
    x = 1515870810 + high_multiply(half_denominator, -1010580540)
    for _ in range(3):
        error = (1 << 29) - high_multiply(half_denominator, x)
        x = x + _saturate(high_multiply(x, error) << 2)
    return _saturate(x << 1)
