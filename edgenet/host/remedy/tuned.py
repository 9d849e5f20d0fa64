"""Quantization-aware training, from what the remedies before it gave."""

from __future__ import annotations

import tempfile
from pathlib import Path

import msgspec

from edgenet.host import checkpoint as checkpoints
from edgenet.host.remedy.candidate import Candidate, Material


def tuned(candidate: Candidate, material: Material) -> Candidate:
    """Weights and ranges that ``edgenet.host.qat`` trained; layers that are float stay so."""
    # it imports Lightning, which the other remedies do without
    from edgenet.host.qat import tune

    training = material.training
    if training is None:
        raise ValueError("training needs a checkpoint and pictures")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        record = msgspec.structs.replace(
            training.checkpoint, calibration=candidate.recorded(training.used)
        )
        weights = candidate.network.state_dict()
        checkpoints.save_int8(training.model, folder / "start", record, weights)
        material.progress("training with int8's rounding", 0, 1)
        tune(
            folder / "start",
            folder / "tuned",
            training.data,
            epochs=training.epochs,
            seed=material.seed,
        )
        material.progress("training with int8's rounding", 1, 1)
        found, network = checkpoints.load_network(folder / "tuned")
        learned = checkpoints.int8_network(folder / "tuned", found, network)
    assert found.calibration is not None
    return candidate.with_remedy(
        "qat",
        f"{training.epochs} epochs",
        network=learned,
        ranges=found.calibration.ranges,
        training=found.calibration.training,
    )
