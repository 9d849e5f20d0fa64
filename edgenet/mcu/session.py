"""A model on a board as an engine: what it takes and gives in the types of its .tflite."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from edgenet.bundle import ModelRecord, Rounding
from edgenet.codegen.written import Written
from edgenet.int8 import quantize
from edgenet.runner import Array
from edgenet.spec import TensorSpec

Answer = Callable[[Array], Array]
"""Outputs, int8 (pictures, size), of inputs int8 (pictures, size)."""


class BoardSession:
    """One model, loaded on a board.

    Args:
        record: of the model.
        program: that was generated of it.
        answer: runs it.
        engine: what that is, for reports.
    """

    rounding: Rounding = "gemmlowp-double"

    def __init__(
        self, record: ModelRecord, program: Written, answer: Answer, *, engine: str
    ) -> None:
        self.engine = engine
        self.inputs: tuple[TensorSpec, ...] = record.inputs
        self.outputs: tuple[TensorSpec, ...] = record.outputs
        self._program = program
        self._answer = answer

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Run the model on pictures (N, H, W, 3) of the input's type."""
        (given,) = inputs
        found = self._answer(codes_of(given, self._program))
        return [self._result(found)]

    def _result(self, codes: Array) -> Array:
        dtype = self.outputs[0].dtype
        if dtype == "int8":
            return codes
        if dtype == "uint8":
            return np.asarray(codes ^ np.int8(-128)).view(np.uint8)
        centred = codes.astype(np.float64) - self._program.number("OUT_ZERO_POINT")
        real: Array = (centred * np.float32(self._program.number("OUT_SCALE"))).astype(np.float32)
        return real


def codes_of(given: Array, program: Written) -> Array:
    """int8 (pictures, size) of pictures as the .tflite takes them.

    Float pictures are quantized as TensorFlow Lite does: halves away from zero.
    """
    rows = np.ascontiguousarray(given).reshape(len(given), -1)
    if rows.dtype == np.int8:
        return rows
    if rows.dtype == np.uint8:
        return np.asarray(rows.view(np.int8) ^ np.int8(-128))
    scale, zero_point = program.number("IN_SCALE"), int(program.number("IN_ZERO_POINT"))
    return quantize.codes(rows, scale, zero_point)


class BoardEngine:
    """An engine whose models run on a board.

    Args:
        name: of what runs them, for reports.
        open_session: loads the model once more, for another thread.
    """

    def __init__(self, name: str, open_session: Callable[[], BoardSession]) -> None:
        self.name = name
        self._open = open_session

    def open(self, model: Path, *, threads: int = 1) -> BoardSession:
        """Load the model; it is the one that the program was generated of, on one thread."""
        return self._open()
