"""The calibration (representative) set: which pictures show the observers what to expect."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np
import torch
from torch import Tensor, nn

from edgenet import image
from edgenet.bundle import Calibration
from edgenet.bundle.manifest import CALIBRATION_IMAGES
from edgenet.dataset import Dataset, Progress, Split, silent
from edgenet.drift.sqnr import sqnr_db
from edgenet.errors import DataError, UsageError, unknown
from edgenet.host import checkpoint as checkpoints
from edgenet.host.checkpoint import CalibrationRecord, Checkpoint
from edgenet.host.integer import IntegerGraph
from edgenet.host.quantize import Calibrator
from edgenet.host.quantizer import CALIBRATION_METHODS
from edgenet.spec import Preprocess

HELD_BACK = 100
# different training pictures without which there is nothing to learn from and to measure on
LEAST = 20
# few enough for the activations of a 224 px network, enough to keep the threads at work
BATCH = 8


@dataclass(frozen=True)
class Choice:
    """Which pictures to calibrate with, and how.

    Attributes:
        dataset: pictures are drawn from its training split.
        samples: how many pictures; all of the split when it has fewer.
        seed: of the draw.
        method: how a range is chosen, a key of ``CALIBRATION_METHODS``.
        skip: pictures of the draw to leave out, with every copy of them: those of another set.

    Raises:
        UsageError: the method is unknown, or fewer than one picture is asked for.
    """

    dataset: Dataset
    samples: int = CALIBRATION_IMAGES
    seed: int = 0
    method: str = "minmax"
    skip: int = 0

    def __post_init__(self) -> None:
        if self.method not in CALIBRATION_METHODS:
            raise UsageError(unknown("calibration method", self.method, CALIBRATION_METHODS))
        if self.samples < 1:
            raise UsageError(
                f"{self.samples} calibration pictures; at least 1 is needed, "
                f"{CALIBRATION_IMAGES} are usual"
            )


def calibrate(
    checkpoint: Checkpoint, network: nn.Module, choice: Choice, *, progress: Progress = silent
) -> tuple[Calibrator, CalibrationRecord]:
    """Show training pictures to the network and record each activation's range.

    Args:
        checkpoint: what the network was built from.
        network: with its trained weights.
        choice: which pictures.
        progress: told of each picture.

    Raises:
        DataError: as ``shown``.
    """
    batches, record = shown(checkpoint, choice, progress=progress)
    calibrator = Calibrator(network, checkpoint.spec, method=choice.method)
    calibrator.observe(batches)
    return calibrator, CalibrationRecord(record=record, ranges=calibrator.ranges())


def shown(
    checkpoint: Checkpoint, choice: Choice, *, progress: Progress = silent
) -> tuple[Iterator[Tensor], Calibration]:
    """The calibration pictures, normalized float32 (N, H, W, 3), a few at a time; which they are.

    Raises:
        DataError: the labels differ from the checkpoint's, a picture cannot be read, or every one
            is in the evaluation split too.
    """
    dataset = choice.dataset
    agree(checkpoint, dataset)
    chosen = choose(dataset, choice.samples, seed=choice.seed, skip=choice.skip, progress=progress)
    train = dataset.splits["train"]
    record = Calibration(
        source=f"{dataset.name} train",
        images=len(chosen),
        seed=choice.seed,
        method=choice.method,
        sha256=tuple(chosen.values()),
    )
    preprocess = checkpoint.spec.preprocess
    return _batches(train, list(chosen), preprocess, "calibrating", progress), record


def agree(checkpoint: Checkpoint, dataset: Dataset) -> None:
    """Whether pictures are of the checkpoint's classes.

    Raises:
        DataError: they are of others.
    """
    if dataset.labels != checkpoint.spec.labels:
        raise DataError(
            f"{dataset.name} has the classes {_some(dataset.labels)} and the checkpoint "
            f"{_some(checkpoint.spec.labels)}; calibrate with the pictures that it was trained with"
        )


def disjoint(choice: Choice) -> Choice:
    """As many pictures of the same draw, none of them in ``choice``.

    Raises:
        DataError: the training split has too few for both.
    """
    dataset = choice.dataset
    available = len(dataset.splits["train"])
    if available < 2 * choice.samples:
        raise DataError(
            f"two sets of {choice.samples} calibration pictures without a common one need "
            f"{2 * choice.samples}, {dataset.name} has {available} to train with; "
            f"give --calib-samples {available // 2} or fewer"
        )
    return replace(choice, skip=choice.samples)


def sparing(choice: Choice, *, progress: Progress = silent) -> Choice:
    """The same draw, of so few pictures that a third of all is left to measure on.

    Raises:
        DataError: the training split has fewer than ``LEAST`` different pictures, copies of those
            of the evaluation split aside.
    """
    dataset = choice.dataset
    enough = max(-(-3 * choice.samples // 2), LEAST)
    if len(dataset.splits["train"]) >= enough + len(dataset.evaluation):
        return choice
    drawn = choose(dataset, enough, seed=choice.seed, progress=progress)
    if len(drawn) == enough:
        return choice
    different = len(set(drawn.values()))
    if different < LEAST:
        raise DataError(
            f"{dataset.name} has {different} different training pictures, and remedies, which are "
            f"measured on a third that is held back, need at least {LEAST}; add pictures, or "
            "calibrate with all of them: --remedy none"
        )
    return replace(choice, samples=min(choice.samples, 2 * different // 3))


def choose(
    dataset: Dataset,
    samples: int,
    *,
    seed: int,
    skip: int = 0,
    without: Collection[str] = (),
    progress: Progress = silent,
) -> dict[int, str]:
    """Indices of training pictures and their digests; none is in the evaluation split.

    Pictures are compared by their decoded pixels, so a copy under another name is found too.
    The first ``skip`` of the draw, those whose digests are ``without``, and all their copies are
    left out as well.
    """
    before = skip or len(without)
    held_out = set(without)
    for index in range(len(dataset.evaluation)):
        held_out.add(dataset.evaluation.sha256(index))
        progress("hashing the evaluation split", index + 1, len(dataset.evaluation))
    train = dataset.splits["train"]
    chosen: dict[int, str] = {}
    for index in np.random.default_rng(seed).permutation(len(train)).tolist():
        if len(chosen) == samples:
            break
        digest = train.sha256(index)
        if digest in held_out:
            continue
        if skip > 0:
            skip -= 1
            held_out.add(digest)
        else:
            chosen[index] = digest
    if not chosen and before:
        raise DataError(
            f"{dataset.name}: of {len(train)} training pictures none is left beside the {before} "
            "to calibrate with; give a smaller --calib-samples"
        )
    if not chosen:
        raise DataError(
            f"{dataset.name}: every training picture is in the {dataset.evaluation_name} split "
            "too, so none is left to calibrate with; split the data anew"
        )
    return chosen


def _some(labels: Sequence[str]) -> str:
    return ", ".join(labels[:5]) + (", ..." if len(labels) > 5 else "")


def _batches(
    split: Split, indices: Sequence[int], preprocess: Preprocess, what: str, progress: Progress
) -> Iterator[Tensor]:
    """Pictures as the traced network takes them, float32 (N, H, W, 3), a few at a time."""
    for start in range(0, len(indices), BATCH):
        progress(what, start, len(indices))
        batch = [as_input(split.rgb(i), preprocess) for i in indices[start : start + BATCH]]
        yield torch.stack(batch)
    progress(what, len(indices), len(indices))


def as_input(rgb: image.Pixels, preprocess: Preprocess) -> Tensor:
    """A picture of any size as the traced network takes it: float32 (H, W, 3)."""
    return torch.from_numpy(image.normalize(image.fit(rgb, preprocess), preprocess))


class CalibrationReport(msgspec.Struct, frozen=True):
    """What calibration gave, told on training pictures that it did not see.

    Attributes:
        calibration: which pictures were used.
        activations: how many ranges were recorded.
        held_back: how many pictures the figures below are of; 0 when calibration used all.
        sqnr_db: signal to quantization noise of the int8 logits, in dB; None without pictures.
        agreement: share of pictures for which int8 and float give the same class, or None.
    """

    calibration: Calibration
    activations: int
    held_back: int
    sqnr_db: float | None
    agreement: float | None


def record(
    model: Path, destination: Path, choice: Choice, *, progress: Progress = silent
) -> CalibrationReport:
    """Write the checkpoint ``model`` with its calibration to ``destination``.

    Raises:
        CheckpointError: the checkpoint cannot be read or written.
        DataError: the data set cannot be used for it.
    """
    checkpoint, network = checkpoints.load_network(model)
    calibrator, found = calibrate(checkpoint, network, choice, progress=progress)
    report = _compare(
        calibrator, network, choice.dataset, found, checkpoint.spec.preprocess, progress
    )
    checkpoints.amend(model, destination, msgspec.structs.replace(checkpoint, calibration=found))
    return report


def _compare(
    calibrator: Calibrator,
    network: nn.Module,
    dataset: Dataset,
    found: CalibrationRecord,
    preprocess: Preprocess,
    progress: Progress,
) -> CalibrationReport:
    train = dataset.splits["train"]
    used = set(found.record.sha256)
    rest = np.random.default_rng(found.record.seed + 1).permutation(len(train)).tolist()
    held_back = [i for i in rest[: HELD_BACK + len(used)] if train.sha256(i) not in used]
    held_back = held_back[:HELD_BACK]
    if not held_back:
        return CalibrationReport(found.record, len(found.ranges), 0, None, None)
    int8_graph = IntegerGraph(calibrator.convert())
    reference, candidate = [], []
    with torch.inference_mode():
        for batch in _batches(train, held_back, preprocess, "comparing int8 with float", progress):
            reference.append(network(batch.permute(0, 3, 1, 2)))
            candidate.append(int8_graph.logits(batch))
    a, b = torch.cat(reference).numpy(), torch.cat(candidate).numpy()
    return CalibrationReport(
        calibration=found.record,
        activations=len(found.ranges),
        held_back=len(a),
        sqnr_db=sqnr_db(a, b),
        agreement=float((a.argmax(1) == b.argmax(1)).mean()),
    )
