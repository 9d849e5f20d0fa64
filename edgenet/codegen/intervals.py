"""Which codes each channel can take, for every possible input: integer interval analysis.

Each layer's exact arithmetic is applied to both ends of its inputs' intervals.  Sums with weights
are bounded term by term; a padded layer's windows see the zero point as well.  Multiplying by a
positive factor and rounding keeps the order of sums, so the ends stay ends; where int32 could
overflow, which would not, a channel may take any code that its activation lets through.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgenet.int8 import graph as g
from edgenet.int8 import kernels
from edgenet.int8.graph import LEAST, MOST, Array, Graph, Layer, Output, Value


@dataclass(frozen=True, slots=True, eq=False)
class Interval:
    """The least and the largest code of each channel, the value's last axis; int64 (C,)."""

    low: Array
    high: Array

    @property
    def constant(self) -> Array:
        """Bool (C,): channels that have one code, at every place of every picture."""
        return np.asarray(self.low == self.high)


def intervals(graph: Graph) -> dict[int, Interval]:
    """The interval of each value, by its index; inputs can be anything."""
    found = {port.value: _anything(graph.values[port.value]) for port in graph.inputs}
    for layer in graph.layers:
        given = [found[index] for index in layer.inputs]
        sources = [graph.values[index] for index in layer.inputs]
        result = graph.values[layer.output]
        found[layer.output] = _RULES[type(layer)](layer, given, sources, result)
    return found


def _anything(value: Value, low: int = LEAST, high: int = MOST) -> Interval:
    count = channels(value)
    return Interval(np.full(count, low), np.full(count, high))


def channels(value: Value) -> int:
    """Size of the last axis."""
    return value.shape[-1] if value.shape else 1


Given = list[Interval]
Values = list[Value]


def _weighted(layer: g.Weighted, given: Given, sources: Values, result: Value) -> Interval:
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
    ends = _requantized(least, most, layer.out)
    if isinstance(layer, g.FullyConnected):  # the result may be rows in another shape
        return _reshaped(ends, channels(result))
    return ends


def _rows(ends: Array, terms: int, furthest: Callable[..., Any]) -> Array:
    """Ends of each term of rows of ``terms``, from ends of each channel."""
    if terms % len(ends) == 0:
        return np.tile(ends, terms // len(ends))
    return np.full(terms, furthest(ends))


def _requantized(least: Array, most: Array, out: Output) -> Interval:
    left = np.maximum(out.shift, 0)
    fits = (np.left_shift(least, left) >= -(2**31)) & (np.left_shift(most, left) < 2**31)
    fits &= (np.abs(least) < 2**31) & (np.abs(most) < 2**31)
    low, high = (kernels.requantize(ends, out).astype(np.int64) for ends in (least, most))
    return Interval(np.where(fits, low, out.low), np.where(fits, high, out.high))


def _reshaped(ends: Interval, count: int) -> Interval:
    """Ends for a last axis of another size, codes in the same order."""
    if count % len(ends.low) == 0:
        times = count // len(ends.low)
        return Interval(np.tile(ends.low, times), np.tile(ends.high, times))
    if len(ends.low) % count == 0:
        low, high = ends.low.reshape(-1, count).min(0), ends.high.reshape(-1, count).max(0)
        return Interval(low, high)
    return Interval(np.full(count, ends.low.min()), np.full(count, ends.high.max()))


def _elementwise(layer: Layer, given: Given, _: Values, result: Value) -> Interval:
    """Of layers that take each code for itself and keep their order: run on the ends."""
    shape = (len(given[0].low),)
    low = kernels.run(layer, [ends.low.astype(np.int8)[np.newaxis] for ends in given], shape)
    high = kernels.run(layer, [ends.high.astype(np.int8)[np.newaxis] for ends in given], shape)
    return Interval(low[0].astype(np.int64), high[0].astype(np.int64))


def _pool(layer: g.Pool, given: Given, _: Values, result: Value) -> Interval:
    """Neither the largest code nor a rounded mean leaves the interval; the activation may."""
    low, high = (np.clip(ends, layer.low, layer.high) for ends in (given[0].low, given[0].high))
    return Interval(low, high)


def _mean(layer: g.Mean, given: Given, sources: Values, result: Value) -> Interval:
    if len(sources[0].shape) - 1 in layer.axes:
        return _anything(result, layer.out.low, layer.out.high)
    least, most = (
        layer.count * (ends - layer.input_zero_point) for ends in (given[0].low, given[0].high)
    )
    return _requantized(least, most, layer.out)


def _pad(layer: g.Pad, given: Given, _: Values, result: Value) -> Interval:
    return Interval(np.minimum(given[0].low, layer.code), np.maximum(given[0].high, layer.code))


def _transpose(layer: g.Transpose, given: Given, _: Values, result: Value) -> Interval:
    if layer.permutation[-1] == len(layer.permutation) - 1:
        return given[0]
    return _anything(result, int(given[0].low.min()), int(given[0].high.max()))


def _reshape(layer: g.Reshape, given: Given, _: Values, result: Value) -> Interval:
    return _reshaped(given[0], channels(result))


def _concatenation(layer: g.Concatenation, given: Given, _: Values, result: Value) -> Interval:
    lows, highs = [ends.low for ends in given], [ends.high for ends in given]
    if layer.axis == len(result.shape) - 1:
        return Interval(np.concatenate(lows), np.concatenate(highs))
    return Interval(np.min(lows, axis=0), np.max(highs, axis=0))


def _softmax(layer: g.Softmax, given: Given, _: Values, result: Value) -> Interval:
    return _anything(result)


_RULES: Mapping[type[Layer], Callable[[Any, Given, Values, Value], Interval]] = {
    g.Conv: _weighted,
    g.Depthwise: _weighted,
    g.FullyConnected: _weighted,
    g.Pool: _pool,
    g.Mean: _mean,
    g.Add: _elementwise,
    g.Pad: _pad,
    g.Transpose: _transpose,
    g.Reshape: _reshape,
    g.Concatenation: _concatenation,
    g.Softmax: _softmax,
    g.Rescale: _elementwise,
    g.Clamp: _elementwise,
}
