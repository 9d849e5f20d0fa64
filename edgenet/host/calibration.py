"""The calibration (representative) set: which pictures show the observers what to expect."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import torch
from torch import Tensor, nn

from edgenet import image
from edgenet.bundle import Calibration
from edgenet.dataset import Dataset, Progress
from edgenet.drift.sqnr import sqnr_db
from edgenet.errors import DataError, UsageError, unknown
from edgenet.host import checkpoint as checkpoints
from edgenet.host.checkpoint import CalibrationRecord, Checkpoint
from edgenet.host.models import build
from edgenet.host.quantize import Calibrator
from edgenet.host.quantizer import CALIBRATION_METHODS
from edgenet.spec import Preprocess

DEFAULT_SAMPLES = 200
HELD_BACK = 100


def calibrate(
    checkpoint: Checkpoint,
    network: nn.Module,
    dataset: Dataset,
    *,
    samples: int = DEFAULT_SAMPLES,
    seed: int = 0,
    method: str = "minmax",
    progress: Progress = lambda what, done, total: None,
) -> tuple[Calibrator, CalibrationRecord]:
    """Show training pictures to the network and record each activation's range.

    Args:
        checkpoint: what the network was built from.
        network: with its trained weights.
        dataset: pictures are drawn from its training split.
        samples: how many pictures; all of the split when it has fewer.
        seed: of the draw.
        method: how a range is chosen, a key of ``CALIBRATION_METHODS``.
        progress: told of each picture.

    Raises:
        UsageError: the method is unknown, or fewer than one picture is asked for.
        DataError: a picture cannot be read, or every one is in the evaluation split too.
    """
    if method not in CALIBRATION_METHODS:
        raise UsageError(unknown("calibration method", method, CALIBRATION_METHODS))
    if samples < 1:
        raise UsageError(f"{samples} calibration pictures; at least 1 is needed, 200 are usual")
    chosen = choose(dataset, samples, seed=seed, progress=progress)
    train = dataset.splits["train"]
    calibrator = Calibrator(network, checkpoint.spec, method=method)

    def pictures() -> Iterator[Tensor]:
        for done, index in enumerate(chosen, start=1):
            yield as_input(train.rgb(index), checkpoint.spec.preprocess)
            progress("calibrating", done, len(chosen))

    calibrator.observe(pictures())
    record = Calibration(
        source=f"{dataset.name} train",
        images=len(chosen),
        seed=seed,
        method=method,
        sha256=tuple(chosen.values()),
    )
    return calibrator, CalibrationRecord(record=record, ranges=calibrator.ranges())


def choose(
    dataset: Dataset,
    samples: int,
    *,
    seed: int,
    progress: Progress = lambda what, done, total: None,
) -> dict[int, str]:
    """Indices of training pictures and their digests; none is in the evaluation split.

    Pictures are compared by their decoded pixels, so a copy under another name is found too.
    """
    held_out = set()
    for index in range(len(dataset.evaluation)):
        held_out.add(dataset.evaluation.sha256(index))
        progress("hashing the evaluation split", index + 1, len(dataset.evaluation))
    train = dataset.splits["train"]
    chosen: dict[int, str] = {}
    for index in np.random.default_rng(seed).permutation(len(train)).tolist():
        if len(chosen) == samples:
            break
        digest = train.sha256(index)
        if digest not in held_out:
            chosen[index] = digest
    if not chosen:
        raise DataError(
            f"{dataset.name}: every training picture is in the {dataset.evaluation_name} split too, "
            "so none is left to calibrate with; split the data anew"
        )
    return chosen


def as_input(rgb: image.Pixels, preprocess: Preprocess) -> Tensor:
    """A picture of any size as the traced network takes it: float32 (1, H, W, 3)."""
    return torch.from_numpy(image.normalize(image.fit(rgb, preprocess), preprocess))[None]


class CalibrationReport(msgspec.Struct, frozen=True):
    """What calibration gave, told on training pictures that it did not see.

    Attributes:
        calibration: which pictures were used.
        activations: how many ranges were recorded.
        held_back: how many pictures the figures below are of.
        sqnr_db: signal to quantization noise of the int8 logits, in dB.
        agreement: share of pictures for which int8 and float give the same class.
    """

    calibration: Calibration
    activations: int
    held_back: int
    sqnr_db: float
    agreement: float


def record(
    model: Path,
    destination: Path,
    dataset: Dataset,
    *,
    samples: int = DEFAULT_SAMPLES,
    seed: int = 0,
    method: str = "minmax",
    progress: Progress = lambda what, done, total: None,
) -> CalibrationReport:
    """Write the checkpoint ``model`` with its calibration to ``destination``.

    Raises:
        CheckpointError: the checkpoint cannot be read or written.
        DataError: the data set cannot be used for it.
    """
    checkpoint, weights = checkpoints.load(model)
    network = build(checkpoint.spec)
    network.load_state_dict(weights)
    calibrator, found = calibrate(
        checkpoint,
        network.eval(),
        dataset,
        samples=samples,
        seed=seed,
        method=method,
        progress=progress,
    )
    report = _compare(calibrator, network, dataset, found, checkpoint.spec.preprocess, progress)
    amended = msgspec.structs.replace(checkpoint, calibration=found)
    checkpoints.amend(model, destination, amended)
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
    int8_graph = calibrator.convert()
    reference, candidate = [], []
    with torch.inference_mode():
        for done, index in enumerate(held_back[:HELD_BACK], start=1):
            picture = as_input(train.rgb(index), preprocess)
            reference.append(network(picture.permute(0, 3, 1, 2))[0].numpy())
            candidate.append(int8_graph(picture)[0].numpy())
            progress("comparing int8 with float", done, min(len(held_back), HELD_BACK))
    a, b = np.array(reference), np.array(candidate)
    return CalibrationReport(
        calibration=found.record,
        activations=len(found.ranges),
        held_back=len(a),
        sqnr_db=sqnr_db(a, b),
        agreement=float((a.argmax(1) == b.argmax(1)).mean()),
    )
