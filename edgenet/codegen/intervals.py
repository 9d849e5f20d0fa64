"""Which codes each channel can take, for every possible input: integer interval analysis.

Each layer's exact arithmetic is applied to both ends of its inputs' intervals.  Sums with weights
are bounded term by term; a padded layer's windows see the zero point as well.  Multiplying by a
positive factor and rounding keeps the order of sums, so the ends stay ends; where int32 could
overflow, which would not, a channel may take any code that its activation lets through.

Other engines than TensorFlow Lite Micro round sums to the nearest code in other ways, which matters
where a sum lies near the middle between two.  For ``any`` rounding the ends are moved apart so far
that the intervals hold for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from edgenet.int8 import fixed_point, kernels
from edgenet.int8 import graph as g
from edgenet.int8.graph import LEAST, MOST, Array, Graph, Layer, Output, Value

Rounding = Literal["any", "gemmlowp-double"]


@dataclass(frozen=True, slots=True, eq=False)
class Interval:
    """The least and the largest code of each channel, the value's last axis; int64 (C,)."""

    low: Array
    high: Array

    @property
    def constant(self) -> Array:
        """Bool (C,): channels that have one code, at every place of every picture."""
        return np.asarray(self.low == self.high)


def intervals(graph: Graph, rounding: Rounding = "gemmlowp-double") -> dict[int, Interval]:
    """The interval of each value, by its index; inputs can be anything.

    Args:
        graph: as ``int8.build`` makes it.
        rounding: of the engine that runs it; ``gemmlowp-double`` is TensorFlow Lite Micro's.
    """
    found = {port.value: _anything(graph.values[port.value]) for port in graph.inputs}
    for layer in graph.layers:
        given = [found[index] for index in layer.inputs]
        sources = tuple(graph.values[index] for index in layer.inputs)
        ends = Ends(sources, graph.values[layer.output], rounding)
        found[layer.output] = _RULES[type(layer)](layer, given, ends)
    return found


def _anything(value: Value, low: int = LEAST, high: int = MOST) -> Interval:
    count = channels(value)
    return Interval(np.full(count, low), np.full(count, high))


def channels(value: Value) -> int:
    """Size of the last axis."""
    return value.shape[-1] if value.shape else 1


Given = list[Interval]


@dataclass(frozen=True, slots=True)
class Ends:
    """What a layer lies between, and how it rounds."""

    sources: tuple[Value, ...]
    result: Value
    rounding: Rounding


def _weighted(layer: g.Weighted, given: Given, ends: Ends) -> Interval:
    low, high = given[0].low - layer.input_zero_point, given[0].high - layer.input_zero_point
    if getattr(layer, "padding", None):
        low, high = np.minimum(low, 0), np.maximum(high, 0)
    weight = layer.weight.astype(np.int64) - layer.weight_zero_point
    if isinstance(layer, g.Depthwise):
        low, high = (np.repeat(end, layer.depth_multiplier) for end in (low, high))
        axes: tuple[int, ...] = (0, 1)
    elif isinstance(layer, g.FullyConnected):
        low, high = _rows(low, weight.shape[1], np.min), _rows(high, weight.shape[1], np.max)
        axes = (1,)
    else:
        axes = (1, 2, 3)
    least = np.minimum(weight * low, weight * high).sum(axes) + layer.bias
    most = np.maximum(weight * low, weight * high).sum(axes) + layer.bias
    found = _requantized(least, most, layer.out, ends.rounding)
    if isinstance(layer, g.FullyConnected):  # the result may be rows in another shape
        return _reshaped(found, channels(ends.result))
    return found


