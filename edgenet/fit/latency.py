"""How long an inference takes, by operator: what it multiplies, moves and reads, and its call."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgenet.cost import Cost, LayerCost
from edgenet.fit import nonnegative

Floats = NDArray[np.float64]
_TERMS = 4
_BLOCK = 16
"""Channels that kernels compute at a time; where there are fewer, they compute for nothing."""


class Rate(msgspec.Struct, frozen=True):
    """What operators of one kind take, in milliseconds.

    Attributes:
        multiply_add: for each, of whole blocks of channels.
        byte: of int8 input and output, for each.
        weight: for each.
        call: for each operator.
    """

    multiply_add: float
    byte: float
    weight: float
    call: float

    def of(self, layer: LayerCost) -> float:
        """Milliseconds of one layer."""
        return float(np.dot(_features(layer), msgspec.structs.astuple(self)))


class Model(msgspec.Struct, frozen=True):
    """Rates by kind of layer, and what an inference takes besides, in milliseconds."""

    rates: Mapping[str, Rate]
    overhead: float

    def of(self, cost: Cost) -> float | None:
        """Milliseconds of an inference; None where a kind of layer was never calibrated."""
        layers = operators(cost)
        if any(layer.layer.kind not in self.rates for layer in layers):
            return None
        return self.overhead + sum(self.rates[one.layer.kind].of(one) for one in layers)


class Sample(msgspec.Struct, frozen=True):
    """One network as it was measured.

    Attributes:
        cost: of the network.
        invoke_ms: of an inference.
        operators: milliseconds of each operator, as ``operators`` lists them; empty if not timed.
    """

    cost: Cost
    invoke_ms: float
    operators: Sequence[float] = ()


def operators(cost: Cost) -> list[LayerCost]:
    """The layers that an engine runs: the mean of a single pixel is none."""
    return [one for one in cost.layers if one.layer.kind != "pool" or one.input[:2] != (1, 1)]


def calibrate(samples: Sequence[Sample]) -> Model:
    """The model that comes nearest to what was measured, relatively.

    A network's inference as a whole counts as much as all its operators together: the clock
    behind single operators is coarse, and their means have every interruption in them.
    """
    kinds: list[str] = sorted(
        {one.layer.kind for sample in samples for one in operators(sample.cost)}
    )
    rows, targets, weights = [], [], []
    for sample in samples:
        each = [_row(layer, kinds) for layer in operators(sample.cost)]
        total = np.sum(each, axis=0)
        total[-1] = 1
        rows.append(total)
        targets.append(sample.invoke_ms)
        weights.append(float(len(each)))
        timed = [(row, ms) for row, ms in zip(each, sample.operators, strict=False) if ms > 0]
        rows += [row for row, _ in timed]
        targets += [ms for _, ms in timed]
        weights += [ms / sample.invoke_ms * len(each) / 4 for _, ms in timed]
    found = nonnegative.robust(np.array(rows), np.array(targets), np.array(weights))
    starts = accumulate([_TERMS] * (len(kinds) - 1), initial=0)
    rates = {
        kind: Rate(*map(float, found[at : at + _TERMS]))
        for kind, at in zip(kinds, starts, strict=True)
    }
    return Model(rates, float(found[-1]))


def errors(samples: Sequence[Sample]) -> list[float]:
    """Relative errors of predicting each sample from all the others, signed."""
    found = []
    for left_out, sample in enumerate(samples):
        others = [one for index, one in enumerate(samples) if index != left_out]
        predicted = calibrate(others).of(sample.cost) if others else None
        if predicted is not None:
            found.append(predicted / sample.invoke_ms - 1)
    return found


def _row(layer: LayerCost, kinds: Sequence[str]) -> Floats:
    row = np.zeros(_TERMS * len(kinds) + 1)
    at = _TERMS * kinds.index(layer.layer.kind)
    row[at : at + _TERMS] = _features(layer)
    return row


def _features(layer: LayerCost) -> tuple[float, float, float, float]:
    moved = math.prod(layer.input) + math.prod(layer.output)
    filled = -(-layer.output[2] // _BLOCK) * _BLOCK / layer.output[2]
    return layer.multiply_adds * filled, moved, layer.kernel_weights, 1.0


def matches(names: Iterable[str], cost: Cost) -> bool:
    """Whether an engine's operators, ``CONV_2D 64x64x16``, are the network's layers, in order."""
    expected = [math.prod(one.output) for one in operators(cost)]
    return [_values(name) for name in names] == expected


def _values(name: str) -> int:
    """Numbers in an operator's output; 0 where its name does not tell the shape."""
    shape = name.rpartition(" ")[2].split("x")
    return math.prod(map(int, shape)) if all(map(str.isdecimal, shape)) else 0
