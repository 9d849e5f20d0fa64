"""The MVE flavour of layers: packed constants and calls of their own, beside the common ones.

A layer that MVE's kernels do not compute exactly, or not faster, is left as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from edgenet.codegen import pack
from edgenet.codegen.call import Call, Constant, Field, Lowered, range_of
from edgenet.int8 import graph as g
from edgenet.int8.graph import Array, Output, Weighted

_ANYWHERE = -(2**31)
"""A distance where every one is right: all is read before anything is written."""

_ROWS, _COLUMNS = 4, 3
"""The largest depthwise kernel."""

_REACH = 2**16
"""Bytes that offsets of eight bytes stay below."""


def up_to_sixteen(count: int) -> int:
    """The next multiple of 16."""
    return -(-count // 16) * 16


def pixels(lowered: Lowered, layer: Weighted) -> Lowered:
    """A layer that multiplies each pixel by one matrix."""
    dot = _dot(layer)
    if dot is None:
        return lowered
    (call,) = lowered.calls
    count = _number(call.fields, "pixels")
    depth, channels = layer.weight.size // layer.outputs, layer.outputs
    fields: dict[str, Field] = {"dot": dot, "pixels": count, "backwards": 0}
    left = [count]
    while left[-1]:
        left.append(left[-1] - min(left[-1], 2 if left[-1] % 3 else 3))
    # what lies before or behind a border is still to be read when the other side is written
    walk = max(((count - border) * (channels - depth) for border in left[1:-1]), default=_ANYWHERE)
    flavour = replace(call, kernel="en_conv_1x1_mve_s8", struct="en_conv_1x1_mve", fields=fields)
    return _with(lowered, flavour, min(count, 3) * up_to_sixteen(depth), walk)


def conv(lowered: Lowered, layer: g.Conv) -> Lowered:
    """CONV_2D through patches."""
    dot = _dot(layer)
    if dot is None:
        return lowered
    (call,) = lowered.calls
    window = {name: call.fields[name] for name in list(call.fields)[1:] if name != "unpack"}
    flavour = replace(
        call, kernel="en_conv_mve_s8", struct="en_conv_mve", fields={"dot": dot, **window}
    )
    return _with(lowered, flavour, 3 * up_to_sixteen(layer.weight.size // layer.outputs))


def depthwise(lowered: Lowered, layer: g.Depthwise) -> Lowered:
    """DEPTHWISE_CONV_2D of small kernels, through a ring of four rows."""
    weight = pack.centred(layer)
    rows, columns, channels = weight.shape
    stride = layer.stride[1]
    known = pack.parameters(layer, weight)
    small = rows <= _ROWS and columns <= _COLUMNS and stride in (1, 2)
    if not (small and layer.depth_multiplier == 1 and _fit(known.right)):
        return lowered
    (call,) = lowered.calls
    filled = np.zeros((channels, _COLUMNS, _ROWS), np.int8)
    filled[:, :columns, :rows] = weight.transpose(2, 1, 0)
    singles = np.zeros(channels, pack.SINGLE)
    for name, values in zip(("bias", "multiplier", "left"), _three(known), strict=True):
        singles[name] = values
    number = {name: value for name, value in call.fields.items() if isinstance(value, int)}
    width = number["out_columns"]
    ring = max(layer.padding.left + number["in_columns"], (width - 1) * stride + columns)
    if 7 * max(4 * ring, channels) >= _REACH:
        return lowered
    kept = "out_rows", "out_columns", "kernel_rows", "row_stride", "column_stride"
    fields: dict[str, Field] = {
        # loads of sixteen bytes reach beyond the last twelve
        "weight": Constant(np.concatenate([filled.ravel(), np.zeros(4, np.int8)])),
        "singles": Constant(singles),
        "range": range_of(layer.out),
        "relu": _relu(layer.out),
        "in_rows": number["in_rows"],
        "in_columns": number["in_columns"],
        "channels": channels,
        "in_zero_point": layer.input_zero_point,
        **{name: number[name] for name in kept},
        "pad_top": layer.padding.top,
        "pad_left": layer.padding.left,
        "ring_columns": ring,
        "block": number["block"],
    }
    flavour = replace(call, kernel="en_depthwise_mve_s8", struct="en_depthwise_mve", fields=fields)
    # outputs are made four or eight at a time, from patches of four columns
    made = width // 8 * 8 + (0, 4, 8)[-(-(width % 8) // 4)]
    beyond = max(0, (made - 1) * stride + 4 - ring)
    return _with(lowered, flavour, 4 * (number["block"] * ring + beyond))


def add(lowered: Lowered, layer: g.Add) -> Lowered:
    """ADD, four codes at a time."""
    right = pack.right_shift(layer.out)
    if not (_fit(right) and all(-31 <= shift <= 0 for shift in layer.shifts)):
        return lowered
    (call,) = lowered.calls
    lift = 2**layer.left_shift
    fields: dict[str, Field] = {
        "size": call.fields["size"],
        "lift": lift,
        "offset": tuple(-point * lift for point in layer.zero_points),
        "multiplier": layer.multipliers,
        "left": layer.shifts,
        "out_multiplier": int(layer.out.multiplier[0]),
        "out_left": -int(right[0]),
        "range": range_of(layer.out),
    }
    flavour = replace(
        call, kernel="en_add_mve_s8", struct="en_add_mve", fields=fields, scratch=False
    )
    return _with(lowered, flavour, 0)


def mean(lowered: Lowered, layer: g.Mean) -> Lowered:
    """MEAN, four channels at a time."""
    right = pack.right_shift(layer.out)
    if not _fit(right):
        return lowered
    (call,) = lowered.calls
    kept = "pixels", "channels", "bias", "multiplier"
    fields: dict[str, Field] = {
        **{name: call.fields[name] for name in kept},
        "left": -int(right[0]),
        "range": range_of(layer.out),
    }
    return _with(
        lowered, replace(call, kernel="en_mean_mve_s8", struct="en_mean_mve", fields=fields), 0
    )


def _with(lowered: Lowered, flavour: Call, scratch: int, walk: int = _ANYWHERE) -> Lowered:
    """With an MVE flavour, and room for both.

    Args:
        lowered: the layer, which is one call.
        flavour: what takes its place.
        scratch: bytes that it needs.
        walk: the least distance, of either direction, in which its output may follow its input;
            what the common flavour keeps is kept, too.
    """
    (call,) = lowered.calls
    walks = {
        value: (max(forward, walk), max(backward, walk))
        for value, (forward, backward) in lowered.work.walks.items()
    }
    work = replace(lowered.work, scratch=max(lowered.work.scratch, scratch), walks=walks)
    return replace(lowered, calls=(replace(call, mve=flavour),), work=work)


def _dot(layer: Weighted) -> dict[str, Field] | None:
    """An ``en_dot_mve``, or None if it would not be exact."""
    weight = pack.centred(layer)
    known = pack.parameters(layer, weight)
    if not _fit(known.right):
        return None
    rows = weight.reshape(len(weight), -1)
    blocks, terms = -(-len(rows) // 4), up_to_sixteen(rows.shape[1])
    filled = np.zeros((4 * blocks, terms), np.int8)
    filled[: len(rows), : rows.shape[1]] = rows
    # [block][0 and 2, 1 and 3][terms / 16][channel of two][16]
    halves = filled.reshape(blocks, 2, 2, terms // 16, 16).transpose(0, 2, 3, 1, 4)
    quads = np.zeros(blocks, pack.QUAD)
    for name, values in zip(("bias", "multiplier", "left"), _three(known), strict=True):
        flat = np.zeros(4 * blocks, np.int64)
        flat[: len(rows)] = values
        quads[name] = flat.reshape(-1, 4)
    return {
        "weight": Constant(np.ascontiguousarray(halves).ravel()),
        "quads": Constant(quads),
        "depth": rows.shape[1],
        "terms": terms,
        "channels": len(rows),
        "range": range_of(layer.out),
        "relu": _relu(layer.out),
    }


def _three(known: pack.Parameters) -> tuple[Array, Array, Array]:
    return known.bias, known.multiplier, -known.right


def _fit(right: Array) -> bool:
    """Whether VRSHL can divide: something is shifted out of every product."""
    return bool(right.min() >= 1 and right.max() <= 31)


def _relu(out: Output) -> int:
    """Whether negative products end at the least code, however they are rounded."""
    return int(out.low >= out.zero_point)


def _number(fields: Mapping[str, Any], name: str) -> int:
    return int(fields[name])