def _rows(ends: Array, terms: int, furthest: Callable[..., Any]) -> Array:
    """Ends of each term of rows of ``terms``, from ends of each channel."""
    if terms % len(ends) == 0:
        return np.tile(ends, terms // len(ends))
    return np.full(terms, furthest(ends))


def _requantized(least: Array, most: Array, out: Output, rounding: Rounding) -> Interval:
    """Codes of the least and the largest sum."""
    left = np.maximum(out.shift, 0)
    fits = (np.abs(least) < 2**31) & (np.abs(most) < 2**31)
    fits &= (np.left_shift(least, left) >= -(2**31)) & (np.left_shift(most, left) < 2**31)
    low, high = _steps(least, out), _steps(most, out)
    if rounding == "any":
        low = np.minimum(low, _steps_of_any(least, out, -1))
        high = np.maximum(high, _steps_of_any(most, out, 1))
    low, high = (np.clip(codes, out.low, out.high) for codes in (low, high))
    return Interval(np.where(fits, low, out.low), np.where(fits, high, out.high))


def _steps(sums: Array, out: Output) -> Array:
    """Codes of sums before the activation clamps them."""
    return fixed_point.multiply(fixed_point.wrap(sums), out.multiplier, out.shift) + out.zero_point


def _steps_of_any(sums: Array, out: Output, way: int) -> Array:
    """The furthest codes, down or up, that an engine which rounds to the nearest gives sums.

    An engine is off by the first of two roundings, half a step before the shift to the right, and
    by the inexactness of a float32 or of its multiplier, for which a sixteenth of a step is ample.
    """
    real = sums * (out.multiplier * 2.0 ** (out.shift - 31))
    second = np.where(out.shift < 0, 2.0 ** np.minimum(out.shift, 0) / 2, 0)
    off = second + 1 / 16 + np.abs(real) * 2.0**-20
    nearest = np.floor(real + way * off + 0.5)
    return np.asarray(np.clip(nearest, -(2**31), 2**31), np.int64) + out.zero_point


def _reshaped(ends: Interval, count: int) -> Interval:
    """Ends for a last axis of another size, codes in the same order."""
    if count % len(ends.low) == 0:
        times = count // len(ends.low)
        return Interval(np.tile(ends.low, times), np.tile(ends.high, times))
    if len(ends.low) % count == 0:
        low, high = ends.low.reshape(-1, count).min(0), ends.high.reshape(-1, count).max(0)
        return Interval(low, high)
    return Interval(np.full(count, ends.low.min()), np.full(count, ends.high.max()))


def _add(layer: g.Add, given: Given, ends: Ends) -> Interval:
    least = kernels.sums_of_add(layer, [each.low for each in given])
    most = kernels.sums_of_add(layer, [each.high for each in given])
    return _requantized(least, most, layer.out, ends.rounding)


def _rescale(layer: g.Rescale, given: Given, ends: Ends) -> Interval:
    least, most = (side - layer.input_zero_point for side in (given[0].low, given[0].high))
    return _requantized(least, most, layer.out, ends.rounding)


def _clamp(layer: g.Clamp | g.Pool, given: Given, ends: Ends) -> Interval:
    """Of POOL: neither the largest code nor a rounded mean leaves the interval."""
    low, high = (np.clip(side, layer.low, layer.high) for side in (given[0].low, given[0].high))
    return Interval(low, high)


def _mean(layer: g.Mean, given: Given, ends: Ends) -> Interval:
    if len(ends.sources[0].shape) - 1 in layer.axes:
        return _anything(ends.result, layer.out.low, layer.out.high)
    least, most = (
        layer.count * (side - layer.input_zero_point) for side in (given[0].low, given[0].high)
    )
    return _requantized(least, most, layer.out, ends.rounding)


def _pad(layer: g.Pad, given: Given, ends: Ends) -> Interval:
    return Interval(np.minimum(given[0].low, layer.code), np.maximum(given[0].high, layer.code))


def _transpose(layer: g.Transpose, given: Given, ends: Ends) -> Interval:
    if layer.permutation[-1] == len(layer.permutation) - 1:
        return given[0]
    return _anything(ends.result, int(given[0].low.min()), int(given[0].high.max()))


def _reshape(layer: g.Reshape, given: Given, ends: Ends) -> Interval:
    return _reshaped(given[0], channels(ends.result))


def _concatenation(layer: g.Concatenation, given: Given, ends: Ends) -> Interval:
    lows, highs = [each.low for each in given], [each.high for each in given]
    if layer.axis == len(ends.result.shape) - 1:
        return Interval(np.concatenate(lows), np.concatenate(highs))
    return Interval(np.min(lows, axis=0), np.max(highs, axis=0))


def _softmax(layer: g.Softmax, given: Given, ends: Ends) -> Interval:
    return _anything(ends.result)


_RULES: Mapping[type[Layer], Callable[[Any, Given, Ends], Interval]] = {
    g.Conv: _weighted,
    g.Depthwise: _weighted,
    g.FullyConnected: _weighted,
    g.Pool: _clamp,
    g.Mean: _mean,
    g.Add: _add,
    g.Pad: _pad,
    g.Transpose: _transpose,
    g.Reshape: _reshape,
    g.Concatenation: _concatenation,
    g.Softmax: _softmax,
    g.Rescale: _rescale,
    g.Clamp: _clamp,
}
