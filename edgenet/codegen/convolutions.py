"""Layers with weights as calls."""

from __future__ import annotations

from dataclasses import replace

from edgenet.codegen import mve, pack
from edgenet.codegen.call import Call, Constant, Field, Lowered, one, range_of
from edgenet.codegen.plan import NEVER
from edgenet.errors import GraphError
from edgenet.int8 import graph as g
from edgenet.int8.graph import Graph, Weighted

_ANYWHERE = -(2**31)
"""A distance where every one is right: all is read before anything is written."""

_PIXELS_WORTH_UNPACKING = 13
"""Unpacking a weight takes 1.3 instructions, and saves an eighth for each pixel."""

_BLOCK = 8
"""Channels of a depthwise layer that are laid out at a time; a multiple of 4."""


def _dot(layer: Weighted) -> dict[str, Field]:
    packed = pack.dot(layer)
    channels, depth = layer.outputs, layer.weight.size // layer.outputs
    return {
        "weight": Constant(packed.weight),
        "pairs": Constant(packed.pairs),
        "depth": depth,
        "terms": pack.up_to_four(depth),
        "channels": channels,
        "range": range_of(layer.out),
        "fast": packed.fast,
    }


def fully_connected(layer: g.FullyConnected, graph: Graph) -> Lowered:
    """FULLY_CONNECTED: a pixel for each row."""
    pixels = graph.values[layer.inputs[0]].size // layer.weight.shape[1]
    return _pixels(layer, pixels)


