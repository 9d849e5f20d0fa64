"""Real numbers to codes."""

from __future__ import annotations

import numpy as np

from edgenet.int8 import quantize


def test_halves_go_away_from_zero_and_codes_are_clamped():
    real = np.array([0.25, -0.25, 0.2, -0.2, 0.75, 1e9, -1e9], np.float32)
    assert quantize.codes(real, 0.5, 3).tolist() == [4, 2, 3, 3, 5, 127, -128]


def test_the_half_is_added_in_float32_as_c_does():
    """The largest float32 below a half rounds up, since the sum is rounded to 1; not in float64."""
    below = np.nextafter(np.float32(0.5), np.float32(0))
    assert quantize.steps(np.array([below, -below]), 1.0).tolist() == [1, -1]
