"""A .tflite to the int8 graph, with the numbers that TensorFlow Lite Micro derives from its floats.

Sources: tensorflow/lite/kernels/kernel_util.cc and the Prepare functions of
tensorflow/lite/micro/kernels.  What has no integer form here is refused with the operator, the
tensor and the reason.
"""

from __future__ import annotations

from typing import Literal, cast

from edgenet.errors import GraphError
from edgenet.int8.graph import Graph, Layer, Port, Value
from edgenet.int8.operators import lower
from edgenet.int8.step import Step
from edgenet.tflite import Model, Operator, Tensor


def build(model: Model) -> Graph:
    """The graph of a model's one subgraph.

    uint8 models become int8 ones, every code 128 less.  QUANTIZE at the inputs and DEQUANTIZE at
    the outputs become float ports.

    Raises:
        GraphError: the model holds what has no integer form here.
    """
    if len(model.subgraphs) != 1:
        raise GraphError(
            f"{model.name} has {len(model.subgraphs)} subgraphs; only a model of one is supported"
        )
    return _Builder(model).graph()


class _Builder:
    """Goes through the operators, keeping the values that exist so far."""

    def __init__(self, model: Model) -> None:
        self._name = model.name
        self._source = model.subgraphs[0]
        self._values: dict[int, Value] = {}
        self._ports: dict[int, Port] = {}  # by the number of the tensor
        self._layers: list[Layer] = []

    def graph(self) -> Graph:
        for index in self._source.inputs:
            self._input(self._source.tensors[index])
        for operator in self._source.operators:
            self._take(operator)
        outputs = tuple(self._output(self._source.tensors[i]) for i in self._source.outputs)
        inputs = tuple(self._ports[i] for i in self._source.inputs if i in self._ports)
        if not inputs or len(inputs) != len(self._source.inputs) or not outputs:
            raise GraphError(f"{self._name} lacks inputs or outputs that are int8 or quantized")
        return Graph(self._name, self._values, tuple(self._layers), inputs, outputs)

    def _input(self, tensor: Tensor) -> None:
        if not tensor.shape or tensor.shape[0] != 1 or tensor.data is not None:
            raise GraphError(
                f"{self._name}: input {tensor.name!r} has the shape {tensor.shape}; one picture at "
                "a time, a first size of 1, is supported"
            )
        if tensor.dtype != "float32":
            value = self._step(_NO_OPERATOR).as_value(tensor)
            self._values[tensor.index] = value
            self._ports[tensor.index] = _port(tensor, value)

    def _take(self, operator: Operator) -> None:
        step = self._step(operator)
        source = step.tensor(0)
        if operator.name == "QUANTIZE" and source is not None and source.dtype == "float32":
            self._quantize(step, source)
        elif operator.name == "DEQUANTIZE":
            self._dequantize(step)
        else:
            layer, value = lower(step)
            self._values[value.index] = value
            self._layers.append(layer)

    def _quantize(self, step: Step, source: Tensor) -> None:
        if source.index not in self._source.inputs or source.index in self._ports:
            step.refuse("is float32 inside the model; QUANTIZE is supported at inputs", source)
        value = step.output
        step.need_shape(value, source.shape)
        self._values[value.index] = value
        self._ports[source.index] = _port(source, value)

    def _dequantize(self, step: Step) -> None:
        step.need_inputs(1)
        value = step.value(0)
        tensor = self._source.tensors[step.operator.outputs[0]]
        if tensor.index not in self._source.outputs:
            step.refuse("goes on in float; DEQUANTIZE is supported at outputs", tensor)
        self._ports[tensor.index] = _port(tensor, value)

    def _output(self, tensor: Tensor) -> Port:
        if tensor.index in self._ports:
            return self._ports[tensor.index]
        if tensor.index not in self._values:
            raise GraphError(f"{self._name}: no operator gives the output {tensor.name!r}")
        return _port(tensor, self._values[tensor.index])

    def _step(self, operator: Operator) -> Step:
        return Step(self._name, self._source, operator, self._values)


# inputs are refused in the words of operators
_NO_OPERATOR = Operator(-1, "input", False, 1, (), (), "", {}, b"")


def _port(tensor: Tensor, value: Value) -> Port:
    dtype = cast(Literal["int8", "uint8", "float32"], tensor.dtype)
    return Port(tensor=tensor.index, name=tensor.name, dtype=dtype, value=value.index)
