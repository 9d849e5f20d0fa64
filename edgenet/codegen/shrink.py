"""Cuts channels out of a .tflite: weights, biases, scales and shapes of what is left."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import cast

import numpy as np

from edgenet.codegen.channels import Kept, Sums, shares, terms_of_channels
from edgenet.codegen.intervals import Interval
from edgenet.int8 import graph as g
from edgenet.int8.graph import Array, Graph, Value
from edgenet.tflite import ABSENT, Model, Operator, Tensor


class Shrinker:
    """Cuts the kept channels out of a model's tensors.

    Args:
        model: to shrink.
        graph: made of it.
        found: its intervals.
        kept: the channels that stay.
    """

    def __init__(
        self, model: Model, graph: Graph, found: Mapping[int, Interval], kept: Kept
    ) -> None:
        self._model = model
        self._source = model.subgraphs[0]
        self._graph = graph
        self._found = found
        self._kept = kept
        self._tensors = list(self._source.tensors)
        self._operators = list(self._source.operators)
        self._layers = {layer.output: layer for layer in graph.layers}

    def model(self) -> Model:
        for index, value in self._graph.values.items():
            self._tensors[index] = self._smaller_value(self._tensors[index], value)
        for operator in self._source.operators:
            layer = self._layers.get(operator.outputs[0])
            if isinstance(layer, g.Weighted):
                self._shrink_weights(operator, layer)
            elif isinstance(layer, g.Reshape):
                self._shrink_shape(operator)
        used = {index for operator in self._operators for index in operator.inputs}
        tensors = tuple(
            tensor if tensor.index in used else dataclasses.replace(tensor, data=None)
            for tensor in self._tensors
        )
        smaller = dataclasses.replace(
            self._source, tensors=tensors, operators=tuple(self._operators)
        )
        return dataclasses.replace(self._model, subgraphs=(smaller,))

    def _smaller_value(self, tensor: Tensor, value: Value) -> Tensor:
        if not value.shape:
            return tensor
        left = int(self._kept[value.index].sum())
        signature = tensor.shape_signature
        return dataclasses.replace(
            tensor,
            shape=(*tensor.shape[:-1], left),
            shape_signature=(*signature[:-1], left) if signature else (),
        )

    def _shrink_weights(self, operator: Operator, layer: g.Weighted) -> None:
        outputs = _outputs(layer, self._kept)
        kernel = self._tensors[operator.inputs[1]]
        codes = cast(Array, self._source.tensors[operator.inputs[1]].data)
        bias = layer.bias
        if isinstance(layer, g.Depthwise):
            codes = codes[..., outputs]
        else:
            (index,) = layer.inputs
            reads, shares_ = self._reads(cast(Sums, layer), self._graph.values[index])
            codes, bias = codes[outputs][..., reads], bias + shares_
        self._replace_input(operator.index, 1, _cut(kernel, codes, outputs))
        self._shrink_bias(operator, layer, bias[outputs], outputs)

    def _reads(self, layer: Sums, value: Value) -> tuple[Array, Array]:
        """Bool, which of the weights' last axis stay, and int64 (O,), what the bias takes over."""
        kept = self._kept[value.index]
        terms = terms_of_channels(layer, value)
        if terms is None:
            return np.ones(layer.weight.shape[-1], bool), np.zeros(len(layer.weight), np.int64)
        gone = shares(layer, terms, self._found[value.index])[:, ~kept].sum(1)
        return np.tile(kept, layer.weight.shape[-1] // len(kept)), gone

    def _shrink_bias(
        self, operator: Operator, layer: g.Weighted, bias: Array, outputs: Array
    ) -> None:
        values = bias.astype(np.int32)
        if len(operator.inputs) > 2 and operator.inputs[2] != ABSENT:
            self._replace_input(
                operator.index, 2, _cut(self._tensors[operator.inputs[2]], values, outputs)
            )
        elif values.any():
            source, kernel = (
                self._tensors[index] for index in self._operators[operator.index].inputs[:2]
            )
            self._append_input(operator.index, source, kernel, values)

    def _append_input(self, number: int, source: Tensor, kernel: Tensor, values: Array) -> None:
        """Give an operator without a bias the one that constant channels make."""
        scales = tuple(float(np.float32(source.scale[0] * scale)) for scale in kernel.scale)
        bias = dataclasses.replace(
            kernel,
            index=len(self._tensors),
            name=f"{kernel.name};bias",
            shape=values.shape,
            dtype="int32",
            scale=scales,
            zero_point=(0,) * len(scales),
            axis=0 if len(scales) > 1 else None,
            data=values,
        )
        self._tensors.append(bias)
        operator = self._operators[number]
        inputs = (*operator.inputs[:2], bias.index)
        self._operators[number] = dataclasses.replace(operator, inputs=inputs)

    def _shrink_shape(self, operator: Operator) -> None:
        """The shape that RESHAPE has in its options and in its second input; -1 stays."""
        shape = self._tensors[operator.outputs[0]].shape
        options = dict(operator.options)
        if options.get("new_shape"):
            options["new_shape"] = _resized(cast(tuple[int, ...], options["new_shape"]), shape)
        self._operators[operator.index] = dataclasses.replace(
            operator, options=MappingProxyType(options)
        )
        if len(operator.inputs) > 1:
            tensor = self._tensors[operator.inputs[1]]
            given = tuple(int(size) for size in np.ravel(cast(Array, tensor.data)))
            data = np.array(_resized(given, shape), tensor.dtype).reshape(tensor.shape)
            self._replace_input(operator.index, 1, dataclasses.replace(tensor, data=data))

    def _replace_input(self, number: int, position: int, tensor: Tensor) -> None:
        """Put a changed constant in the place of an input, or beside it if others read it too."""
        operator = self._operators[number]
        readers = [
            op.index
            for op in self._source.operators
            for index in op.inputs
            if index == tensor.index
        ]
        if len(readers) > 1:
            tensor = dataclasses.replace(tensor, index=len(self._tensors))
            self._tensors.append(tensor)
        else:
            self._tensors[tensor.index] = tensor
        inputs = list(operator.inputs)
        inputs[position] = tensor.index
        self._operators[number] = dataclasses.replace(operator, inputs=tuple(inputs))


def _cut(tensor: Tensor, values: Array, outputs: Array) -> Tensor:
    """Weights or biases with fewer values, and as many scales if there is one a channel."""
    scale, zero_point, axis = tensor.scale, tensor.zero_point, tensor.axis
    if len(scale) > 1:
        picked = np.flatnonzero(outputs)
        scale = tuple(scale[i] for i in picked)
        zero_point = tuple(zero_point[i] for i in picked)
        axis = axis if len(scale) > 1 else None
    return dataclasses.replace(
        tensor, shape=values.shape, scale=scale, zero_point=zero_point, axis=axis, data=values
    )


def _resized(given: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    sizes = zip(given, shape, strict=True)
    return tuple(old if old == -1 else new for old, new in sizes)


def _outputs(layer: g.Weighted, kept: Kept) -> Array:
    """Bool (O,): output channels that stay; all, where the result has rows in another shape."""
    count, mask = layer.weight.shape[layer.output_axis], kept[layer.output]
    return mask if len(mask) == count else np.ones(count, bool)
