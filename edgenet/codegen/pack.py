"""Weights and requantization parameters in the order in which the kernels in C read them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edgenet.errors import GraphError
from edgenet.int8.graph import Array, Output, Weighted

PAIR = np.dtype([("bias", "<i4", 2), ("multiplier", "<i4", 2), ("right", "<i2", 2)])
"""en_pair of en_common.h: two output channels in 20 bytes."""

QUAD = np.dtype([("bias", "<i4", 4), ("multiplier", "<i4", 4), ("left", "i1", 4)])
"""en_quad of en_common.h, for MVE: four output channels in 36 bytes."""

SINGLE = np.dtype([("bias", "<i4"), ("multiplier", "<i4"), ("left", "i1")])
"""en_single, for MVE: one output channel in 9 bytes."""

STRUCTS = {PAIR: "en_pair", QUAD: "en_quad", SINGLE: "en_single"}
"""The types of arrays of structs."""


SLOW, RELU, FULL, CLAMPED = range(4)
"""How sums become codes: see en_common.h."""


class Packed(NamedTuple):
    """One layer's constants.

    Attributes:
        weight: int8, flat.
        pairs: of dtype PAIR.
        fast: SLOW, RELU, FULL or CLAMPED.
    """

    weight: Array
    pairs: Array
    fast: int


def dot(layer: Weighted) -> Packed:
    """Weights of a convolution as [O / 2][terms / 4][channel of two][4], filled up with 0.

    The terms are those of (O, K), or of (O, rows, columns, I) the bytes of each kernel row that
    make whole words, then what is left of all rows.

    Raises:
        GraphError: weights less their zero point are no int8, or sums can leave 32 bits.
    """
    weight = centred(layer)
    lines = weight.reshape(len(weight), weight.shape[1] if weight.ndim == 4 else 1, -1)
    whole = lines.shape[2] // 4 * 4
    parts = lines[..., :whole], lines[..., whole:]
    rows = np.concatenate([part.reshape(len(lines), -1) for part in parts], axis=1)
    count, terms = len(rows) + len(rows) % 2, up_to_four(rows.shape[1])
    filled = np.zeros((count, terms), np.int8)
    filled[: len(rows), : rows.shape[1]] = rows
    ordered = filled.reshape(count // 2, 2, terms // 4, 4).transpose(0, 2, 1, 3)
    pairs, fast = _pairs(layer, weight)
    return Packed(ordered.ravel(), pairs, fast)


def depthwise(layer: Weighted) -> Packed:
    """Weights (rows, columns, O) as [O][rows][columns].

    Raises:
        GraphError: as ``dot``.
    """
    weight = centred(layer)
    pairs, fast = _pairs(layer, weight)
    return Packed(weight.transpose(2, 0, 1).ravel(), pairs, fast)


def up_to_four(count: int) -> int:
    """The next multiple of 4."""
    return -(-count // 4) * 4


def right_shift(out: Output) -> Array:
    """Bits that products are shifted to the right by; 2 for factors that are 0 anyhow."""
    return np.where(out.multiplier == 0, 2, -out.shift)


def centred(layer: Weighted) -> Array:
    """int8 weights less their zero point, which uint8 models have; 0 where the factor is 0."""
    weight = layer.weight.astype(np.int64) - layer.weight_zero_point
    if weight.size and (weight.min() < -128 or weight.max() > 127):
        raise GraphError(
            f"operator {layer.name} has uint8 weights from {weight.min()} to {weight.max()} around"
            " their zero point, which are no int8; export the model in full int8"
        )
    shape = [1] * weight.ndim
    shape[layer.output_axis] = -1
    return np.asarray((weight * (layer.out.multiplier != 0).reshape(shape)).astype(np.int8))


class Parameters(NamedTuple):
    """How the sums of each output channel become codes.

    Attributes:
        bias: int64, as the next two; zero points of the input are in it.
        multiplier: of sums.
        right: bits that products are shifted to the right by; to the left where it is negative.
        most: bound of the absolute values of all sums.
    """

    bias: Array
    multiplier: Array
    right: Array
    most: int


def parameters(layer: Weighted, weight: Array) -> Parameters:
    """The parameters of centred weights.

    Raises:
        GraphError: sums can leave 32 bits.
    """
    axes = tuple(axis for axis in range(weight.ndim) if axis != layer.output_axis)
    bias = layer.bias - layer.input_zero_point * weight.sum(axes, dtype=np.int64)
    # a factor of 0 is any factor of a sum that is 0
    bias = np.where(layer.out.multiplier == 0, 0, bias)
    multiplier = np.where(layer.out.multiplier == 0, 2**30, layer.out.multiplier)
    # padding holds the zero point, a code as any other, so this bounds every partial sum
    most = np.abs(bias) + 128 * np.abs(weight.astype(np.int64)).sum(axes)
    if most.max() >= 2**31:
        raise GraphError(
            f"operator {layer.name} has sums of up to {most.max()}, which 32 bits cannot hold"
        )
    shape = bias.shape
    return Parameters(
        bias,
        np.broadcast_to(multiplier, shape),
        np.broadcast_to(right_shift(layer.out), shape),
        int(most.max()),
    )


def _pairs(layer: Weighted, weight: Array) -> tuple[Array, int]:
    """Parameters by pairs of channels, and how sums become codes."""
    bias, multiplier, right, most = parameters(layer, weight)
    count = len(bias)
    pairs = np.zeros(-(-count // 2), PAIR)
    for name, values in (("bias", bias), ("multiplier", multiplier), ("right", right)):
        flat = np.zeros(2 * len(pairs), np.int64)
        flat[:count] = values
        if name == "right":
            flat[count:] = 2  # as right_shift has it
        pairs[name] = flat.reshape(-1, 2)
    return pairs, fast(layer.out, most)


def fast(out: Output, most: int) -> int:
    """SLOW, RELU, FULL or CLAMPED, for sums whose absolute values are bounded by ``most``."""
    right = right_shift(out)
    if most >= 2**30 or right.min() < 2 or right.max() > 31:
        return SLOW
    if (out.low, out.high) != (-128, 127):
        return CLAMPED
    return RELU if out.zero_point == -128 else FULL
