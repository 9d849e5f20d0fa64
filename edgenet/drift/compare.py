"""From the logits of two models on the same pictures to the numbers of a report.

``logits`` is float32 (N, classes), ``targets`` is int64 (N,).  Pure functions of arrays.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgenet.drift.record import Change, ClassChange, Drift, Result, Share
from edgenet.drift.significance import mcnemar, paired_difference
from edgenet.drift.sqnr import recorded, sqnr_db
from edgenet.runner import Array
from edgenet.spec import Variant

TOP_5 = 5


def ranks(logits: Array, targets: Array) -> Array:
    """Position of each picture's class when classes are sorted by logit, 0 being the largest.

    Equal logits, which int8 makes likely, are sorted by class index, as ``argmax`` does, so that
    the answer does not depend on a sorting algorithm.  int64 (N,).
    """
    own = np.take_along_axis(logits, targets[:, None], axis=1)
    before = np.arange(logits.shape[1]) < targets[:, None]
    places: Array = np.count_nonzero((logits > own) | ((logits == own) & before), axis=1)
    return places


def confidences(logits: Array) -> Array:
    """Softmax probability of the largest logit, float64 (N,)."""
    wide = logits.astype(np.float64)
    total: Array = np.exp(wide - wide.max(axis=1, keepdims=True)).sum(axis=1)
    return 1 / total


def measure(
    logits: Array, targets: Array, *, variant: Variant, engine: str, drift: Drift | None
) -> Result:
    """The record of one variant."""
    rank = ranks(logits, targets)
    images, classes = logits.shape
    tied = np.count_nonzero(logits == logits.max(axis=1, keepdims=True), axis=1) > 1
    return Result(
        variant=variant,
        engine=engine,
        top1=Share.counted(int(np.count_nonzero(rank == 0)), images),
        top5=Share.counted(int(np.count_nonzero(rank < TOP_5)), images)
        if classes > TOP_5
        else None,
        confidence=float(confidences(logits).mean()),
        ties=int(np.count_nonzero(tied)),
        drift=drift,
    )


def compare(reference: Array, variant: Array, targets: Array, labels: Sequence[str]) -> Drift:
    """How far ``variant``'s logits are from ``reference``'s, and what that does to the answers."""
    right, right_now = ranks(reference, targets) == 0, ranks(variant, targets) == 0
    worse = int(np.count_nonzero(right & ~right_now))
    better = int(np.count_nonzero(right_now & ~right))
    images = len(targets)
    low, high = paired_difference(worse, better, images)
    same = np.count_nonzero(reference.argmax(axis=1) == variant.argmax(axis=1))
    return Drift(
        top1=Change((better - worse) / images, low, high, worse, better, mcnemar(worse, better)),
        agreement=Share.counted(int(same), images),
        confidence=float((confidences(variant) - confidences(reference)).mean()),
        snr_db=recorded(sqnr_db(reference, variant)),
        classes=_by_class(right, right_now, targets, labels),
    )


def _by_class(
    right: Array, right_now: Array, targets: Array, labels: Sequence[str]
) -> tuple[ClassChange, ...]:
    images, before, after = (
        np.bincount(targets[chosen], minlength=len(labels)).tolist()
        for chosen in (np.ones_like(right), right, right_now)
    )
    changes = (
        ClassChange(label, *counts)
        for label, *counts in zip(labels, images, before, after, strict=True)
        if counts[0]
    )
    return tuple(sorted(changes, key=lambda change: change.value))
