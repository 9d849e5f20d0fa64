"""Networks as int8 .tflite before anybody trains them: the layers of an export, drawn weights.

What code generation, planners and rules make of a model depends on shapes, not on weights; so this
stands for the export of a trained one, without torch.  Scales are those that He's weights give, of
activations of variance one, so that codes spread as those of trained networks do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import MappingProxyType

import numpy as np

from edgenet import tflite
from edgenet.architecture import CONVOLUTIONS, Layer
from edgenet.int8.graph import Array
from edgenet.tflite import Model, Operator, Option, Signature, Subgraph, Tensor

_RANGES = {
    "none": (8 / 255, 0),
    "relu": (6 / 255, -128),
    "relu6": (6 / 255, -128),
    # as an export has it, the gate is the convolution's own codes
    "hard_sigmoid": (1 / 255, -128),
}
"""Scale and zero point behind each activation, for sums of variance one."""
_PIXEL = 1 / 255
_VERSIONS = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 5, "ADD": 2, "MEAN": 2}
_TABLES = {
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "ADD": "AddOptions",
    "MUL": "MulOptions",
    "MEAN": "ReducerOptions",
    "HARD_SWISH": "HardSwishOptions",
}


def model(layers: Iterable[Layer], height: int, width: int, *, seed: int = 0) -> bytes:
    """The int8 .tflite of a network.

    Args:
        layers: of ``edgenet.architecture.network``.
        height: rows of the input, in pixels.
        width: columns of the input, in pixels.
        seed: of the weights.

    Raises:
        MissingPackage: flatbuffers is not installed.
    """
    drawn = _Drawing(height, width, seed)
    made: dict[str, int] = {}
    at = drawn.input
    for layer in layers:
        at = drawn.layer(layer, at, made.get(layer.second))
        made[layer.name] = at
    return tflite.write(drawn.model(at))


class _Drawing:
    """Adds operators behind the last one."""

    def __init__(self, height: int, width: int, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._tensors: list[Tensor] = []
        self._operators: list[Operator] = []
        self.input = self._tensor("input", (1, height, width, 3), _PIXEL, -128)

    def model(self, output: int) -> Model:
        graph = Subgraph(
            "main", tuple(self._tensors), tuple(self._operators), (self.input,), (output,)
        )
        signature = Signature("serving_default", 0, {"input": self.input}, {"output": output})
        return Model("untrained", 3, "untrained", (graph,), (signature,), {})

    def layer(self, layer: Layer, x: int, second: int | None) -> int:
        if layer.kind in CONVOLUTIONS:
            return self._convolution(layer, x)
        if layer.kind == "linear":
            return self._linear(layer, x)
        if layer.kind == "pool":
            return self._pool(layer, x)
        if layer.kind == "hard_swish":
            shape = self._tensors[x].shape
            return self._operator(
                "HARD_SWISH", [x], self._tensor(layer.name, shape, *_RANGES["none"])
            )
        assert second is not None, layer.name
        # of a gate and its map, the map has the shape
        name = "MUL" if layer.kind == "multiply" else "ADD"
        y = self._tensor(layer.name, self._tensors[second].shape, *_RANGES["none"])
        return self._operator(name, [second, x], y, fused_activation_function="NONE")

    def _convolution(self, layer: Layer, x: int) -> int:
        _, height, width, channels = self._tensors[x].shape
        shape = (1, -(-height // layer.stride), -(-width // layer.stride), layer.outputs)
        side, options = layer.kernel, dict[str, Option]()
        if layer.kind == "depthwise":
            kernel, axis = (1, side, side, layer.outputs), 3
            options["depth_multiplier"] = layer.outputs // channels
        else:
            kernel, axis = (layer.outputs, side, side, channels), 0
        name = "DEPTHWISE_CONV_2D" if axis else "CONV_2D"
        return self._weighted(
            name,
            layer,
            x,
            (kernel, axis, shape),
            padding="SAME",
            stride_w=layer.stride,
            stride_h=layer.stride,
            dilation_w_factor=1,
            dilation_h_factor=1,
            **options,
        )

    def _linear(self, layer: Layer, x: int) -> int:
        shape = ((layer.outputs, layer.inputs), 0, (1, layer.outputs))
        options: dict[str, Option] = {"weights_format": "DEFAULT", "keep_num_dims": True}
        return self._weighted("FULLY_CONNECTED", layer, x, shape, **options)

    def _pool(self, layer: Layer, x: int) -> int:
        if self._tensors[x].shape[1:3] == (1, 1):
            return x
        axes = self._constant(layer.name, np.array([1, 2], np.int32))
        scale, zero = self._tensors[x].scale[0], self._tensors[x].zero_point[0]
        # a block's own pool feeds a convolution, the last one a linear layer
        keep = "." in layer.name
        shape = (1, 1, 1, layer.outputs) if keep else (1, layer.outputs)
        y = self._tensor(layer.name, shape, scale, zero)
        return self._operator("MEAN", [x, axes], y, keep_dims=keep)

    def _weighted(
        self,
        name: str,
        layer: Layer,
        x: int,
        sizes: tuple[tuple[int, ...], int, tuple[int, ...]],
        **options: Option,
    ) -> int:
        kernel, axis, shape = sizes
        weight = self._rng.integers(-127, 128, kernel).astype(np.int8)
        # uniform codes spread by 73; a sum of so many products has variance one then
        step = float(np.sqrt(2 * kernel[axis] / weight.size) / 73)
        each = 1 if layer.kind == "linear" else layer.outputs
        w = self._constant(layer.name, weight, (step,) * each, axis)
        bias = np.zeros(layer.outputs, np.int32)
        b = self._constant(layer.name, bias, (step * self._tensors[x].scale[0],) * each, 0)
        y = self._tensor(layer.name, shape, *_RANGES[layer.activation])
        return self._operator(name, [x, w, b], y, fused_activation_function="NONE", **options)

    def _constant(
        self, name: str, values: Array, scales: tuple[float, ...] = (), axis: int = 0
    ) -> int:
        self._tensors.append(
            Tensor(
                index=len(self._tensors),
                name=name,
                shape=values.shape,
                shape_signature=(),
                dtype=values.dtype.name,
                scale=scales,
                zero_point=(0,) * len(scales),
                axis=axis if len(scales) > 1 else None,
                data=values,
                variable=False,
                sparse=False,
            )
        )
        return len(self._tensors) - 1

    def _tensor(self, name: str, shape: tuple[int, ...], scale: float, zero: int) -> int:
        index = self._constant(name, np.empty(0, np.int8))
        self._tensors[index] = Tensor(
            index, name, shape, (), "int8", (scale,), (zero,), None, None, False, False
        )
        return index

    def _operator(self, name: str, inputs: Sequence[int], output: int, **options: Option) -> int:
        self._operators.append(
            Operator(
                index=len(self._operators),
                name=name,
                custom=False,
                version=_VERSIONS.get(name, 1),
                inputs=tuple(inputs),
                outputs=(output,),
                options_table=_TABLES[name],
                options=MappingProxyType(options),
                custom_options=b"",
            )
        )
        return output