def conv(layer: g.Conv, graph: Graph) -> Lowered:
    """CONV_2D: pixel by pixel where its kernel is 1x1, else through patches."""
    shape = graph.values[layer.inputs[0]].shape
    if layer.weight.shape[1:3] == (1, 1) and layer.stride == (1, 1) and not layer.padding:
        return _pixels(layer, shape[1] * shape[2])
    window = _window(layer, shape, layer.weight.shape[1:3])
    dot = _dot(layer)
    fields: dict[str, Field] = {
        "dot": dot,
        "in_rows": shape[1],
        "in_columns": shape[2],
        "in_channels": shape[3],
        "in_zero_point": layer.input_zero_point,
        **window,
        "unpack": 0,
    }
    terms = pack.up_to_four(layer.weight.size // layer.outputs)
    # before a row of the output is written, the rows of the input that it covers are needed
    line = window["out_columns"] * layer.outputs
    needed = [
        max(0, row * layer.stride[0] - layer.padding.top) * shape[2] * shape[3]
        for row in range(window["out_rows"])
    ]
    ahead = max((row + 1) * line - start for row, start in enumerate(needed))
    call = Call("en_conv_s8", "en_conv", fields, layer.inputs, scratch=True)
    macs = window["out_rows"] * line * (layer.weight.size // layer.outputs)
    lowered = one(layer, call, 12 * terms + 16, {layer.inputs[0]: (ahead, NEVER)}, macs)
    lowered = mve.conv(lowered, layer)
    return _with_unpacked(lowered, layer, window["out_rows"] * window["out_columns"])


def _pixels(layer: Weighted, pixels: int) -> Lowered:
    """A layer that multiplies each pixel by one matrix."""
    dot = _dot(layer)
    depth, channels = layer.weight.size // layer.outputs, layer.outputs
    fields: dict[str, Field] = {"dot": dot, "pixels": pixels, "unpack": 0, "backwards": 0}
    call = Call("en_conv_1x1_s8", "en_conv_1x1", fields, layer.inputs, scratch=True)
    # pixels between two writes; a write may not touch what is still to be read
    borders = [*range(4, pixels - pixels % 4 + 1, 4), *range(pixels - pixels % 4 + 1, pixels)]
    borders = [border for border in borders if border < pixels]
    walk = (
        max((border * (channels - depth) for border in borders), default=_ANYWHERE),
        # of the ends: what is left to read lies before the border, and so must not be written yet
        max(((pixels - border) * (channels - depth) for border in borders), default=_ANYWHERE),
    )
    scratch = pack.up_to_four(depth) * (8 if pixels >= 4 else 2)
    macs = pixels * layer.weight.size
    lowered = one(layer, call, scratch, {layer.inputs[0]: walk}, macs)
    return _with_unpacked(mve.pixels(lowered, layer), layer, pixels)


def _with_unpacked(lowered: Lowered, layer: Weighted, pixels: int) -> Lowered:
    """With bytes for unpacked weights, where enough pixels share them."""
    if pixels < _PIXELS_WORTH_UNPACKING:
        return lowered
    channels = layer.outputs + layer.outputs % 2
    terms = pack.up_to_four(layer.weight.size // layer.outputs)
    return replace(lowered, more=(2 * terms + 12) * channels)


def depthwise(layer: g.Depthwise, graph: Graph) -> Lowered:
    """DEPTHWISE_CONV_2D, through a ring of rows."""
    shape = graph.values[layer.inputs[0]].shape
    kernel = layer.weight.shape[:2]
    window = _window(layer, shape, kernel)
    if kernel[0] > 16:
        raise GraphError(f"operator {layer.name} has {kernel[0]} kernel rows; 16 are supported")
    packed = pack.depthwise(layer)
    stride, columns = layer.stride[1], window["out_columns"]
    # the DSP flavour reads whole pairs of columns
    covered = 2 * pack.up_to_four(2 * columns) // 4 + 2 if stride == 1 else 2 * columns + 2
    covered = max(covered, layer.padding.left + shape[2], (columns - 1) * stride + kernel[1])
    ring = covered + covered % 2
    # where a single row is made out of place, a few channels at a time need less
    alone = window["out_rows"] == 1 and shape[1] == kernel[0]
    block = min(shape[3], _BLOCK) if alone else shape[3]
    fast = packed.fast if kernel == (3, 3) and stride in (1, 2) else pack.SLOW
    fields: dict[str, Field] = {
        "weight": Constant(packed.weight),
        "pairs": Constant(packed.pairs),
        "range": range_of(layer.out),
        "in_rows": shape[1],
        "in_columns": shape[2],
        "in_channels": shape[3],
        "in_zero_point": layer.input_zero_point,
        "out_rows": window["out_rows"],
        "out_columns": columns,
        "depth_multiplier": layer.depth_multiplier,
        **{name: window[name] for name in list(window)[2:]},
        "ring_columns": ring,
        "block": block,
        "whole": 0,
        "fast": fast,
    }
    line = columns * layer.outputs
    # rows that are in the ring when a row of the output is written
    copied = [
        max(0, row * layer.stride[0] - layer.padding.top + kernel[0])
        for row in range(window["out_rows"])
    ]
    ahead = max(
        (
            (row + 1) * line - rows * shape[2] * shape[3]
            for row, rows in enumerate(copied)
            if rows < shape[1]
        ),
        default=_ANYWHERE,
    )
    call = Call("en_depthwise_s8", "en_depthwise", fields, layer.inputs, scratch=True)
    macs = window["out_rows"] * line * kernel[0] * kernel[1]
    scratch = 2 * kernel[0] * block * ring
    walks = {layer.inputs[0]: (ahead, NEVER)} if block == shape[3] else {}
    lowered = mve.depthwise(one(layer, call, scratch, walks, macs), layer)
    rows = (window["out_rows"] - 1) * layer.stride[0] + kernel[0]
    more = 2 * (rows - kernel[0]) * block * ring
    return replace(lowered, more=more if fast else 0)


def _window(
    layer: g.Conv | g.Depthwise, shape: tuple[int, ...], kernel: tuple[int, ...]
) -> dict[str, int]:
    rows, columns = (
        (size + before + after - extent) // stride + 1
        for size, before, after, extent, stride in (
            (shape[1], layer.padding.top, layer.padding.bottom, kernel[0], layer.stride[0]),
            (shape[2], layer.padding.left, layer.padding.right, kernel[1], layer.stride[1]),
        )
    )
    return {
        "out_rows": rows,
        "out_columns": columns,
        "kernel_rows": kernel[0],
        "kernel_columns": kernel[1],
        "row_stride": layer.stride[0],
        "column_stride": layer.stride[1],
        "pad_top": layer.padding.top,
        "pad_left": layer.padding.left,
    }
