"""The int8 graph in integers: what XNNPACK and ONNX Runtime compute, bit for bit.

torch runs the graph of ``Calibrator.convert`` as a simulation: it multiplies dequantized floats, so
a sum that lies near the middle between two codes may fall on the other side. Here every sum is an
exact integer, and the one rounding a layer has is that of the family ``float32-half-even``:

    code = rint(float32(sum) * float32(input scale * weight scale / output scale)) + zero point

Layers that stay float run in float32; their result is quantized like the input.
Two operators, which the full MobileNetV3 alone has, engines round otherwise: LiteRT hard-swish, and
ONNX Runtime products (docs/networks.md).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Interpreter
from torch.nn import functional

from edgenet.host.quantize import quantized

aten = torch.ops.aten


@dataclass(frozen=True)
class Codes:
    """Quantized values: real = scale * values.

    Attributes:
        values: codes less the zero point, whole numbers in float64.
        scale: float32, one or one per output channel.
        zero_point: of the codes.
    """

    values: Tensor
    scale: Tensor
    zero_point: int = 0


@dataclass(frozen=True)
class Sums:
    """A layer's exact sums: real = scale * values / count.

    Attributes:
        values: whole numbers in float64, channels in dimension 1.
        scale: float32, one or one per channel.
        count: what an average divides by.
        low: the least real value that an activation lets through.
        high: the largest.
    """

    values: Tensor
    scale: Tensor
    count: int = 1
    low: float = -math.inf
    high: float = math.inf

    def requantize(self, scale: float, zero_point: int, least: int, most: int) -> Codes:
        step = torch.tensor(scale, dtype=torch.float32)
        factor = self.scale / (step * self.count)
        if factor.ndim:
            factor = factor.reshape(-1, *[1] * (self.values.ndim - 2))
        rounded = torch.round(self.values.float() * factor).double()
        least = max(least - zero_point, round(max(self.low / scale, -256)))
        most = min(most - zero_point, round(min(self.high / scale, 256)))
        return Codes(rounded.clamp(least, most), step, zero_point)


@dataclass(frozen=True)
class Reals:
    """What an operator that is not linear gives for each code.

    Attributes:
        values: float32.
    """

    values: Tensor

    def quantize(self, scale: float, zero_point: int, least: int, most: int) -> Codes:
        """Codes as engines make them: by division, where torch multiplies by an inverse."""
        step = torch.tensor(scale, dtype=torch.float32)
        rounded = torch.round(self.values / step).double()
        return Codes(rounded.clamp(least - zero_point, most - zero_point), step, zero_point)


class IntegerGraph(Interpreter):
    """Runs an int8 graph in integers.

    Args:
        graph: of ``Calibrator.convert``.
    """

    def __init__(self, graph: GraphModule) -> None:
        super().__init__(graph)

    def codes(self, pictures: Tensor) -> Tensor:
        """The int8 logits (N, classes) of normalized float32 pictures (N, H, W, 3)."""
        found = self._answer(pictures)
        return (found.values + found.zero_point).to(torch.int8)

    def logits(self, pictures: Tensor) -> Tensor:
        """The same, dequantized: float32 (N, classes)."""
        found = self._answer(pictures)
        return (found.values * found.scale).float()

    def _answer(self, pictures: Tensor) -> Codes:
        with torch.inference_mode():
            found: Codes = self.run(pictures)
        return found

    def call_module(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """The graph's only module checks the input's shape, which the layers do as well."""

    def call_function(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Compute one node; ``run`` calls it.

        Raises:
            ValueError: the operator has no integer form here.
        """
        if target in _OPERATORS:
            return _OPERATORS[target](*args, **kwargs)
        if target in _MOVES_DATA:
            if isinstance(args[0], Tensor):
                return target(*args, **kwargs)
            return replace(args[0], values=target(args[0].values, *args[1:], **kwargs))
        raise ValueError(f"{target} has no integer form")


