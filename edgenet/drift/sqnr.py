"""Signal-to-quantization-noise ratio, summed up tensor by tensor."""

from __future__ import annotations

from math import inf, log10

import numpy as np

from edgenet.runner import Array

FLOOR_DB = -200.0


class Sqnr:
    """Sums the energy of a reference and of a candidate's error over any number of tensors.

    >>> sqnr = Sqnr()
    >>> sqnr.add(np.array([3.0, 4.0]), np.array([3.0, 4.5]))
    >>> round(sqnr.db, 2)
    20.0
    """

    def __init__(self) -> None:
        self.signal = 0.0
        self.noise = 0.0

    def add(self, reference: Array, candidate: Array) -> None:
        """Count one pair of tensors of the same shape.

        Raises:
            ValueError: the shapes differ.
        """
        if reference.shape != candidate.shape:
            raise ValueError(f"shapes {reference.shape} and {candidate.shape} differ")
        wide = np.asarray(reference, np.float64)
        error = wide - candidate
        self.signal += float(np.vdot(wide, wide))
        self.noise += float(np.vdot(error, error))

    @property
    def db(self) -> float:
        """``10 log10(sum(r^2) / sum((r - c)^2))`` in decibels; higher is closer.

        inf when all tensors were equal, -inf when the reference was all zero and the candidate
        was not.
        """
        if self.noise == 0.0:
            return inf
        if self.signal == 0.0:
            return -inf
        return 10 * log10(self.signal / self.noise)


def recorded(db: float) -> float | None:
    """A ratio as JSON can hold it: None for inf, which is no noise at all, and at least -200 dB."""
    return None if db == inf else max(db, FLOOR_DB)


def sqnr_db(reference: Array, candidate: Array) -> float:
    """The ratio of one pair of tensors; see `Sqnr`."""
    sqnr = Sqnr()
    sqnr.add(reference, candidate)
    return sqnr.db
