"""What each kind of layer computes, in numpy, on codes (pictures, *shape) of int8."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edgenet.int8 import fixed_point
from edgenet.int8 import graph as g
from edgenet.int8.graph import Array, Layer, Output, Weighted

_EXACT_IN_FLOAT32 = 2**24


def run(layer: Layer, inputs: Sequence[Array], shape: tuple[int, ...]) -> Array:
    """The codes that a layer gives, int8 (pictures, *shape).

    Args:
        layer: any of ``edgenet.int8.graph``.
        inputs: one array (pictures, *shape of the value) of int8 for each input.
        shape: of the output value.
    """
    return _KERNELS[type(layer)](layer, *inputs).reshape(len(inputs[0]), *shape)


def requantize(sums: Array, out: Output) -> Array:
    """Sums, channels last, to int8 codes."""
    codes = fixed_point.multiply(fixed_point.wrap(sums), out.multiplier, out.shift) + out.zero_point
    return np.asarray(np.clip(codes, out.low, out.high), np.int8)


def sums(layer: Weighted, codes: Array) -> Array:
    """The integer sums of a layer with weights, bias included, int64 (pictures, ..., O)."""
    return _SUMS[type(layer)](layer, codes)


def _weighted(layer: Weighted, codes: Array) -> Array:
    return requantize(sums(layer, codes), layer.out)


def _conv_sums(layer: g.Conv, codes: Array) -> Array:
    kernel = layer.weight.shape[1:3]
    windows = _windows(_centred(layer, codes), kernel, layer.stride)  # (N, H, W, C, kh, kw)
    rows = windows.transpose(0, 1, 2, 4, 5, 3).reshape(*windows.shape[:3], -1)
    return _matmul(layer, rows, layer.weight.reshape(len(layer.weight), -1))


def _fully_connected_sums(layer: g.FullyConnected, codes: Array) -> Array:
    rows = codes.reshape(len(codes), -1, layer.weight.shape[1])
    return _matmul(layer, rows.astype(np.float32) - layer.input_zero_point, layer.weight)


def _depthwise_sums(layer: g.Depthwise, codes: Array) -> Array:
    rows, columns, _ = layer.weight.shape
    weight = layer.weight.astype(np.float32) - layer.weight_zero_point
    values = np.repeat(_centred(layer, codes), layer.depth_multiplier, axis=-1)
    exact = rows * columns * 255 * 255 < _EXACT_IN_FLOAT32
    windows = _windows(values, (rows, columns), layer.stride)
    total = np.zeros(windows.shape[:4], np.float32 if exact else np.float64)
    for y in range(rows):
        for x in range(columns):
            total += windows[..., y, x] * weight[y, x]
    return total.astype(np.int64) + layer.bias


def _centred(layer: g.Conv | g.Depthwise, codes: Array) -> Array:
    """float32 (N, H, W, C) of codes less the zero point, padded with zeros."""
    maps = codes.reshape(-1, *codes.shape[-3:]).astype(np.float32) - layer.input_zero_point
    return np.pad(maps, _around(layer.padding))


def _around(padding: g.Padding) -> list[tuple[int, int]]:
    return [(0, 0), (padding.top, padding.bottom), (padding.left, padding.right), (0, 0)]


def _windows(maps: Array, window: tuple[int, ...], stride: tuple[int, int]) -> Array:
    """Views (N, H, W, C, rows, columns) of maps (N, H, W, C)."""
    views = np.lib.stride_tricks.sliding_window_view(maps, window, axis=(1, 2))
    return np.asarray(views[:, :: stride[0], :: stride[1]])


def _matmul(layer: Weighted, rows: Array, weight: Array) -> Array:
    """Exact sums of float32 rows (..., K) and weights (O, K)."""
    centred = weight.astype(np.float32) - layer.weight_zero_point
    # a product is at most 255 * |weight|; below 2^24 every float32 sum is exact in any order
    most = 255 * np.abs(centred).sum(1, dtype=np.float64).max(initial=0)
    kind = np.float32 if most < _EXACT_IN_FLOAT32 else np.float64
    found = rows.astype(kind) @ centred.T.astype(kind)
    return np.asarray(found.astype(np.int64) + layer.bias)


def _pool(layer: g.Pool, codes: Array) -> Array:
    maps = codes.reshape(-1, *codes.shape[-3:]).astype(np.int64) + layer.offset
    around = _around(layer.padding)
    if layer.kind == "max":
        padded = np.pad(maps, around, constant_values=-(2**31))
        found = _windows(padded, layer.window, layer.stride).max((-2, -1))
    else:
        total = _windows(np.pad(maps, around), layer.window, layer.stride).sum((-2, -1))
        inside = np.pad(np.ones_like(maps[:1, ..., :1]), around)
        count = _windows(inside, layer.window, layer.stride).sum((-2, -1))
        found = np.sign(total) * ((np.abs(total) + count // 2) // count)
    return np.asarray(np.clip(found - layer.offset, layer.low, layer.high), np.int8)


def _mean(layer: g.Mean, codes: Array) -> Array:
    axes = tuple(axis + 1 for axis in layer.axes)
    total = codes.sum(axes, dtype=np.int64, keepdims=layer.keep)
    return requantize(total - layer.count * layer.input_zero_point, layer.out)


def sums_of_add(layer: g.Add, inputs: Sequence[Array]) -> Array:
    """The sums of two values, in the finer steps that ``layer.out`` makes codes of; int64."""
    total = np.zeros((), np.int64)
    numbers = zip(inputs, layer.zero_points, layer.multipliers, layer.shifts, strict=True)
    for codes, zero_point, multiplier, shift in numbers:
        lifted = (codes.astype(np.int64) - zero_point) << layer.left_shift
        total = np.asarray(total + fixed_point.multiply(lifted, multiplier, shift))
    return total


def _add(layer: g.Add, left: Array, right: Array) -> Array:
    return requantize(sums_of_add(layer, (left, right)), layer.out)


def _pad(layer: g.Pad, codes: Array) -> Array:
    around = [(0, 0)] * (codes.ndim - 4) + _around(layer.padding)
    return np.pad(codes, around, constant_values=layer.code)


def _transpose(layer: g.Transpose, codes: Array) -> Array:
    return codes.transpose(0, *(axis + 1 for axis in layer.permutation))


def _reshape(layer: g.Reshape, codes: Array) -> Array:
    return codes  # run gives the output its shape


def _concatenation(layer: g.Concatenation, *inputs: Array) -> Array:
    return np.concatenate(inputs, axis=layer.axis + 1)


def exponentials(layer: g.Softmax) -> Array:
    """Exponentials, Q0.31, of the differences -255 to 0 to the largest code; 0 below the least."""
    differences = np.arange(-255, 1)
    lifted = fixed_point.wrap(differences << layer.left_shift)
    found = fixed_point.exp_of_negative(fixed_point.high_multiply(lifted, layer.multiplier))
    return np.where(differences >= layer.least, found, 0)


def _softmax(layer: g.Softmax, codes: Array) -> Array:
    differences = codes.astype(np.int64) - codes.max(-1, keepdims=True)
    exponential = exponentials(layer)[differences + 255]
    total = fixed_point.divide_by_power(exponential, 12).sum(-1, keepdims=True)
    scale, bits = fixed_point.reciprocal(total)
    shares = fixed_point.high_multiply(scale, exponential)
    found = fixed_point.divide_by_power(shares, bits + 31 - 8) - 128
    return np.asarray(np.minimum(found, 127), np.int8)


def _rescale(layer: g.Rescale, codes: Array) -> Array:
    return requantize(codes.astype(np.int64) - layer.input_zero_point, layer.out)


def _clamp(layer: g.Clamp, codes: Array) -> Array:
    return np.clip(codes, layer.low, layer.high)


_KERNELS: dict[type[Layer], Callable[..., Array]] = {
    g.Conv: _weighted,
    g.Depthwise: _weighted,
    g.FullyConnected: _weighted,
    g.Pool: _pool,
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

_SUMS: dict[type[Weighted], Callable[[Any, Array], Array]] = {
    g.Conv: _conv_sums,
    g.Depthwise: _depthwise_sums,
    g.FullyConnected: _fully_connected_sums,
}
