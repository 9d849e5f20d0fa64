"""Whether int8 depends on which pictures it was calibrated with.

A checkpoint is quantized a second time, with as many other training pictures, none of which is
among the first, and both int8 models answer the evaluation split on the engine of devices.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np

from edgenet.bundle import Bundle
from edgenet.dataset import Dataset, Progress, silent
from edgenet.drift.answers import Answers, answer
from edgenet.drift.compare import compare, ranks
from edgenet.drift.evaluate import open_variants
from edgenet.drift.record import Change, Share
from edgenet.environment import usable_cores
from edgenet.host.calibration import Choice, disjoint
from edgenet.host.export import export
from edgenet.spec import Variant
from edgenet.target import Target

VARIANT: Variant = "int8.tflite"


class Robustness(msgspec.Struct, frozen=True):
    """Two calibrations of one network, on the same evaluation pictures.

    Attributes:
        dataset: the data set's name.
        split: the split that the figures are of.
        calibrated: pictures in each of the two sets.
        top1: of int8 with the one set, and with the other.
        change: from the one to the other.
        agreement: pictures to which both give the same class.
        snr_db: of the second's logits against the first's, in dB; None if all are equal.
        same: whether the 95 % interval of ``change`` holds 0: chance explains the difference.
    """

    dataset: str
    split: str
    calibrated: int
    top1: tuple[Share, Share]
    change: Change
    agreement: Share
    snr_db: float | None
    same: bool


def robustness(
    first: Path,
    choice: Choice,
    again: Callable[[Choice, Path], object],
    computer: Target,
    *,
    progress: Progress = silent,
) -> Robustness:
    """Quantizes with other pictures than ``choice``, and compares the two int8 models.

    Args:
        first: the checkpoint that was quantized with ``choice``.
        choice: its pictures.
        again: quantizes the same network with the pictures of a choice, as ``first`` was, and
            writes the checkpoint to a folder.
        computer: this machine, which runs int8.tflite.
        progress: told of each stage.

    Raises:
        DataError: the training split has too few pictures for two sets.
        EdgenetError: as ``again``, ``export`` and the engine raise.
    """
    other = disjoint(choice)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        again(other, folder / "checkpoint")
        alone = msgspec.structs.replace(computer.description, variants=(VARIANT,))
        runner = replace(computer, description=alone)
        bundles = [
            export(checkpoint, runner, folder / place, progress=progress)
            for place, checkpoint in (("one", first), ("two", folder / "checkpoint"))
        ]
        one, two = (_answers(bundle, choice.dataset, progress) for bundle in bundles)
    return compared(choice, one, two)


def _answers(bundle: Bundle, dataset: Dataset, progress: Progress) -> Answers:
    split = dataset.evaluation
    lanes = [open_variants(bundle, (VARIANT,))[0] for _ in range(usable_cores())]
    return answer(bundle, lanes, split, np.arange(len(split)), progress)


def compared(choice: Choice, one: Answers, two: Answers) -> Robustness:
    """The record of what both models answered to the same pictures."""
    targets = one.targets
    first, second = one.logits[VARIANT], two.logits[VARIANT]
    drift = compare(first, second, targets, choice.dataset.labels)
    right = (int(np.count_nonzero(ranks(logits, targets) == 0)) for logits in (first, second))
    top1_of_first, top1_of_second = (Share.counted(count, len(targets)) for count in right)
    return Robustness(
        dataset=choice.dataset.name,
        split=choice.dataset.evaluation_name,
        calibrated=choice.samples,
        top1=(top1_of_first, top1_of_second),
        change=drift.top1,
        agreement=drift.agreement,
        snr_db=drift.snr_db,
        same=drift.top1.low <= 0 <= drift.top1.high,
    )


def text(found: Robustness) -> str:
    """The record for people, on two lines."""
    first, second = (f"{share.value:.2%}" for share in found.top1)
    change = [
        f"{100 * value:+.2f}" for value in (found.change.value, found.change.low, found.change.high)
    ]
    verdict = (
        "no difference that chance would not explain"
        if found.same
        else "more than chance explains; calibrate with more pictures (--calib-samples)"
    )
    return (
        f"calibrated with {found.calibrated} other pictures, int8 has top-1 {second} instead of "
        f"{first} on the {found.top1[0].of} pictures of {found.dataset} {found.split}\n"
        f"  {change[0]} points ({change[1]} to {change[2]} at 95 %), the same class on "
        f"{found.agreement.value:.2%}: {verdict}"
    )
