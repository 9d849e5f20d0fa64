"""Each layer of the graph as calls of kernels in C: constants, parameters, and needs of memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgenet.codegen import pack
from edgenet.codegen.plan import NEVER, Work
from edgenet.errors import GraphError
from edgenet.int8 import graph as g
from edgenet.int8 import kernels
from edgenet.int8.graph import Array, Graph, Layer, Output, Weighted

_ANYWHERE = -(2**31)
"""A distance where every one is right: all is read before anything is written."""

_IN_PLACE = (0, NEVER)

_PIXELS_WORTH_UNPACKING = 13
"""Unpacking a weight takes 1.3 instructions, and saves an eighth for each pixel."""


@dataclass(frozen=True, slots=True, eq=False)
class Constant:
    """An array in flash; ``values`` are int8, int32 or of dtype ``pack.PAIR``."""

    values: Array


Field = int | Constant | Mapping[str, Any] | tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """A call of a kernel.

    Attributes:
        kernel: its function, ``en_add_s8``.
        struct: type of its parameters.
        fields: of the struct, in order; mappings are structs inside it.
        inputs: values that it reads, in the order of its arguments.
        scratch: whether it takes scratch.
    """

    kernel: str
    struct: str
    fields: Mapping[str, Field]
    inputs: tuple[int, ...]
    scratch: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Lowered:
    """A layer as calls, and as what the planner places.

    Attributes:
        layer: of the graph.
        calls: one as a rule; none where no byte moves.
        work: for the planner.
        unpacked: bytes of scratch that let the DSP flavour unpack its weights once, beyond the
            work's; 0 where that is not worth while.
        macs: multiplications for one picture.
    """

    layer: Layer
    calls: tuple[Call, ...]
    work: Work
    macs: int
    unpacked: int = 0

    def unpacking(self) -> Lowered:
        """The same with that scratch."""
        (call,) = self.calls
        return replace(
            self,
            calls=(replace(call, fields={**call.fields, "unpack": 1}),),
            work=replace(self.work, scratch=self.work.scratch + self.unpacked),
            unpacked=0,
        )


def lower(layer: Layer, graph: Graph) -> Lowered:
    """The calls of a layer.

    Raises:
        GraphError: there is no kernel for what the layer does.
    """
    return _LOWER[type(layer)](layer, graph)


def _one(
    layer: Layer, call: Call, scratch: int, walks: Mapping[int, tuple[int, int]], macs: int
) -> Lowered:
    return Lowered(layer, (call,), Work(scratch, walks), macs)


def _range(out: Output) -> Field:
    return {"zero_point": out.zero_point, "low": out.low, "high": out.high}


def _dot(layer: Weighted) -> dict[str, Field]:
    packed = pack.dot(layer)
    channels, depth = layer.outputs, layer.weight.size // layer.outputs
    return {
        "weight": Constant(packed.weight),
        "pairs": Constant(packed.pairs),
        "depth": depth,
        "terms": pack.up_to_four(depth),
        "channels": channels,
        "range": _range(layer.out),
        "fast": int(packed.fast),
    }


def _fully_connected(layer: g.FullyConnected, graph: Graph) -> Lowered:
    pixels = graph.values[layer.inputs[0]].size // layer.weight.shape[1]
    return _pixels(layer, pixels)


def _conv(layer: g.Conv, graph: Graph) -> Lowered:
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
    lowered = _one(layer, call, 12 * terms, {layer.inputs[0]: (ahead, NEVER)}, macs)
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
    return _with_unpacked(_one(layer, call, scratch, {layer.inputs[0]: walk}, macs), layer, pixels)


def _with_unpacked(lowered: Lowered, layer: Weighted, pixels: int) -> Lowered:
    """With bytes for unpacked weights, where enough pixels share them."""
    if pixels < _PIXELS_WORTH_UNPACKING:
        return lowered
    channels = layer.outputs + layer.outputs % 2
    terms = pack.up_to_four(layer.weight.size // layer.outputs)
    return replace(lowered, unpacked=2 * terms * channels)


def _depthwise(layer: g.Depthwise, graph: Graph) -> Lowered:
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
    fast = packed.fast and kernel == (3, 3) and stride in (1, 2)
    fields: dict[str, Field] = {
        "weight": Constant(packed.weight),
        "pairs": Constant(packed.pairs),
        "range": _range(layer.out),
        "in_rows": shape[1],
        "in_columns": shape[2],
        "in_channels": shape[3],
        "in_zero_point": layer.input_zero_point,
        "out_rows": window["out_rows"],
        "out_columns": columns,
        "depth_multiplier": layer.depth_multiplier,
        **{name: window[name] for name in list(window)[2:]},
        "ring_columns": ring,
        "fast": int(fast),
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
    scratch = 2 * kernel[0] * shape[3] * ring
    return _one(layer, call, scratch, {layer.inputs[0]: (ahead, NEVER)}, macs)


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


def _pool(layer: g.Pool, graph: Graph) -> Lowered:
    shape = graph.values[layer.inputs[0]].shape
    rows, columns = (
        (size + before + after - extent) // stride + 1
        for size, before, after, extent, stride in (
            (shape[1], layer.padding.top, layer.padding.bottom, layer.window[0], layer.stride[0]),
            (shape[2], layer.padding.left, layer.padding.right, layer.window[1], layer.stride[1]),
        )
    )
    fields: dict[str, Field] = {
        "in_rows": shape[1],
        "in_columns": shape[2],
        "channels": shape[3],
        "out_rows": rows,
        "out_columns": columns,
        "window_rows": layer.window[0],
        "window_columns": layer.window[1],
        "row_stride": layer.stride[0],
        "column_stride": layer.stride[1],
        "pad_top": layer.padding.top,
        "pad_left": layer.padding.left,
        "low": layer.low,
        "high": layer.high,
        "offset": layer.offset,
    }
    call = Call(f"en_pool_{layer.kind}_s8", "en_pool", fields, layer.inputs)
    return _one(layer, call, 0, {}, 0)


def _mean(layer: g.Mean, graph: Graph) -> Lowered:
    shape = graph.values[layer.inputs[0]].shape
    fields: dict[str, Field] = {
        "pixels": layer.count,
        "channels": shape[3],
        "bias": -layer.count * layer.input_zero_point,
        "multiplier": int(layer.out.multiplier[0]),
        "right": int(pack.right_shift(layer.out)[0]),
        "range": _range(layer.out),
    }
    call = Call("en_mean_s8", "en_mean", fields, layer.inputs)
    return _one(layer, call, 0, {layer.inputs[0]: _IN_PLACE}, 0)


def _add(layer: g.Add, graph: Graph) -> Lowered:
    fields: dict[str, Field] = {
        "size": graph.values[layer.output].size,
        "left_shift": layer.left_shift,
        "zero_point": layer.zero_points,
        "multiplier": layer.multipliers,
        "right": (-layer.shifts[0], -layer.shifts[1]),
        "out_multiplier": int(layer.out.multiplier[0]),
        "out_right": int(pack.right_shift(layer.out)[0]),
        "range": _range(layer.out),
    }
    call = Call("en_add_s8", "en_add", fields, layer.inputs)
    return _one(layer, call, 0, dict.fromkeys(layer.inputs, _IN_PLACE), 0)


def _pad(layer: g.Pad, graph: Graph) -> Lowered:
    _, rows, columns, channels = graph.values[layer.inputs[0]].shape
    padding = layer.padding
    line = (columns + padding.left + padding.right) * channels
    fields: dict[str, Field] = {
        "rows": rows,
        "row_bytes": columns * channels,
        "top": padding.top * line,
        "left": padding.left * channels,
        "right": padding.right * channels,
        "bottom": padding.bottom * line,
        "code": layer.code,
    }
    call = Call("en_pad_s8", "en_pad", fields, layer.inputs)
    return _one(layer, call, 0, {}, 0)


def _concatenation(layer: g.Concatenation, graph: Graph) -> Lowered:
    result = graph.values[layer.output]
    blocks = math.prod(result.shape[: layer.axis])
    calls, offset = [], 0
    for value in layer.inputs:
        size = graph.values[value].size // blocks
        fields: dict[str, Field] = {
            "blocks": blocks, "block_bytes": size, "step": result.size // blocks, "offset": offset,
        }  # fmt: skip
        calls.append(Call("en_copy_s8", "en_copy", fields, (value,)))
        offset += size
    return Lowered(layer, tuple(calls), Work(), 0)


def _softmax(layer: g.Softmax, graph: Graph) -> Lowered:
    shape = graph.values[layer.inputs[0]].shape
    if shape[-1] > 4095:
        raise GraphError(f"operator {layer.name} has {shape[-1]} classes; 4095 are supported")
    fields: dict[str, Field] = {
        "exponentials": Constant(kernels.exponentials(layer).astype(np.int32)),
        "rows": math.prod(shape[:-1]),
        "depth": shape[-1],
    }
    call = Call("en_softmax_s8", "en_softmax", fields, layer.inputs)
    return _one(layer, call, 0, {layer.inputs[0]: _IN_PLACE}, 0)


def _table(layer: g.Rescale | g.Clamp, graph: Graph) -> Lowered:
    codes = np.arange(-128, 128).astype(np.int8)[np.newaxis]
    fields: dict[str, Field] = {
        "codes": Constant(kernels.run(layer, [codes], (256,))[0]),
        "size": graph.values[layer.inputs[0]].size,
    }
    call = Call("en_table_s8", "en_table", fields, layer.inputs)
    return _one(layer, call, 0, {layer.inputs[0]: _IN_PLACE}, 0)


def _reshape(layer: g.Reshape, graph: Graph) -> Lowered:
    size = graph.values[layer.output].size
    fields: dict[str, Field] = {"blocks": 1, "block_bytes": size, "step": size, "offset": 0}
    return _one(layer, Call("en_copy_s8", "en_copy", fields, layer.inputs), 0, {}, 0)


_LOWER: dict[type[Layer], Callable[[Any, Graph], Lowered]] = {
    g.Conv: _conv,
    g.Depthwise: _depthwise,
    g.FullyConnected: _fully_connected,
    g.Pool: _pool,
    g.Mean: _mean,
    g.Add: _add,
    g.Pad: _pad,
    g.Reshape: _reshape,
    g.Concatenation: _concatenation,
    g.Softmax: _softmax,
    g.Rescale: _table,
    g.Clamp: _table,
}
