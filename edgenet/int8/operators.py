"""Each operator of a .tflite to its layer."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from edgenet.int8 import graph as g
from edgenet.int8.fixed_point import quantize_multiplier
from edgenet.int8.graph import Layer, Output, Value
from edgenet.int8.step import SHIFT_OF_UINT8, Step
from edgenet.int8.weighted import conv, depthwise, fully_connected, window

Lowered = tuple[Layer, Value]


def lower(step: Step) -> Lowered:
    """The layer of an operator, and the value that it gives.

    Raises:
        GraphError: the operator, or what it does here, is not supported.
    """
    known = OPERATORS.get(step.operator.name)
    if known is None or step.operator.custom:
        step.refuse_operator(
            f"{', '.join(sorted(OPERATORS))}, and QUANTIZE and DEQUANTIZE between float and int8"
            " at the inputs and outputs"
        )
    return known(step)


def _pool(step: Step) -> Lowered:
    step.need_inputs(1)
    source, result = step.value(0), step.output
    step.need_same_codes(source, result)
    size = step.number("filter_height"), step.number("filter_width")
    stride, padding, shape = window(step, source, size)
    step.need_shape(result, (*shape, source.shape[3]))
    average = step.operator.name == "AVERAGE_POOL_2D"
    low, high = step.activation(result)
    layer = g.Pool(
        name=step.name,
        inputs=(source.index,),
        output=result.index,
        kind="average" if average else "max",
        window=size,
        stride=stride,
        padding=padding,
        low=low,
        high=high,
        offset=SHIFT_OF_UINT8 if average and source.stored == "uint8" else 0,
    )
    return layer, result


def _mean(step: Step) -> Lowered:
    step.need_inputs(2)
    source, result = step.value(0), step.output
    step.need_same_type(source, result)
    rank = len(source.shape)
    axes = {axis + rank if axis < 0 else axis for axis in step.integers(1)}
    if not axes or not axes <= set(range(1, rank)):
        step.refuse(f"averages over the axes {sorted(axes)} of {rank}; not the batch, some other")
    keep = bool(step.option("keep_dims"))
    kept = [
        1 if axis in axes else size
        for axis, size in enumerate(source.shape)
        if keep or axis not in axes
    ]
    step.need_shape(result, tuple(kept))
    count = math.prod(source.shape[axis] for axis in axes)
    layer = g.Mean(
        name=step.name,
        inputs=(source.index,),
        output=result.index,
        axes=tuple(sorted(axes)),
        keep=keep,
        count=count,
        input_zero_point=source.zero_point,
        out=_mean_output(step, source, result, count),
    )
    return layer, result


def _mean_output(step: Step, source: Value, result: Value, count: int) -> Output:
    """QuantizedMeanOrSum of tensorflow/lite/kernels/internal/reference/reduce.h."""
    multiplier, shift = step.multiplier(source.scale / result.scale)
    bits = min(count.bit_length() - 1, 32, 31 + shift)
    multiplier = (multiplier << bits) // count
    return Output(np.array([multiplier]), np.array([shift - bits]), result.zero_point)


def _add(step: Step) -> Lowered:
    step.need_inputs(2)
    sources, result = (step.value(0), step.value(1)), step.output
    for source in sources:
        step.need_same_type(source, result)
        step.need_shape(source, result.shape)
    left_shift = 20
    twice = 2 * max(source.scale for source in sources)
    factor = twice / (2**left_shift * result.scale)
    if not factor < 1:
        step.refuse(f"has the scale {result.scale}, too small for its inputs", result)
    parts = [step.multiplier(source.scale / twice) for source in sources]
    layer = g.Add(
        name=step.name,
        inputs=(sources[0].index, sources[1].index),
        output=result.index,
        zero_points=(sources[0].zero_point, sources[1].zero_point),
        multipliers=(parts[0][0], parts[1][0]),
        shifts=(parts[0][1], parts[1][1]),
        left_shift=left_shift,
        out=step.out(np.array([factor]), result, *step.activation(result)),
    )
    return layer, result


def _pad(step: Step) -> Lowered:
    step.need_inputs(2)
    source, result = step.value(0), step.output
    step.need_same_codes(source, result)
    amounts = step.integers(1)
    if len(source.shape) != 4 or len(amounts) != 8 or min(amounts) < 0:
        step.refuse(f"pads {source.shape} by {amounts}; two for each of four axes are needed")
    if any(amounts[:2]) or any(amounts[6:]):
        step.refuse(f"pads pictures or channels by {amounts}; only rows and columns are supported")
    padding = g.Padding(*amounts[2:6])
    layer = g.Pad(step.name, (source.index,), result.index, padding, result.zero_point)
    pictures, rows, columns, channels = source.shape
    rows, columns = rows + sum(amounts[2:4]), columns + sum(amounts[4:6])
    step.need_shape(result, (pictures, rows, columns, channels))
    return layer, result


def _reshape(step: Step) -> Lowered:
    step.need_inputs(1, 2)
    source, result = step.value(0), step.output
    step.need_same_codes(source, result)
    if source.size != result.size:
        step.refuse(f"has {result.size} codes, but is given {source.size}", result)
    return g.Reshape(step.name, (source.index,), result.index), result


def _transpose(step: Step) -> Lowered:
    step.need_inputs(2)
    source, result = step.value(0), step.output
    step.need_same_codes(source, result)
    permutation = step.integers(1)
    if sorted(permutation) != list(range(len(source.shape))):
        step.refuse(f"orders the axes of {source.shape} by {permutation}; each once is needed")
    step.need_shape(result, tuple(source.shape[axis] for axis in permutation))
    return g.Transpose(step.name, (source.index,), result.index, permutation), result


def _concatenation(step: Step) -> Lowered:
    count = len(step.operator.inputs)
    step.need_inputs(1, max(count, 1))
    sources, result = [step.value(i) for i in range(count)], step.output
    step.option("fused_activation_function", "NONE")
    axis, rank = step.number("axis"), len(result.shape)
    axis += rank if axis < 0 else 0
    if not 0 < axis < rank:
        step.refuse(f"joins along axis {axis} of {rank}; it must be another than the batch")
    for source in sources:
        step.need_same_codes(source, result)
        expected = *result.shape[:axis], *source.shape[axis : axis + 1], *result.shape[axis + 1 :]
        step.need_shape(source, expected)
    total = sum(source.shape[axis] for source in sources)
    step.need_shape(result, (*result.shape[:axis], total, *result.shape[axis + 1 :]))
    inputs = tuple(source.index for source in sources)
    return g.Concatenation(step.name, inputs, result.index, axis), result


def _softmax(step: Step) -> Lowered:
    """CalculateSoftmaxParams of tensorflow/lite/micro/kernels/softmax_common.cc."""
    step.need_inputs(1)
    source, result = step.value(0), step.output
    step.need_same_type(source, result)
    step.need_shape(result, source.shape)
    if result.scale != 1 / 256 or result.zero_point != -128:
        step.refuse(f"has the scale {result.scale}; SOFTMAX gives 1/256, from code -128 on", result)
    beta = float(step.option("beta"))  # type: ignore[arg-type]
    factor = min(beta * source.scale * 2**26, 2**31 - 1)
    if not factor > 1:
        step.refuse(f"has beta {beta} and the scale {source.scale}, too small for fixed point")
    multiplier, shift = quantize_multiplier(factor)
    least = -math.floor(31 * 2**26 / 2**shift)
    return g.Softmax(step.name, (source.index,), result.index, multiplier, shift, least), result


def _quantize(step: Step) -> Lowered:
    step.need_inputs(1)
    source, result = step.value(0), step.output
    step.need_shape(result, source.shape)
    out = step.out(np.array([source.scale / result.scale]), result)
    return g.Rescale(step.name, (source.index,), result.index, source.zero_point, out), result


def _relu(step: Step) -> Lowered:
    step.need_inputs(1)
    source, result = step.value(0), step.output
    step.need_same_type(source, result)
    step.need_shape(result, source.shape)
    out = step.out(np.array([source.scale / result.scale]), result, result.zero_point)
    return g.Rescale(step.name, (source.index,), result.index, source.zero_point, out), result


def _relu6(step: Step) -> Lowered:
    step.need_inputs(1)
    source, result = step.value(0), step.output
    step.need_same_codes(source, result)
    step.need_shape(result, source.shape)
    six = min(127, step.code(6, source))
    return g.Clamp(step.name, (source.index,), result.index, source.zero_point, six), result


OPERATORS: dict[str, Callable[[Step], Lowered]] = {
    "ADD": _add,
    "AVERAGE_POOL_2D": _pool,
    "CONCATENATION": _concatenation,
    "CONV_2D": conv,
    "DEPTHWISE_CONV_2D": depthwise,
    "FULLY_CONNECTED": fully_connected,
    "MAX_POOL_2D": _pool,
    "MEAN": _mean,
    "PAD": _pad,
    "QUANTIZE": _quantize,
    "RELU": _relu,
    "RELU6": _relu6,
    "RESHAPE": _reshape,
    "SOFTMAX": _softmax,
    "TRANSPOSE": _transpose,
}
