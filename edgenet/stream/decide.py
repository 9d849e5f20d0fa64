"""From logits to an answer: probabilities, smoothed, the best of them, and 'unknown' below."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from edgenet.stream.result import UNKNOWN, Guess
from edgenet.stream.smooth import Smooth

_FEW = 8


class Decide:
    """Names the most probable classes of a frame.

    Args:
        labels: in the order of the logits.
        top_k: classes to name at most.
        threshold: least probability, after smoothing, of a class that is named.
        smooth: weight of the frames before, see ``Smooth``; 0 for none.
    """

    def __init__(
        self,
        labels: Sequence[str],
        *,
        top_k: int = 3,
        threshold: float = 0.0,
        smooth: float = 0.0,
    ) -> None:
        self.labels = tuple(labels)
        self.top_k = min(top_k, len(self.labels))
        self.threshold = threshold
        self._smooth = Smooth(smooth)

    def __call__(self, logits: NDArray[np.floating]) -> tuple[Guess, ...]:
        """The classes that reach the threshold, the most probable first, of equals the first."""
        # after a model ran, each numpy call costs microseconds: as few as there can be
        weights = np.subtract(logits, logits.max(), dtype=np.float64)
        np.exp(weights, out=weights)
        total = float(weights.sum())
        if self._smooth.past:
            weights, total = self._smooth(weights / total).copy(), 1.0
        guesses = []
        for index in _best(weights, self.top_k):
            probability = float(weights[index]) / total
            if probability < self.threshold:
                break
            guesses.append(Guess(index, self.labels[index], probability))
        return tuple(guesses)


def label(top: tuple[Guess, ...]) -> str:
    """The label of the first guess, or ``UNKNOWN``."""
    return top[0].label if top else UNKNOWN


def _best(values: NDArray[np.float64], count: int) -> Iterator[int]:
    """Indices of the largest values; each value is overwritten once its index was used.

    A few are looked for one by one, which costs less than to sort all.

    >>> list(_best(np.array([0.1, 0.4, 0.1, 0.4]), 3))
    [1, 3, 0]
    """
    if count > _FEW:
        yield from np.argsort(-values, kind="stable")[:count].tolist()
        return
    for _ in range(count):
        index = int(values.argmax())
        yield index
        values[index] = -1.0
