"""int8 in the making: what a remedy takes and gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
from torch import Tensor, nn

from edgenet.bundle import Calibration
from edgenet.dataset import Progress, silent
from edgenet.host.checkpoint import CalibrationRecord, Checkpoint
from edgenet.host.models.folded import folded
from edgenet.host.quantize import Calibrator, Ranges
from edgenet.spec import ModelSpec


@dataclass(frozen=True)
class Candidate:
    """What an int8 graph is made of.

    Attributes:
        spec: of the network.
        reference: the float network, without batch norm; its layers give what those of ``network``
            are meant to give.
        network: the same, with the weights that int8 is made of.
        ranges: smallest and largest value of each activation.
        method: how they were chosen, a key of ``CALIBRATION_METHODS``.
        keep_float: layers that stay float.
        applied: names of the remedies, in order.
        note: what the last of them found, for people.
        training: what ``qat`` trained with.
    """

    spec: ModelSpec
    reference: nn.Module
    network: nn.Module
    ranges: Ranges
    method: str = "minmax"
    keep_float: tuple[str, ...] = ()
    applied: tuple[str, ...] = ()
    note: str = ""
    training: Mapping[str, Any] = field(default_factory=dict)

    def calibrator(self) -> Calibrator:
        """Knows the ranges; its ``convert`` gives the int8 graph."""
        found = Calibrator(self.network, self.spec, keep_float=self.keep_float)
        # a layer that stays float needs no range between it and the next that does
        found.apply({name: self.ranges[name] for name in found.observers})
        return found

    def recorded(self, used: Calibration) -> CalibrationRecord:
        """What a checkpoint keeps of it, beside the weights."""
        return CalibrationRecord(
            record=msgspec.structs.replace(used, method=self.method),
            ranges=self.calibrator().ranges(),
            remedies=self.applied,
            keep_float=self.keep_float,
            training=dict(self.training),
        )

    def with_remedy(self, name: str, note: str = "", **changes: object) -> Candidate:
        """A copy that is changed, and says by what."""
        return replace(self, applied=(*self.applied, name), note=note, **changes)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Training:
    """What quantization-aware training works with.

    Attributes:
        model: the checkpoint's folder.
        checkpoint: its record.
        used: the calibration pictures.
        data: the pictures, as ``open_dataset`` takes them.
        epochs: how long.
    """

    model: Path
    checkpoint: Checkpoint
    used: Calibration
    data: str
    epochs: int


def _unjudged(candidate: Candidate, since: Candidate) -> bool:
    raise ValueError("this remedy needs pictures to be judged on")


@dataclass(frozen=True)
class Material:
    """What remedies work with.

    Attributes:
        batches: the calibration pictures, normalized float32 (N, H, W, 3).
        better: whether a candidate beats another on pictures that calibration does not use.
        training: None where there is no checkpoint to train.
        seed: of whatever is drawn.
        iterations: steps of gradient descent for each layer.
        progress: told what is done.
    """

    batches: Sequence[Tensor]
    better: Callable[[Candidate, Candidate], bool] = _unjudged
    training: Training | None = None
    seed: int = 0
    iterations: int = 500
    progress: Progress = field(default=silent)


Remedy = Callable[[Candidate, Material], Candidate]


def plain(
    network: nn.Module, spec: ModelSpec, material: Material, method: str = "minmax"
) -> Candidate:
    """int8 without any remedy, of a float network."""
    float_network = folded(network)
    ranges = observed(float_network, spec, material, method)
    return Candidate(spec, float_network, float_network, ranges, method)


def observed(network: nn.Module, spec: ModelSpec, material: Material, method: str) -> Ranges:
    """The ranges of every activation on the calibration pictures."""
    calibrator = Calibrator(network, spec, method=method)
    for done, batch in enumerate(material.batches):
        material.progress(f"observing ranges by {method}", done, len(material.batches))
        calibrator.observe([batch])
    material.progress(f"observing ranges by {method}", len(material.batches), len(material.batches))
    return calibrator.ranges()
