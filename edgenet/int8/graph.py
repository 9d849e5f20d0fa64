"""The int8 graph: what TensorFlow Lite Micro computes, with every number that it derives.

A graph has values, which are int8 codes with real = scale * (code - zero_point), and layers in the
order of execution.  uint8 models are the same graphs, each code less 128.  Layouts are NHWC;
letters in shapes: N pictures, H rows, W columns, C channels, O output channels, K terms of a sum.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
LEAST, MOST = -128, 127


@dataclass(frozen=True, slots=True)
class Value:
    """int8 codes that layers pass on.

    Attributes:
        index: number of the tensor in the .tflite.
        name: of the tensor.
        shape: with the batch, which is 1.
        scale: step between codes.
        zero_point: the code of 0.
        stored: what the .tflite holds it as; codes of ``uint8`` are 128 more there.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    scale: float
    zero_point: int
    stored: Literal["int8", "uint8"]

    @property
    def size(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class Padding:
    """Rows and columns of zeros, in the sense of the zero point, around a map."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0

    def __bool__(self) -> bool:
        return any((self.top, self.bottom, self.left, self.right))


@dataclass(frozen=True, slots=True, eq=False)
class Output:
    """How sums become codes: clamp(sum * multiplier * 2^(shift - 31) + zero_point).

    Attributes:
        multiplier: int64 of one, or one a channel.
        shift: as many.
        zero_point: of the output.
        low: the least code.
        high: the largest code.
    """

    multiplier: Array
    shift: Array
    zero_point: int
    low: int = LEAST
    high: int = MOST


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One step.

    Attributes:
        name: operator and its number in the .tflite, ``CONV_2D 3``.
        inputs: indices of values.
        output: index of a value.
    """

    name: str
    inputs: tuple[int, ...]
    output: int


@dataclass(frozen=True, slots=True, eq=False)
class Weighted(Layer):
    """What the layers with weights share.

    Attributes:
        weight: int8; shape by the layer.
        weight_zero_point: 0 but in uint8 models, and then one for all weights.
        bias: int64 of int32 values (O,), added to the sums of (x - zero point) * weight.
        input_zero_point: of the input, which padding is filled with.
        out: how sums become codes.
    """

    weight: Array
    weight_zero_point: int
    bias: Array
    input_zero_point: int
    out: Output

    def folded_bias(self) -> Array:
        """int64 (O,): what is added to sums of x * weight, in padding too; zero points are in it.

        Raises:
            ValueError: weights have a zero point, which no bias can stand for.
        """
        if self.weight_zero_point:
            raise ValueError(f"{self.name} has weights with a zero point")
        return np.asarray(self.bias - self.input_zero_point * self.sums_of_weights())

    def sums_of_weights(self) -> Array:
        """int64 (O,)."""
        axes = tuple(axis for axis in range(self.weight.ndim) if axis != self.output_axis)
        return np.asarray(self.weight.sum(axes, dtype=np.int64))

    @property
    def output_axis(self) -> int:
        return 0

    @property
    def outputs(self) -> int:
        """Output channels."""
        return int(self.weight.shape[self.output_axis])

    def macs(self, result: Value) -> int:
        """Multiplications for one picture.

        Args:
            result: the value that the layer gives.
        """
        return int(result.size // self.outputs * self.weight.size)


@dataclass(frozen=True, slots=True, eq=False)
class Conv(Weighted):
    """weight (O, kernel H, kernel W, C)."""

    stride: tuple[int, int]
    padding: Padding


@dataclass(frozen=True, slots=True, eq=False)
class Depthwise(Weighted):
    """weight (kernel H, kernel W, O); output channel o reads channel o // depth_multiplier."""

    stride: tuple[int, int]
    padding: Padding
    depth_multiplier: int

    @property
    def output_axis(self) -> int:
        return 2

    def macs(self, result: Value) -> int:
        """Multiplications for one picture."""
        return int(result.size * self.weight.shape[0] * self.weight.shape[1])


@dataclass(frozen=True, slots=True, eq=False)
class FullyConnected(Weighted):
    """weight (O, K); the input, of any shape, is read as rows of K."""


@dataclass(frozen=True, slots=True, eq=False)
class Pool(Layer):
    """The largest or the mean of each window; padding counts for neither.

    Attributes:
        kind: which.
        window: rows, columns.
        stride: rows, columns.
        padding: around the input.
        low: the least code.
        high: the largest code.
        offset: added to codes before a mean is rounded away from zero and taken off after: 128 in
            uint8 models, whose codes are never negative.
    """

    kind: Literal["average", "max"]
    window: tuple[int, int]
    stride: tuple[int, int]
    padding: Padding
    low: int
    high: int
    offset: int


@dataclass(frozen=True, slots=True, eq=False)
class Mean(Layer):
    """The mean over some axes, of codes less the input's zero point; ``out`` divides by the count.

    Attributes:
        axes: of the input.
        keep: whether they stay, with size 1.
        count: codes in each mean.
        input_zero_point: of the input.
        out: how sums become codes.
    """

    axes: tuple[int, ...]
    keep: bool
    count: int
    input_zero_point: int
    out: Output


@dataclass(frozen=True, slots=True, eq=False)
class Add(Layer):
    """Sum of two values of one shape, each lifted by 2^left_shift and rescaled before.

    Attributes:
        zero_points: of the inputs.
        multipliers: of the inputs.
        shifts: of the inputs.
        left_shift: bits that keep precision.
        out: how the sum becomes codes.
    """

    zero_points: tuple[int, int]
    multipliers: tuple[int, int]
    shifts: tuple[int, int]
    left_shift: int
    out: Output


@dataclass(frozen=True, slots=True, eq=False)
class Pad(Layer):
    """Rows and columns of a code, the zero point as a rule, around a map."""

    padding: Padding
    code: int


@dataclass(frozen=True, slots=True, eq=False)
class Transpose(Layer):
    """Axes in another order."""

    permutation: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Reshape(Layer):
    """The same codes in the same order, in the output's shape."""


@dataclass(frozen=True, slots=True, eq=False)
class Concatenation(Layer):
    """Values side by side along an axis; all have the output's scale and zero point."""

    axis: int


@dataclass(frozen=True, slots=True, eq=False)
class Softmax(Layer):
    """Along the last axis; the output's scale is 1/256 and its zero point -128.

    Attributes:
        multiplier: of differences to the largest code, to Q5.26.
        left_shift: the same.
        least: differences below it count for nothing.
    """

    multiplier: int
    left_shift: int
    least: int


@dataclass(frozen=True, slots=True, eq=False)
class Rescale(Layer):
    """Codes of one scale to codes of another, clamped: QUANTIZE between int8 values, and RELU."""

    input_zero_point: int
    out: Output


@dataclass(frozen=True, slots=True, eq=False)
class Clamp(Layer):
    """Codes held between two: RELU6, which keeps the scale."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output as the .tflite has it.

    Attributes:
        tensor: its number there.
        name: of that tensor.
        dtype: ``int8``, ``uint8``, or ``float32`` where the model quantizes or dequantizes itself.
        value: index of the value that stands behind it.
    """

    tensor: int
    name: str
    dtype: Literal["int8", "uint8", "float32"]
    value: int


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """Values by index, layers in the order of execution, and the ends."""

    name: str
    values: Mapping[int, Value]
    layers: tuple[Layer, ...]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
