"""CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED to their layers."""

from __future__ import annotations

from typing import cast

import numpy as np

from edgenet.int8.graph import Array, Conv, Depthwise, FullyConnected, Layer, Output, Padding, Value
from edgenet.int8.step import SHIFT_OF_UINT8, Step
from edgenet.tflite import Tensor


def conv(step: Step) -> tuple[Layer, Value]:
    """CONV_2D."""
    source, result, kernel, weight = _ends(step, rank=4, axis=0)
    count, rows, columns, channels = weight.shape
    if channels != source.shape[-1]:
        step.refuse(f"has {channels} input channels, its input {source.shape[-1]}", kernel)
    stride, padding, shape = window(step, source, (rows, columns))
    step.need_shape(result, (*shape, count))
    layer = Conv(
        name=step.name,
        inputs=(source.index,),
        output=result.index,
        weight=weight,
        weight_zero_point=_zero_point(step, kernel),
        bias=_bias(step, count),
        input_zero_point=source.zero_point,
        out=_out(step, source, kernel, result, float32=source.stored == "uint8"),
        stride=stride,
        padding=padding,
    )
    return layer, result


def depthwise(step: Step) -> tuple[Layer, Value]:
    """DEPTHWISE_CONV_2D."""
    source, result, kernel, weight = _ends(step, rank=4, axis=3)
    one, rows, columns, count = weight.shape
    multiplier = step.number("depth_multiplier")
    if one != 1 or count != source.shape[-1] * multiplier:
        step.refuse(
            f"has the shape {weight.shape}, but its input has {source.shape[-1]} channels and "
            f"depth_multiplier is {multiplier}",
            kernel,
        )
    stride, padding, shape = window(step, source, (rows, columns))
    step.need_shape(result, (*shape, count))
    layer = Depthwise(
        name=step.name,
        inputs=(source.index,),
        output=result.index,
        weight=weight[0],
        weight_zero_point=_zero_point(step, kernel),
        bias=_bias(step, count),
        input_zero_point=source.zero_point,
        out=_out(step, source, kernel, result, float32=source.stored == "uint8"),
        stride=stride,
        padding=padding,
        depth_multiplier=multiplier,
    )
    return layer, result


def fully_connected(step: Step) -> tuple[Layer, Value]:
    """FULLY_CONNECTED."""
    source, result, kernel, weight = _ends(step, rank=2, axis=0)
    step.option("weights_format", "DEFAULT")
    count, inputs = weight.shape
    rows, rest = divmod(source.size, inputs)
    if rest:
        step.refuse(f"has {source.size} codes, which are no rows of {inputs}", source)
    if result.size != rows * count:
        step.refuse(f"has {result.size} codes, but its operator gives {rows * count}", result)
    layer = FullyConnected(
        name=step.name,
        inputs=(source.index,),
        output=result.index,
        weight=weight,
        weight_zero_point=_zero_point(step, kernel),
        bias=_bias(step, count),
        input_zero_point=source.zero_point,
        out=_out(step, source, kernel, result),
    )
    return layer, result


def window(
    step: Step, source: Value, kernel: tuple[int, int]
) -> tuple[tuple[int, int], Padding, tuple[int, int, int]]:
    """Stride, padding, and pictures, rows and columns of the output of a sliding window.

    ComputePaddingHeightWidth of tensorflow/lite/kernels/padding.h: SAME puts what is odd of its
    padding at the bottom and the right.
    """
    for name in ("dilation_h_factor", "dilation_w_factor"):
        if name in step.operator.options:
            step.option(name, 1)
    stride = step.number("stride_h"), step.number("stride_w")
    if len(source.shape) != 4 or min(*stride, *kernel) < 1:
        step.refuse(f"slides a window of {kernel} by {stride} over {source.shape}")
    same = step.option("padding", "SAME", "VALID") == "SAME"
    sizes, around = [], []
    for size, extent, step_size in zip(source.shape[1:3], kernel, stride, strict=True):
        count = -(-size // step_size) if same else (size - extent) // step_size + 1
        total = max((count - 1) * step_size + extent - size, 0) if same else 0
        if count < 1:
            step.refuse(f"has the shape {source.shape}, smaller than the window {kernel}", source)
        sizes.append(count)
        around += [total // 2, total - total // 2]
    return stride, Padding(*around), (source.shape[0], sizes[0], sizes[1])


def _ends(step: Step, *, rank: int, axis: int) -> tuple[Value, Value, Tensor, Array]:
    """Input, output, and the weights: their tensor, and their codes as int8."""
    step.need_inputs(2, 3)
    source, result = step.value(0), step.output
    step.need_same_type(source, result)
    kernel = step.constant(1, source.stored)
    shape = kernel.shape
    if len(shape) != rank or min(shape) < 1:
        step.refuse(f"has the shape {shape}; {rank} axes, none of them empty, are needed", kernel)
    fits = len(kernel.scale) == 1 or (len(kernel.scale) == shape[axis] and kernel.axis == axis)
    if not fits or min(kernel.scale) <= 0:
        step.refuse(
            f"has {len(kernel.scale)} scales along axis {kernel.axis}; one, or {shape[axis]} along "
            f"axis {axis}, above 0, are needed",
            kernel,
        )
    codes = cast(Array, kernel.data)
    if source.stored == "uint8":
        codes = (codes ^ SHIFT_OF_UINT8).view(np.int8)
    return source, result, kernel, codes


def _zero_point(step: Step, kernel: Tensor) -> int:
    points = set(kernel.zero_point)
    if kernel.dtype == "int8" and points != {0}:
        step.refuse("has a zero point; int8 weights have none in TensorFlow Lite", kernel)
    if len(points) != 1 or not 0 <= kernel.zero_point[0] <= 255:
        step.refuse("has zero points that are no code or differ", kernel)
    return kernel.zero_point[0] - SHIFT_OF_UINT8 if kernel.dtype == "uint8" else 0


def _bias(step: Step, count: int) -> Array:
    if step.tensor(2) is None:
        return np.zeros(count, np.int64)
    tensor = step.constant(2, "int32")
    bias = np.ravel(cast(Array, tensor.data)).astype(np.int64)
    if len(bias) != count:
        step.refuse(f"has {len(bias)} values; {count} are needed, one an output channel", tensor)
    return bias


def _out(
    step: Step, source: Value, kernel: Tensor, result: Value, *, float32: bool = False
) -> Output:
    """How sums become codes.

    Factors are computed in double precision, but for uint8 convolutions, whose older code takes the
    product of the scales in float32.
    """
    scales = np.array(kernel.scale)
    product = source.scale * scales
    if float32:
        product = (np.float32(source.scale) * scales.astype(np.float32)).astype(np.float64)
    return step.out(product / result.scale, result, *step.activation(result))
