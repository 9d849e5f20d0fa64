"""Real numbers to codes, the one rounding that is not of integers: halves away from zero.

AffineQuantize of tensorflow/lite/kernels/internal/reference/quantize.h: the quotient, the half and
the rounding are float32, which decides where a number lies near the middle between two codes.
"""

from __future__ import annotations

import numpy as np

from edgenet.int8.graph import LEAST, MOST, Array


def steps(real: Array | float, scale: float) -> Array:
    """float32 whole numbers of steps, not clamped.

    >>> steps(np.array([-0.25, 0.25, 0.7]), 0.5)
    array([-1.,  1.,  1.], dtype=float32)
    """
    exact = np.asarray(real, np.float32) / np.float32(scale)
    return np.asarray(np.copysign(np.floor(np.abs(exact) + np.float32(0.5)), exact))


def codes(real: Array, scale: float, zero_point: int) -> Array:
    """int8 codes of real numbers, clamped."""
    return np.asarray(np.clip(steps(real, scale) + zero_point, LEAST, MOST), np.int8)
