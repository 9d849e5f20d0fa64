"""One operator of a .tflite on its way into the int8 graph: what it may ask, and refusals."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, NoReturn, cast

import numpy as np

from edgenet.errors import GraphError
from edgenet.int8 import fixed_point, quantize
from edgenet.int8.graph import LEAST, MOST, Array, Output, Value
from edgenet.tflite import ABSENT, Operator, Option, Subgraph, Tensor

SHIFT_OF_UINT8 = 128


class Step:
    """An operator with the tensors that it names.

    Args:
        model: what the model is called in sentences.
        graph: that the operator is of.
        operator: it.
        values: those that exist before it.
    """

    def __init__(
        self, model: str, graph: Subgraph, operator: Operator, values: Mapping[int, Value]
    ) -> None:
        self._model = model
        self._graph = graph
        self.operator = operator
        self._values = values
        self.name = f"{operator.name} {operator.index}"
        self._who = f"operator {self.name}" if operator.index >= 0 else "an input"

    def refuse(self, reason: str, tensor: Tensor | Value | None = None) -> NoReturn:
        """Say which operator, which tensor, and why.

        Raises:
            GraphError: always.
        """
        where = f", tensor {tensor.index} {tensor.name!r}," if tensor is not None else ""
        raise GraphError(f"{self._model}: {self._who}{where} {reason}")

    def refuse_operator(self, supported: str) -> NoReturn:
        """Say that there is no such operator here.

        Args:
            supported: those that there are.

        Raises:
            GraphError: always.
        """
        named = [index for index in (*self.operator.outputs, *self.operator.inputs) if index >= 0]
        tensor = self._graph.tensors[named[0]] if named else None
        custom = "custom operators are" if self.operator.custom else "this operator is"
        self.refuse(f"cannot be computed: {custom} not supported; these are: {supported}", tensor)

    def need_inputs(self, least: int, most: int | None = None) -> None:
        count, most = len(self.operator.inputs), most or least
        if not least <= count <= most or len(self.operator.outputs) != 1:
            self.refuse(
                f"has {count} inputs and {len(self.operator.outputs)} outputs; "
                f"{least} to {most} and 1 are possible"
            )

    def option(self, name: str, *allowed: Option) -> Option:
        """An option; where ``allowed`` are given, one of them."""
        if name not in self.operator.options:
            self.refuse(f"lacks its option {name}; the file is incomplete, export it again")
        value = self.operator.options[name]
        if allowed and value not in allowed:
            self.refuse(f"has {name} {value}; only {' or '.join(map(str, allowed))} is supported")
        return value

    def number(self, name: str) -> int:
        return int(cast(int, self.option(name)))

    def tensor(self, position: int) -> Tensor | None:
        """The tensor of an input; None where it is left out."""
        inputs = self.operator.inputs
        if position >= len(inputs) or inputs[position] == ABSENT:
            return None
        return self._graph.tensors[inputs[position]]

    def value(self, position: int) -> Value:
        """An input that is an activation."""
        tensor = self.tensor(position)
        if tensor is None:
            self.refuse(f"lacks input {position}")
        if tensor.data is not None:
            self.refuse("is a constant where only an activation is supported", tensor)
        self._need_codes(tensor)
        if tensor.index not in self._values:
            self.refuse("is used before any operator gives it; the file is damaged", tensor)
        return self._values[tensor.index]

    @property
    def output(self) -> Value:
        """What the operator gives, as a value."""
        tensor = self._graph.tensors[self.operator.outputs[0]]
        if tensor.index in self._values or tensor.data is not None:
            self.refuse("is given twice; the file is damaged", tensor)
        return self.as_value(tensor)

    def as_value(self, tensor: Tensor) -> Value:
        """A tensor as int8 codes."""
        self._need_codes(tensor)
        if len(tensor.scale) != 1 or not 0 < tensor.scale[0] < math.inf:
            self.refuse(f"has {_scales(tensor)}; an activation needs one, above 0", tensor)
        # the first size is that of the batch, which is one picture here
        if tensor.variable or min(tensor.shape, default=1) < 1 or -1 in tensor.shape_signature[1:]:
            self.refuse(f"has the shape {tensor.shape}, which must be fixed and not empty", tensor)
        shift = SHIFT_OF_UINT8 if tensor.dtype == "uint8" else 0
        zero_point = tensor.zero_point[0] - shift
        if not LEAST <= zero_point <= MOST:
            self.refuse(f"has the zero point {tensor.zero_point[0]}, which is no code", tensor)
        stored = cast(Literal["int8", "uint8"], tensor.dtype)
        return Value(tensor.index, tensor.name, tensor.shape, tensor.scale[0], zero_point, stored)

    def _need_codes(self, tensor: Tensor) -> None:
        if tensor.dtype not in ("int8", "uint8"):
            self.refuse(
                f"is {tensor.dtype}, which has no int8 form here; quantize the model in full int8",
                tensor,
            )

    def constant(self, position: int, *dtypes: str) -> Tensor:
        """An input that is a constant of one of some types."""
        tensor = self.tensor(position)
        if tensor is None:
            self.refuse(f"lacks input {position}, a constant")
        if tensor.data is None:
            self.refuse("is computed; only a constant is supported here", tensor)
        if tensor.dtype not in dtypes or tensor.sparse:
            kind = f"sparse {tensor.dtype}" if tensor.sparse else tensor.dtype
            self.refuse(f"is {kind}; {' or '.join(dtypes)} is supported here", tensor)
        return tensor

    def integers(self, position: int) -> tuple[int, ...]:
        """A constant of whole numbers, flattened."""
        data = self.constant(position, "int32", "int64").data
        return tuple(int(value) for value in np.ravel(cast(Array, data)))

    def need_shape(self, value: Value, shape: tuple[int, ...]) -> None:
        if value.shape != shape:
            self.refuse(f"has the shape {value.shape}, but its operator gives {shape}", value)

    def need_same_codes(self, first: Value, second: Value) -> None:
        """Refuse values whose codes mean different numbers, or that are stored otherwise."""
        self.need_same_type(first, second)
        same = math.isclose(first.scale, second.scale, rel_tol=1e-6)
        if not same or first.zero_point != second.zero_point:
            self.refuse(
                f"has another scale or zero point than tensor {first.index}; this operator needs"
                " both to be equal",
                second,
            )

    def need_same_type(self, first: Value, second: Value) -> None:
        if first.stored != second.stored:
            self.refuse(f"is {second.stored}, but tensor {first.index} is {first.stored}", second)

    def multiplier(self, factor: float) -> tuple[int, int]:
        """A factor in fixed point."""
        multiplier, shift = fixed_point.quantize_multiplier(factor)
        if shift > 30:
            self.refuse(f"scales sums by {factor:g}, which fixed point cannot hold")
        return multiplier, shift

    def out(self, factors: Array, value: Value, low: int = LEAST, high: int = MOST) -> Output:
        """How sums become codes of a value, by one factor or one a channel."""
        pairs = [self.multiplier(float(factor)) for factor in np.ravel(factors)]
        multiplier, shift = np.array(pairs, np.int64).T
        return Output(multiplier, shift, value.zero_point, low, high)

    def activation(self, value: Value) -> tuple[int, int]:
        """The least and the largest code that the fused activation lets through.

        CalculateActivationRangeQuantized of tensorflow/lite/kernels/kernel_util.cc.
        """
        kind = self.option("fused_activation_function", *_ACTIVATIONS)
        low, high = _ACTIVATIONS[str(kind)]
        least = LEAST if low is None else max(LEAST, self.code(low, value))
        most = MOST if high is None else min(MOST, self.code(high, value))
        return least, most

    def code(self, real: float, value: Value) -> int:
        """The code of a real number, not clamped; halves away from zero, in float32."""
        if not abs(np.float32(real) / np.float32(value.scale)) < 2**31:
            self.refuse(f"has the scale {value.scale}, too small for its activation", value)
        return int(quantize.steps(real, value.scale)) + value.zero_point


_ACTIVATIONS: dict[str, tuple[float | None, float | None]] = {
    "NONE": (None, None),
    "RELU": (0, None),
    "RELU6": (0, 6),
    "RELU_N1_TO_1": (-1, 1),
}


def _scales(tensor: Tensor) -> str:
    if len(tensor.scale) == 1:
        return f"the scale {tensor.scale[0]}"
    return f"{len(tensor.scale)} scales"
