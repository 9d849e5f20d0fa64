"""What each variant answers to each picture: the loop that all of an evaluation's time goes to.

A picture is decoded and fitted once and shown to every variant.  Models take one picture at a
time, so the cores are kept busy with whole pictures: one lane of single-threaded sessions each.
That is faster than giving one session every core, and no result depends on how many there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue

import numpy as np

from edgenet import image
from edgenet.bundle import Bundle
from edgenet.dataset import Progress, Split, silent
from edgenet.dataset.split import digest
from edgenet.errors import DataError, EngineError
from edgenet.runner import Array
from edgenet.spec import Variant
from edgenet.stream.classify import Classifier

Lane = Mapping[Variant, Classifier]


@dataclass(frozen=True, slots=True)
class Answers:
    """The logits of every variant.

    Attributes:
        pictures: indices in the split of those N pictures that count.
        targets: their classes, int64 (N,).
        logits: of each variant, float32 (N, classes).
        calibrated: how many pictures were left out because int8 was calibrated on them.
    """

    pictures: Array
    targets: Array
    logits: Mapping[Variant, Array]
    calibrated: int


def answer(
    bundle: Bundle,
    lanes: Sequence[Lane],
    split: Split,
    pictures: Array,
    progress: Progress = silent,
) -> Answers:
    """Shows ``pictures`` of ``split`` to every variant, and leaves out what int8 has seen.

    Args:
        bundle: what the models belong to.
        lanes: one set of open models for each picture that is worked on at the same time.
        split: where the pictures are.
        pictures: their indices, (N,).
        progress: told how many pictures are done.

    Raises:
        DataError: a picture cannot be read, or int8 was calibrated on all of them.
        EngineError: a model answers with something that is not a number.
    """
    calibration = bundle.manifest.calibration
    seen = frozenset(calibration.sha256 if calibration else ())
    targets = split.targets[pictures]
    logits = {
        variant: np.zeros((len(pictures), len(bundle.labels)), np.float32) for variant in lanes[0]
    }
    free: SimpleQueue[Lane] = SimpleQueue()
    for lane in lanes:
        free.put(lane)

    def show(place: int) -> bool:
        rgb = split.rgb(int(pictures[place]))
        if seen and digest(rgb) in seen:
            return False
        fitted = image.fit(rgb, bundle.spec.preprocess)
        lane = free.get()
        try:
            for variant, classifier in lane.items():
                model_input = image.as_tensor(fitted, classifier.preprocess, classifier.input)
                logits[variant][place] = classifier.logits(model_input)
        finally:
            free.put(lane)
        return True

    counts = np.zeros(len(pictures), bool)
    pool = ThreadPoolExecutor(len(lanes), thread_name_prefix="picture")
    try:
        for place, counted in enumerate(pool.map(show, range(len(pictures)))):
            counts[place] = counted
            progress("evaluating", place + 1, len(pictures))
    finally:
        pool.shutdown(cancel_futures=True)
    if not counts.any():
        raise DataError(
            f"int8 was calibrated on all of the {len(pictures)} pictures; evaluate on others"
        )
    found = {variant: rows[counts] for variant, rows in logits.items()}
    _refuse_nan(found, split, pictures[counts])
    return Answers(pictures[counts], targets[counts], found, int(np.count_nonzero(~counts)))


def _refuse_nan(logits: Mapping[Variant, Array], split: Split, pictures: Array) -> None:
    for variant, rows in logits.items():
        bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
        if len(bad):
            name = split.name(int(pictures[bad[0]]))
            raise EngineError(
                f"{variant} answers {len(bad)} of {len(rows)} pictures with logits that are not "
                f"finite numbers, {name} first; train or export the model again"
            )
