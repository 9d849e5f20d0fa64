"""The Edge TPU's documented rules, one function each.

Operators and their limits are table 1 of https://coral.ai/docs/edgetpu/models-intro/ for runtime
14, which compiler 16.0 of July 2021, the last, writes for; the rules for every operator stand above
that table.  Each function gives the words that say what is wrong, and nothing where nothing is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from edgenet.tflite import ABSENT, Operator, Subgraph, Tensor

SOFTMAX_MOST = 16_000

_LONGEST_NAME = 32

_INTEGERS = ("int8", "uint8")
# which inputs are parameters, by position; an index or a size among them is int32
_PARAMETERS: Mapping[str, tuple[int, ...]] = {
    "CONV_2D": (1, 2), "DEPTHWISE_CONV_2D": (1, 2), "FULLY_CONNECTED": (1, 2), "PRELU": (1,),
    "TRANSPOSE_CONV": (0, 1, 3), "MEAN": (1,), "SUM": (1,), "REDUCE_MAX": (1,), "REDUCE_MIN": (1,),
    "PAD": (1,), "RESHAPE": (1,), "RESIZE_BILINEAR": (1,), "RESIZE_NEAREST_NEIGHBOR": (1,),
    "SLICE": (1, 2), "STRIDED_SLICE": (1, 2, 3), "SPLIT": (0,), "TRANSPOSE": (1,),
    "EXPAND_DIMS": (1,),
}  # fmt: skip
# the newest versions of TensorFlow 2.5, of which compiler 16.0 is made; tools/versioning/
# runtime_version.cc.  With newer ones it ends: "Didn't find op for builtin opcode 'CONV_2D' version
# '6'" (github.com/google-coral/edgetpu/issues/631, also 147 and 845)
VERSIONS: Mapping[str, int] = {
    "ADD": 3, "AVERAGE_POOL_2D": 3, "CONCATENATION": 3, "CONV_2D": 5, "DEPTHWISE_CONV_2D": 6,
    "DEQUANTIZE": 5, "EXPAND_DIMS": 1, "FULLY_CONNECTED": 9, "L2_NORMALIZATION": 2, "LOGISTIC": 3,
    "MAXIMUM": 4, "MAX_POOL_2D": 3, "MEAN": 3, "MINIMUM": 4, "MUL": 4, "PACK": 3, "PAD": 3,
    "PADV2": 3, "PRELU": 1, "QUANTIZE": 2, "REDUCE_MAX": 3, "REDUCE_MIN": 3, "RELU": 2, "RELU6": 3,
    "RELU_N1_TO_1": 1, "RESHAPE": 1, "RESIZE_BILINEAR": 4, "RESIZE_NEAREST_NEIGHBOR": 4, "RSQRT": 2,
    "SLICE": 5, "SOFTMAX": 3, "SPACE_TO_DEPTH": 2, "SPLIT": 4, "SQUARED_DIFFERENCE": 2,
    "SQUEEZE": 2, "STRIDED_SLICE": 5, "SUB": 5, "SUM": 2, "TANH": 3, "TRANSPOSE": 5,
    "TRANSPOSE_CONV": 3, "EXP": 1, "HARD_SWISH": 1, "LEAKY_RELU": 2, "CAST": 1, "ARG_MAX": 2,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Step:
    """An operator with its tensors at hand."""

    operator: Operator
    graph: Subgraph

    @property
    def inputs(self) -> list[Tensor]:
        """Without those that are left out."""
        return [self.graph.tensors[i] for i in self.operator.inputs if i != ABSENT]

    @property
    def outputs(self) -> list[Tensor]:
        return [self.graph.tensors[i] for i in self.operator.outputs]

    @property
    def activations(self) -> list[Tensor]:
        """What flows: inputs that are not constants, and outputs."""
        return [*(tensor for tensor in self.inputs if tensor.data is None), *self.outputs]

    def constant(self, place: int) -> list[int] | None:
        """The whole numbers of an input that is constant; None where it is not."""
        places = self.operator.inputs
        if place >= len(places) or places[place] == ABSENT:
            return None
        data = self.graph.tensors[places[place]].data
        return None if data is None else [int(value) for value in data.ravel()]

    def option(self, name: str, default: object = None) -> object:
        return self.operator.options.get(name, default)


Rule = Callable[[Step], str]


def broken(step: Step) -> str:
    """The first rule that an operator breaks, in words; empty where it breaks none."""
    name = step.operator.name
    if step.operator.custom or name not in SUPPORTED:
        return _unsupported(step)
    for rule in (sizes_fixed, eight_bits, parameters_constant, three_dimensions, SUPPORTED[name]):
        if words := rule(step):
            return words
    return ""


def too_new(operator: Operator) -> str:
    """Whether the compiler's TensorFlow Lite does not know the operator's version, in words."""
    newest = VERSIONS.get(operator.name)
    if operator.custom or newest is None or operator.version <= newest:
        return ""
    return f"{operator.name} has version {operator.version}; compiler 16.0 reads up to {newest}"


def sizes_fixed(step: Step) -> str:
    """Tensor sizes are constant at compile time."""
    for tensor in step.activations:
        if -1 in tensor.shape_signature:
            return f"the size of {named(tensor)} is not fixed: {_shape(tensor.shape_signature)}"
    return ""


def eight_bits(step: Step) -> str:
    """Tensors are int8 or uint8 with a scale; biases int32; indices and sizes may be int32."""
    for tensor in step.activations:
        if tensor.dtype not in _INTEGERS:
            return f"{named(tensor)} is {tensor.dtype}, not int8 or uint8"
        if not tensor.scale:
            return f"{named(tensor)} is {tensor.dtype} without a scale"
    for tensor in step.inputs:
        if tensor.data is not None and tensor.dtype not in (*_INTEGERS, "int32"):
            return f"the constant {named(tensor)} is {tensor.dtype}, not int8, uint8 or int32"
    return ""


def parameters_constant(step: Step) -> str:
    """Model parameters are constant at compile time."""
    places = step.operator.inputs
    for place in _PARAMETERS.get(step.operator.name, ()):
        if place < len(places) and places[place] != ABSENT:
            tensor = step.graph.tensors[places[place]]
            if tensor.data is None:
                return f"its parameter, {named(tensor)}, is computed, not a constant"
    return ""


def three_dimensions(step: Step) -> str:
    """Of more than three dimensions only the three innermost may be above 1."""
    for tensor in step.activations:
        outer = tensor.shape[:-3]
        if math.prod(outer) != 1:
            of = "; only a batch of 1 is mapped" if len(tensor.shape) == 4 else ""
            return f"{named(tensor)} is {_shape(tensor.shape)}, of more than three dimensions{of}"
    return ""


def _unsupported(step: Step) -> str:
    hints = {
        "HARD_SWISH": "; use a network with ReLU6, such as MobileNetV3 minimalistic",
        "GELU": "; use ReLU6",
        "LEAKY_RELU": "; use PReLU or ReLU6",
        "BATCH_MATMUL": "; use fully connected layers",
    }
    name = step.operator.name
    return f"the Edge TPU has no operator {name}{hints.get(name, '')}"


def _any(step: Step) -> str:
    return ""


def _no_activation(step: Step) -> str:
    fused = step.option("fused_activation_function", "NONE")
    return "" if fused == "NONE" else f"it has the activation {fused} fused into it"


def _dilation(step: Step) -> str:
    x, y = step.option("dilation_w_factor", 1), step.option("dilation_h_factor", 1)
    return "" if x == y else f"its dilation is {x} in x and {y} in y; both must be the same"


def _concatenation(step: Step) -> str:
    if words := _no_activation(step):
        return words
    constants = [tensor for tensor in step.inputs if tensor.data is not None]
    others = len(step.inputs) - 1
    for tensor in constants:
        if others != 1:
            return f"it joins the constant {named(tensor)} with {others} others, not 1"
        zero = tensor.zero_point[0] if tensor.zero_point else 0
        assert tensor.data is not None
        if (tensor.data != zero).any():
            return f"it joins the constant {named(tensor)}, which is not all zero"
    return ""


def _fully_connected(step: Step) -> str:
    if (weights := step.option("weights_format", "DEFAULT")) != "DEFAULT":
        return f"its weights have the format {weights}, not DEFAULT"
    shape = step.outputs[0].shape
    if sum(size > 1 for size in shape) > 1:
        return f"its output is {_shape(shape)}, not one-dimensional"
    return ""


def _axes(step: Step, place: int) -> list[int]:
    """Axes counted from the front, of an input of four dimensions; a smaller one has no batch."""
    rank = len(step.inputs[0].shape)
    return [axis % rank + 4 - rank for axis in step.constant(place) or []]


def _not_batch(step: Step) -> str:
    return "it reduces over the batch" if 0 in _axes(step, 1) else ""


def _mean(step: Step) -> str:
    if words := _not_batch(step):
        return words
    depth = step.inputs[0].shape[-1]
    if 3 in _axes(step, 1) and depth % 4:
        return f"it reduces over z, whose {depth} values are no multiple of 4"
    return ""


def _pack(step: Step) -> str:
    rank, axis = len(step.outputs[0].shape), step.option("axis", 0)
    assert isinstance(axis, int)
    return "it packs along the batch" if rank == 4 and axis % rank == 0 else ""


def _pad(step: Step) -> str:
    padding, rank = step.constant(1) or [], len(step.inputs[0].shape)
    return "it pads the batch" if rank == 4 and any(padding[:2]) else ""


def _prelu(step: Step) -> str:
    shape = step.inputs[1].shape
    if math.prod(shape[:-1]) != 1:
        return f"its alpha is {_shape(shape)}, not one value a channel"
    return ""


def _three_dimensional(step: Step) -> str:
    shape = step.inputs[0].shape
    return "" if len(shape) in (3, 4) else f"its input is {_shape(shape)}, not three-dimensional"


def _softmax(step: Step) -> str:
    shape = step.inputs[0].shape
    if sum(size > 1 for size in shape) > 1:
        return f"its input is {_shape(shape)}, not one-dimensional"
    count = math.prod(shape)
    return "" if count <= SOFTMAX_MOST else f"it has {count} values, more than {SOFTMAX_MOST}"


def _split(step: Step) -> str:
    axes, rank = step.constant(0) or [], len(step.inputs[-1].shape)
    return "it splits the batch" if rank == 4 and any(axis % rank == 0 for axis in axes) else ""


def _strided_slice(step: Step) -> str:
    strides = step.constant(3) or []
    if any(stride != 1 for stride in strides):
        return f"its strides are {', '.join(map(str, strides))}; all must be 1"
    for mask in ("ellipsis_mask", "new_axis_mask"):
        if step.option(mask, 0):
            return f"its {mask} is {step.option(mask)}; it must be 0"
    return ""


SUPPORTED: Mapping[str, Rule] = {
    **dict.fromkeys(
        (
            "ADD", "EXPAND_DIMS", "L2_NORMALIZATION", "LOGISTIC", "MAXIMUM", "MINIMUM", "MUL",
            "QUANTIZE", "RELU", "RELU6", "RELU_N1_TO_1", "RESHAPE", "RSQRT", "SLICE",
            "SPACE_TO_DEPTH", "SQUARED_DIFFERENCE", "SQUEEZE", "SUB", "TANH", "TRANSPOSE",
            "TRANSPOSE_CONV", "UNIDIRECTIONAL_SEQUENCE_LSTM", "LSTM",
        ),
        _any,
    ),
    "AVERAGE_POOL_2D": _no_activation,
    "MAX_POOL_2D": _no_activation,
    "CONCATENATION": _concatenation,
    "CONV_2D": _dilation,
    "DEPTHWISE_CONV_2D": _dilation,
    "FULLY_CONNECTED": _fully_connected,
    "MEAN": _mean,
    "PACK": _pack,
    "PAD": _pad,
    "PRELU": _prelu,
    "REDUCE_MAX": _not_batch,
    "REDUCE_MIN": _not_batch,
    "RESIZE_BILINEAR": _three_dimensional,
    "RESIZE_NEAREST_NEIGHBOR": _three_dimensional,
    "SOFTMAX": _softmax,
    "SPLIT": _split,
    "STRIDED_SLICE": _strided_slice,
    "SUM": _not_batch,
}  # fmt: skip


def named(tensor: Tensor) -> str:
    """A tensor's number and the end of its name, which converters make very long."""
    name = tensor.name if len(tensor.name) <= _LONGEST_NAME else f"…{tensor.name[-_LONGEST_NAME:]}"
    return f"tensor {tensor.index} {name!r}"


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "one value"
