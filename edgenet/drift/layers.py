"""Where the noise enters: each layer of the int8 graph against the same layer of the float graph.

Both TFLite models run the same pictures from the start, so a layer's noise is its own plus what
it was handed.  The two graphs have the same operators in the same order, which pairs their layers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf

import numpy as np

from edgenet import image, runtime
from edgenet.bundle import Bundle
from edgenet.dataset import Progress, silent
from edgenet.drift.record import Layer
from edgenet.drift.sqnr import FLOOR_DB, Sqnr, recorded
from edgenet.errors import UsageError
from edgenet.runner import Array
from edgenet.runtime.litert import LiteRT, LiteRTSession, Operator
from edgenet.spec import TensorSpec, Variant

FLOAT: Variant = "fp32.tflite"
INT8: Variant = "int8.tflite"


class LayerComparison:
    """Both graphs of a bundle, opened so that every intermediate tensor can be read.

    Raises:
        UsageError: the bundle lacks one of the models, or their operators differ.
        EngineError: LiteRT refuses a model.
        MissingPackage: LiteRT is not installed.
    """

    def __init__(self, bundle: Bundle) -> None:
        for variant in (FLOAT, INT8):
            if variant not in bundle.variants:
                raise UsageError(
                    f"{bundle.root} has no {variant}; layers are compared between {FLOAT} and "
                    f"{INT8}, so export it for a target that has both"
                )
        engine = LiteRT(preserve_all=True)
        self.preprocess = bundle.spec.preprocess
        self.sessions = engine.open(bundle.model(FLOAT)), engine.open(bundle.model(INT8))
        self.operators, ints = (session.operators() for session in self.sessions)
        self.tensors = pair(self.operators, ints)

    def measure(
        self, pictures: Iterable[Array], count: int, progress: Progress = silent
    ) -> tuple[Layer, ...]:
        """Run pictures through both graphs; gives the layers, worst first.

        Args:
            pictures: uint8 (height, width, 3), fitted to the models' input.
            count: how many there are, for ``progress``.
            progress: told how many are done.
        """
        meters = [_Meter(self.sessions, *tensors) for tensors in self.tensors]
        for done, fitted in enumerate(pictures, start=1):
            for session in self.sessions:
                session.run([image.as_tensor(fitted, self.preprocess, session.inputs[0])])
            for meter in meters:
                meter.read()
            progress("comparing layers", done, count)
        ratios = [meter.sqnr.db for meter in meters]
        layers = [
            Layer(
                index=index,
                operator=operator.name,
                shape=meter.spec.shape,
                snr_db=recorded(meter.sqnr.db),
                gained_db=_gain(ratios, index),
                clipped=meter.clipped / meter.values,
            )
            for index, (operator, meter) in enumerate(zip(self.operators, meters, strict=True))
        ]
        return tuple(
            sorted(layers, key=lambda layer: inf if layer.snr_db is None else layer.snr_db)
        )


def pair(floats: Sequence[Operator], ints: Sequence[Operator]) -> list[tuple[int, int]]:
    """The output tensor of each operator of the float graph, with that of the int8 graph.

    Where a layer of the int8 graph stays float, it is what it hands on as int8, if it does.

    Raises:
        UsageError: the operators are not the same, in the same order.
    """
    handed_on = {one.inputs[0]: one.outputs[0] for one in ints if one.name == "QUANTIZE"}
    ints = [one for one in ints if one.name not in ("QUANTIZE", "DEQUANTIZE")]
    for index, (ours, theirs) in enumerate(zip(floats, ints, strict=False)):
        if ours.name != theirs.name:
            raise UsageError(
                f"layers cannot be compared: operator {index} is {ours.name} in {FLOAT} and "
                f"{theirs.name} in {INT8}; export both from one checkpoint"
            )
    if len(floats) != len(ints):
        raise UsageError(
            f"layers cannot be compared: {FLOAT} has {len(floats)} operators and {INT8} has "
            f"{len(ints)}; export both from one checkpoint"
        )
    results = [
        (ours.outputs[0], theirs.outputs[0]) for ours, theirs in zip(floats, ints, strict=True)
    ]
    return [(ours, handed_on.get(theirs, theirs)) for ours, theirs in results]


class _Meter:
    """Sums up one layer over the pictures."""

    def __init__(
        self, sessions: tuple[LiteRTSession, LiteRTSession], reference: int, candidate: int
    ) -> None:
        self.sessions = sessions
        self.reference, self.candidate = reference, candidate
        self.spec = sessions[1].tensor_specs()[candidate]
        self.sqnr = Sqnr()
        self.clipped = 0
        self.values = 0

    def read(self) -> None:
        """Count what both sessions have just computed."""
        exact = self.sessions[0].tensor(self.reference)
        codes = self.sessions[1].tensor(self.candidate)
        self.sqnr.add(exact, runtime.dequantize(codes, self.spec))
        self.clipped += count_clipped(exact, self.spec)
        self.values += exact.size


def count_clipped(exact: Array, spec: TensorSpec) -> int:
    """How many real values lie more than half a step outside of what the codes stand for."""
    if not spec.scale:
        return 0
    codes = np.iinfo(spec.dtype)
    low = spec.scale[0] * (codes.min - spec.zero_point[0] - 0.5)
    high = spec.scale[0] * (codes.max - spec.zero_point[0] + 0.5)
    return int(np.count_nonzero((exact < low) | (exact > high)))


def _gain(ratios: Sequence[float], index: int) -> float | None:
    """Decibels against the layer before; None where one of the two has no noise."""
    if index == 0 or inf in ratios[index - 1 : index + 1]:
        return None
    before, here = (max(ratio, FLOOR_DB) for ratio in ratios[index - 1 : index + 1])
    return here - before
