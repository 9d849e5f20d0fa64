"""Which channels a graph needs: the others can go without changing one bit of its outputs.

A channel goes when nothing reads it but sums that need not: its weights are all zero, or it is
constant and the bias of the sum can have its share.  Layers that hand channels on tie those of
their inputs to those of their output: both go or neither.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from edgenet.codegen.intervals import Interval, channels
from edgenet.int8 import graph as g
from edgenet.int8.graph import Array, Graph, Layer, Value

Sums = g.Conv | g.FullyConnected
Kept = dict[int, Array]
"""Bool (C,) for each value by its index: channels that stay."""


def needed(graph: Graph, found: Mapping[int, Interval]) -> Kept:
    """The channels that must stay; of each value at least one does.

    Args:
        graph: as ``int8.build`` makes it.
        found: its intervals.
    """
    kept = {index: np.zeros(channels(value), bool) for index, value in graph.values.items()}
    for port in (*graph.inputs, *graph.outputs):
        kept[port.value][:] = True
    while True:
        before = sum(int(mask.sum()) for mask in kept.values())
        for layer in reversed(graph.layers):
            _RULES[type(layer)](layer, graph.values, found, kept)
        empty = [mask for mask in kept.values() if not mask.any()]
        for mask in empty:
            mask[0] = True
        if sum(int(mask.sum()) for mask in kept.values()) == before:
            return kept


def centred_weight(layer: g.Weighted) -> Array:
    """Weights less their zero point, int64."""
    return np.asarray(layer.weight.astype(np.int64) - layer.weight_zero_point)


def terms_of_channels(layer: Sums, value: Value) -> Array | None:
    """Weights as int64 (O, taps, C): the terms of each input channel.

    None where terms are no multiple of the channels, so that a channel has no terms of its own.
    """
    weight, count = centred_weight(layer), channels(value)
    if weight.shape[-1] % count:
        return None
    return weight.reshape(len(weight), -1, count)


def shares(layer: Sums, terms: Array, interval: Interval) -> Array:
    """What each channel adds to the sums where it is constant, int64 (O, C); 0 where it is not."""
    codes = np.where(interval.constant, interval.low - layer.input_zero_point, 0)
    return np.asarray(terms.sum(1) * codes)


def foldable(layer: Sums, terms: Array, interval: Interval) -> Array:
    """Bool (C,): constant channels whose share of the sums the bias can have.

    In padding a channel is zero, so under a padded window it must be so everywhere.  The bias stays
    an int32.
    """
    padded = isinstance(layer, g.Conv) and bool(layer.padding)
    zero = interval.constant & (interval.low == layer.input_zero_point)
    room = np.abs(layer.bias) + np.abs(shares(layer, terms, interval)).sum(1)
    return np.asarray(zero if padded or room.max() >= 2**31 else interval.constant)


Values = Mapping[int, Value]
Found = Mapping[int, Interval]


def _sums(layer: Any, values: Values, found: Found, kept: Kept) -> None:
    (index,) = layer.inputs
    terms = terms_of_channels(layer, values[index])
    if terms is None:
        kept[index][:] = kept[layer.output][:] = True
        return
    if isinstance(layer, g.FullyConnected) and channels(values[layer.output]) != len(terms):
        kept[layer.output][:] = True  # rows in another shape
        read = (terms != 0).any((0, 1))
    else:
        read = (terms[kept[layer.output]] != 0).any((0, 1))
    kept[index] |= read & ~foldable(layer, terms, found[index])


def _depthwise(layer: Any, values: Values, found: Found, kept: Kept) -> None:
    (index,) = layer.inputs
    groups = kept[layer.output].reshape(-1, layer.depth_multiplier)
    kept[index] |= groups.any(1)
    groups |= kept[index][:, np.newaxis]


def _tied(layer: Layer, values: Values, found: Found, kept: Kept) -> None:
    """Channels of all inputs and of the output are the same ones."""
    together = kept[layer.output]
    for index in layer.inputs:
        together = together | kept[index]
    for index in (*layer.inputs, layer.output):
        kept[index] |= together


def _all(layer: Layer, values: Values, found: Found, kept: Kept) -> None:
    for index in (*layer.inputs, layer.output):
        kept[index][:] = True


def _mean(layer: Any, values: Values, found: Found, kept: Kept) -> None:
    last = len(values[layer.inputs[0]].shape) - 1
    rule = _all if last in layer.axes else _tied
    rule(layer, values, found, kept)


def _transpose(layer: Any, values: Values, found: Found, kept: Kept) -> None:
    rule = _tied if layer.permutation[-1] == len(layer.permutation) - 1 else _all
    rule(layer, values, found, kept)


def _reshape(layer: Any, values: Values, found: Found, kept: Kept) -> None:
    """Tied where the result's channels are those of the input, once or over and over."""
    (index,) = layer.inputs
    if len(kept[layer.output]) % len(kept[index]):
        _all(layer, values, found, kept)
        return
    groups = kept[layer.output].reshape(-1, len(kept[index]))
    kept[index] |= groups.any(0)
    groups |= kept[index]


def _concatenation(layer: Any, values: Values, found: Found, kept: Kept) -> None:
    if layer.axis != len(values[layer.output].shape) - 1:
        _tied(layer, values, found, kept)
        return
    start = 0
    for index in layer.inputs:
        part = kept[layer.output][start : start + len(kept[index])]
        kept[index] |= part
        part |= kept[index]
        start += len(part)


_RULES: Mapping[type[Layer], Callable[[Any, Values, Found, Kept], None]] = {
    g.Conv: _sums,
    g.FullyConnected: _sums,
    g.Depthwise: _depthwise,
    g.Pool: _tied,
    g.Mean: _mean,
    g.Add: _tied,
    g.Pad: _tied,
    g.Transpose: _transpose,
    g.Reshape: _reshape,
    g.Concatenation: _concatenation,
    g.Softmax: _all,
    g.Rescale: _tied,
    g.Clamp: _tied,
}
