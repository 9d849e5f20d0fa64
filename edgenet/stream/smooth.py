"""Probabilities that move slowly, so that one odd frame does not change the answer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Smooth:
    """Exponential smoothing over frames: p[t] = past * p[t - 1] + (1 - past) * new.

    The first frame is taken as it is.  Of a change, 1 - past ** n has arrived after n frames.

    Args:
        past: weight of what was before, 0 (none) up to 1 (excluded).

    Raises:
        ValueError: past is out of range.
    """

    def __init__(self, past: float) -> None:
        if not 0 <= past < 1:
            raise ValueError(f"the weight of the past is {past}; it must be at least 0 and below 1")
        self.past = past
        self._state: NDArray[np.float64] | None = None

    def __call__(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        """Take in the probabilities of a frame (classes,) and give the smoothed ones."""
        if not self.past:
            return probabilities
        if self._state is None:
            self._state = probabilities.copy()
        else:
            self._state += (1 - self.past) * (probabilities - self._state)
        return self._state