def _quantize(
    x: Tensor | Reals | Sums | Codes,
    scale: float,
    zero_point: int,
    least: int,
    most: int,
    dtype: object,
) -> Codes:
    if isinstance(x, Codes):
        if (float(x.scale), x.zero_point) != (float(torch.tensor(scale)), zero_point):
            raise ValueError(f"requantization of codes, from scale {x.scale} to {scale}")
        return x
    if isinstance(x, Sums):
        return x.requantize(scale, zero_point, least, most)
    if isinstance(x, Reals):
        return x.quantize(scale, zero_point, least, most)
    codes = quantized.quantize_per_tensor(x, scale, zero_point, least, most, dtype)
    return Codes(codes.double() - zero_point, torch.tensor(scale, dtype=torch.float32), zero_point)


def _quantize_channels(weight: Tensor, scale: Tensor, *rest: Any) -> Codes:
    codes = quantized.quantize_per_channel(weight, scale, *rest)
    return Codes(codes.double(), scale.float())


def _dequantize(x: Codes, *_: object) -> Codes:
    return x


def _reals(x: Codes | Tensor) -> Tensor:
    return x.values.float() * x.scale if isinstance(x, Codes) else x


def _conv2d(
    x: Codes | Tensor, weight: Codes | Tensor, bias: Tensor, *geometry: Any
) -> Sums | Tensor:
    if isinstance(x, Tensor) or isinstance(weight, Tensor):
        return functional.conv2d(_reals(x), _reals(weight), bias, *geometry)
    scale = x.scale * weight.scale
    whole = torch.round(bias.double() / scale.double())
    return Sums(functional.conv2d(x.values, weight.values, whole, *geometry), scale)


def _linear(x: Codes | Tensor, weight: Codes | Tensor, bias: Tensor) -> Sums | Tensor:
    if isinstance(x, Tensor) or isinstance(weight, Tensor):
        return functional.linear(_reals(x), _reals(weight), bias)
    scale = x.scale * weight.scale
    whole = torch.round(bias.double() / scale.double())
    return Sums(functional.linear(x.values, weight.values, whole), scale)


def _mean(x: Codes, dims: list[int], keepdim: bool = False) -> Sums:
    count = math.prod(x.values.shape[dim] for dim in dims)
    return Sums(x.values.sum(dims, keepdim=keepdim), x.scale, count)


def _add(x: Codes, y: Codes) -> Sums:
    if (float(x.scale), x.zero_point) != (float(y.scale), y.zero_point):
        raise ValueError(f"a sum of codes of scale {x.scale} and codes of scale {y.scale}")
    return Sums(x.values + y.values, x.scale)


def _multiply(x: Codes, y: Codes) -> Sums:
    return Sums(x.values * y.values, x.scale * y.scale)


def _hard_swish(x: Codes) -> Reals:
    return Reals(functional.hardswish(x.values.float() * x.scale))


def _relu(x: Sums | Tensor) -> Sums | Tensor:
    if isinstance(x, Tensor):
        return functional.relu(x)
    return replace(x, low=0.0)


def _relu6(x: Sums | Tensor, *_: object) -> Sums | Tensor:
    if isinstance(x, Tensor):
        return functional.relu6(x)
    return replace(x, low=0.0, high=6.0)


_OPERATORS: dict[Any, Callable[..., Any]] = {
    quantized.quantize_per_tensor.default: _quantize,
    quantized.quantize_per_channel.default: _quantize_channels,
    quantized.dequantize_per_tensor.default: _dequantize,
    quantized.dequantize_per_channel.default: _dequantize,
    aten.conv2d.default: _conv2d,
    aten.linear.default: _linear,
    aten.mean.dim: _mean,
    aten.add.Tensor: _add,
    aten.mul.Tensor: _multiply,
    aten.hardswish.default: _hard_swish,
    aten.relu.default: _relu,
    aten.hardtanh.default: _relu6,
    aten.hardtanh_.default: _relu6,
    aten.relu6.default: _relu6,
}

# the zeros that a padding adds are the real zero, since codes are kept less their zero point
_MOVES_DATA = {
    aten.permute.default,
    aten.flatten.using_ints,
    aten.reshape.default,
    aten.view.default,
    aten.pad.default,
}
