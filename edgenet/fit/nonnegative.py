"""Least squares whose unknowns are not below zero, and that a few wild rows do not bend."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def solve(rows: Floats, targets: Floats) -> Floats:
    """The x >= 0 that makes |rows x - targets| least, by Lawson and Hanson's active set (1974).

    Args:
        rows: (N, M).
        targets: (N,).
    """
    scale = np.linalg.norm(rows, axis=0)
    scale[scale == 0] = 1
    a = rows / scale
    x, free = np.zeros(a.shape[1]), np.zeros(a.shape[1], bool)
    for _ in range(3 * a.shape[1]):
        gradient = a.T @ (targets - a @ x)
        gradient[free] = -np.inf
        best = int(gradient.argmax())
        if gradient[best] <= 1e-12 * max(1.0, float(np.abs(targets).max(initial=0))):
            break
        free[best] = True
        x = _within(a, targets, x, free)
    return np.asarray(x / scale)


def _within(a: Floats, targets: Floats, x: Floats, free: NDArray[np.bool_]) -> Floats:
    """The best x of the free columns; what would fall below zero is free no more."""
    while free.any():
        tried = np.zeros_like(x)
        tried[free] = np.linalg.lstsq(a[:, free], targets, rcond=None)[0]
        if (tried[free] > 0).all():
            return tried
        below = free & (tried <= 0)
        step = float(np.min(x[below] / np.maximum(x[below] - tried[below], 1e-300)))
        x = x + step * (tried - x)
        free &= x > 1e-15
    return np.zeros_like(x)


def robust(rows: Floats, targets: Floats, weights: Floats, rounds: int = 8) -> Floats:
    """``solve`` of relative errors, in which rows far off count less with each round.

    Weights become those of Huber's loss with its bend at 10 % of a row's target.

    Args:
        rows: (N, M).
        targets: (N,), above 0.
        weights: (N,), how much each row counts.
        rounds: of solving.
    """
    a, t = rows / targets[:, None], np.ones_like(targets)
    trust = np.ones_like(targets)
    x = np.zeros(rows.shape[1])
    for _ in range(rounds):
        w = np.sqrt(weights * trust)
        x = solve(a * w[:, None], t * w)
        trust = np.minimum(1.0, 0.1 / np.maximum(np.abs(a @ x - 1), 1e-9))
    return x
