"""Result files: how networks were trained, and what their quantization was measured to cost."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from edgenet.drift.record import DriftReport, Result
from edgenet.environment import Machine
from edgenet.host.robustness import Robustness

Way = Literal["plain", "remedies", "qat"]
REFERENCE, INT8 = "fp32.tflite", "int8.tflite"


class Outcome(msgspec.Struct):
    """One stage of training: the part of ``edgenet train --json`` that docs tell."""

    command: str
    spec: dict[str, Any]
    metrics: dict[str, float]
    data: dict[str, Any]
    recipe: dict[str, Any]
    versions: dict[str, str]
    epochs: int
    seconds: float
    device: str
    seed: int
    weights_sha256: str

    @property
    def side(self) -> int:
        return int(self.spec["preprocess"]["height"])


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """int8 made in one way, beside the float network on the same pictures.

    Attributes:
        command: that made it of the float checkpoint.
        remedies: what was applied, in order.
        keep_float: layers that stay float.
        drift: what ``edgenet evaluate --json`` printed.
        robustness: what ``edgenet quantize --robustness`` found; None where it was not asked for.
    """

    command: str
    remedies: tuple[str, ...]
    keep_float: tuple[str, ...]
    drift: DriftReport
    robustness: Robustness | None = None

    @property
    def int8(self) -> Result:
        return next(one for one in self.drift.results if one.variant == INT8)

    @property
    def fp32(self) -> Result:
        return next(one for one in self.drift.results if one.variant == REFERENCE)


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """A file of docs/remedies: one float network, and its int8 by each way.

    Attributes:
        network: such as mobilenet_v1_0.25_64.
        training: its stages; none for the checkpoint that ships, which docs/results tells of.
        weights_sha256: of the float checkpoint.
        machine: that measured.
        ways: what was measured so far.
    """

    network: str
    training: tuple[Outcome, ...]
    weights_sha256: str
    machine: Machine
    ways: dict[Way, Made]
