"""Quantization-aware training: what a run does otherwise when its recipe has a ``[qat]`` section.

The float network of ``--init`` stays as it is. A copy with int8's rounding in it learns; its
weights and ranges are kept beside the float ones, as those that int8 is made of.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import Tensor, nn
from torch.fx import GraphModule

from edgenet.bundle import Calibration
from edgenet.errors import CheckpointError
from edgenet.host import checkpoint, learner
from edgenet.host.callbacks import Observer
from edgenet.host.data import Batches, Pictures
from edgenet.host.fakequant import FakeQuantized
from edgenet.host.integer import IntegerGraph
from edgenet.host.models.folded import folded
from edgenet.host.quantize import Calibrator
from edgenet.host.settings import Settings

REMEDY = "qat"
# pictures that the first ranges are taken from
_BATCH, _BATCHES = 32, 8
# float64 sums take twice the room of the float network's
_AT_ONCE = 50


class QatLearner(learner.Learner):
    """Teaches a network with rounding in it the labels and the float network's answers.

    Args:
        model: the network with rounding in it; its ranges are set to those of some pictures.
        settings: of the run.
        train: what it learns from.
        val: what it is looked at on.
    """

    model: FakeQuantized

    def __init__(
        self,
        model: FakeQuantized,
        settings: Settings,
        *,
        train: Pictures,
        val: Pictures,
    ) -> None:
        preprocess = settings.spec.preprocess
        super().__init__(
            model, settings.recipe, preprocess, train=train, val=val, seed=settings.seed
        )
        self.settings = settings
        assert settings.recipe.qat is not None
        self.qat = settings.recipe.qat
        # no part of the state that a run is resumed from
        self.teacher = (folded(_float_network(settings)[2]).requires_grad_(False),)
        first = islice(Batches(train, _BATCH, seed=settings.seed), _BATCHES)
        model.observe(learner.normalize(pixels, preprocess) for pixels, _ in first)

    def on_fit_start(self) -> None:
        super().on_fit_start()
        self.teacher[0].to(self.device)

    def aims(self, pictures: Tensor, targets: Tensor) -> Tensor:
        if not self.qat.distill:
            return targets
        with torch.no_grad():
            answers = self.teacher[0](pictures).softmax(1)
        return targets.lerp(answers, self.qat.distill)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self.global_step <= (1 - self.qat.frozen) * self.trainer.estimated_stepping_batches:
            self.model.settle(self.qat.follow)


def start(settings: Settings, observer: Observer) -> FakeQuantized:
    """The network that is to learn.

    Raises:
        CheckpointError: the checkpoint cannot be read, or became another since the run began.
    """
    folder, record, network = _float_network(settings)
    known = _known(record)
    done = f", after {', '.join(known.remedies)}" if known.remedies else ""
    observer.stage(f"starting from {folder} ({record.spec.arch} {record.spec.alpha:g}){done}")
    source = checkpoint.int8_network(folder, record, network)
    return FakeQuantized(source, settings.spec, keep_float=known.keep_float)


def finish(
    folder: Path,
    module: QatLearner,
    kept: dict[str, Tensor],
    evaluated: Pictures,
    training: dict[str, Any],
) -> tuple[checkpoint.Checkpoint, learner.Score, learner.Score]:
    """Writes the checkpoint: the float network as it was, and what int8 is made of.

    Args:
        folder: the run's.
        module: what learned.
        kept: the state of its network that is to be kept.
        evaluated: pictures that both networks are measured on.
        training: what led to the result, for the record.

    Returns:
        The record, and the scores of the float and of the int8 network.
    """
    settings, device = module.settings, module.device
    source, record, network = _float_network(settings)
    module.model.load_state_dict(kept)
    tuned = folded(network)
    tuned.load_state_dict(module.model.weights())
    # a network that is tuned a second time has this remedy once
    remedies = tuple(dict.fromkeys((*_known(record).remedies, REMEDY)))
    keep_float = _known(record).keep_float
    calibration = checkpoint.CalibrationRecord(
        Calibration(
            source=f"{training['data']['name']} train",
            images=len(module.pictures[0]),
            seed=settings.seed,
            method=REMEDY,
            sha256=(),
            remedies=remedies,
            keep_float=keep_float,
        ),
        module.model.ranges(),
        remedies=remedies,
        keep_float=keep_float,
        training=training,
    )
    calibrator = Calibrator(tuned, settings.spec, keep_float=keep_float)
    calibrator.apply(calibration.ranges)
    preprocess, cpu = settings.spec.preprocess, torch.device("cpu")
    score = learner.measure(network.to(device), evaluated, preprocess, device)
    int8_score = learner.measure(_Integers(calibrator.convert()), evaluated, preprocess, cpu)
    name = training["data"]["evaluated_on"]
    metrics = record.metrics | score.metrics(name) | int8_score.metrics(f"int8_{name}")
    written = checkpoint.save_int8(
        source,
        folder,
        msgspec.structs.replace(record, metrics=metrics, calibration=calibration),
        tuned.state_dict(),
    )
    return written, score, int8_score


class _Integers(nn.Module):
    """The int8 graph as a network of pictures (N, 3, H, W), on the CPU."""

    def __init__(self, graph: GraphModule) -> None:
        super().__init__()
        self.run = IntegerGraph(graph)

    def forward(self, pictures: Tensor) -> Tensor:
        parts = torch.split(pictures.permute(0, 2, 3, 1), _AT_ONCE)
        return torch.cat([self.run.logits(part) for part in parts])


def _float_network(settings: Settings) -> tuple[Path, checkpoint.Checkpoint, nn.Module]:
    folder = Path(settings.init or "")
    record, network = checkpoint.load_network(folder)
    if record.spec != settings.spec:
        raise CheckpointError(
            f"{folder} holds another network than the one that this run started from; "
            "start a run in another folder"
        )
    return folder, record, network


def _known(record: checkpoint.Checkpoint) -> checkpoint.CalibrationRecord:
    """What was done for int8 before."""
    nothing = Calibration("", 0, 0, "", ())
    return record.calibration or checkpoint.CalibrationRecord(nothing, {})
