"""Runs int8 .tflite files in numpy with TensorFlow Lite Micro's arithmetic: the arbiter.

Every sum is an exact integer and every rounding gemmlowp's (``gemmlowp-double``); each intermediate
tensor can be read.  Nothing but numpy is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgenet import int8, tflite
from edgenet.errors import EngineError, nothing_at
from edgenet.int8 import kernels, quantize
from edgenet.int8.graph import Graph, Port
from edgenet.runner import Array
from edgenet.spec import TensorSpec


class Reference:
    """Opens int8 .tflite files."""

    name = "reference"

    def open(self, model: Path, *, threads: int = 1) -> ReferenceSession:
        """Load a model; more threads are no faster.

        Raises:
            EngineError: the file is missing.
            GraphError: it is malformed or holds what has no integer form here.
        """
        if not model.is_file():
            raise EngineError(nothing_at(model))
        return ReferenceSession(int8.build(tflite.read(model.read_bytes(), model.name)))


class ReferenceSession:
    """One graph, and the values of its last run.

    Args:
        graph: to run; a graph that passes have changed runs as well.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.inputs: tuple[TensorSpec, ...] = tuple(map(self._spec, graph.inputs))
        self.outputs: tuple[TensorSpec, ...] = tuple(map(self._spec, graph.outputs))
        self._codes: dict[int, Array] = {}

    @property
    def delegated(self) -> bool:
        """Whether another engine runs a part of the model; never."""
        return False

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Run the model on one array for each input, in the types that the model has.

        Arrays may hold many pictures in their first axis, where the model has 1.

        Raises:
            ValueError: an array's shape or type is not the input's.
        """
        codes = {}
        for port, array in zip(self.graph.inputs, inputs, strict=True):
            codes[port.value] = self._codes_of(port, np.asarray(array))
        self._codes = self.values(codes)
        return [self._result(port) for port in self.graph.outputs]

    def tensor(self, index: int) -> Array:
        """Any activation of the last run by its number in the .tflite, as the .tflite holds it.

        Raises:
            ValueError: there is no such value, or nothing has been run.
        """
        if index not in self._codes:
            raise ValueError(f"tensor {index} is no activation of the last run")
        codes = self._codes[index]
        stored = self.graph.values[index].stored
        return _merge(codes ^ np.int8(-128) if stored == "uint8" else codes).view(stored)

    def values(self, codes: dict[int, Array]) -> dict[int, Array]:
        """All values, int8 (pictures, *shape), of those of the inputs, which are among them."""
        codes = dict(codes)
        for layer in self.graph.layers:
            given = [codes[index] for index in layer.inputs]
            codes[layer.output] = kernels.run(layer, given, self.graph.values[layer.output].shape)
        return codes

    def _codes_of(self, port: Port, array: Array) -> Array:
        """int8 (pictures, *shape) of what a user gives."""
        value = self.graph.values[port.value]
        if array.dtype != port.dtype or array.shape[1:] != value.shape[1:] or not array.size:
            raise ValueError(
                f"input {port.name!r} is {array.dtype} {array.shape}; {port.dtype} {value.shape} "
                "is needed"
            )
        pictures = array[:, np.newaxis]
        if port.dtype == "float32":
            return quantize.codes(pictures, value.scale, value.zero_point)
        flip = np.int8(-128 if port.dtype == "uint8" else 0)
        return np.asarray(np.ascontiguousarray(pictures).view(np.int8) ^ flip)

    def _result(self, port: Port) -> Array:
        if port.dtype != "float32":
            return self.tensor(port.value)
        value = self.graph.values[port.value]
        centred = self._codes[port.value].astype(np.float64) - value.zero_point
        return _merge((centred * value.scale).astype(np.float32))

    def _spec(self, port: Port) -> TensorSpec:
        value = self.graph.values[port.value]
        quantized = port.dtype != "float32"
        shift = 128 if port.dtype == "uint8" else 0
        return TensorSpec(
            name=port.name,
            shape=value.shape,
            dtype=port.dtype,
            scale=(value.scale,) if quantized else (),
            zero_point=(value.zero_point + shift,) if quantized else (),
            axis=None,
        )


def _merge(values: Array) -> Array:
    """(pictures, 1, ...) to (pictures, ...); a first size other than 1 multiplies."""
    return values.reshape(-1, *values.shape[2:])
