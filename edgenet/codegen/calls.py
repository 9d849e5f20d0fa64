"""Each layer of the graph as calls of kernels in C: constants, parameters, and needs of memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from edgenet.codegen import mve, pack
from edgenet.codegen.call import Call, Constant, Field, Lowered, one, range_of
from edgenet.codegen.convolutions import conv, depthwise, fully_connected
from edgenet.codegen.plan import NEVER, Work
from edgenet.errors import GraphError
from edgenet.int8 import graph as g
from edgenet.int8 import kernels
from edgenet.int8.graph import Graph, Layer

_IN_PLACE = (0, NEVER)
_WORTH_TABLES = 2048
"""Additions from which on it takes less to compute what the 512 codes count for than each."""

_SUMS = 2**29
"""Bound of what is added: two codes less their zero points, 20 bits to the left, of which factors
of at most a half leave 2^28 each."""


def lower(layer: Layer, graph: Graph) -> Lowered:
    """The calls of a layer.

    Raises:
        GraphError: there is no kernel for what the layer does.
    """
    return _LOWER[type(layer)](layer, graph)


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
    return one(layer, call, 0, {}, 0)


def _mean(layer: g.Mean, graph: Graph) -> Lowered:
    shape = graph.values[layer.inputs[0]].shape
    fields: dict[str, Field] = {
        "pixels": layer.count,
        "channels": shape[3],
        "bias": -layer.count * layer.input_zero_point,
        "multiplier": int(layer.out.multiplier[0]),
        "right": int(pack.right_shift(layer.out)[0]),
        "range": range_of(layer.out),
    }
    call = Call("en_mean_s8", "en_mean", fields, layer.inputs)
    return mve.mean(one(layer, call, 0, {layer.inputs[0]: _IN_PLACE}, 0), layer)


def _add(layer: g.Add, graph: Graph) -> Lowered:
    fields: dict[str, Field] = {
        "size": graph.values[layer.output].size,
        "left_shift": layer.left_shift,
        "zero_point": layer.zero_points,
        "multiplier": layer.multipliers,
        "right": (-layer.shifts[0], -layer.shifts[1]),
        "out_multiplier": int(layer.out.multiplier[0]),
        "out_right": int(pack.right_shift(layer.out)[0]),
        "range": range_of(layer.out),
        "tables": int(graph.values[layer.output].size >= _WORTH_TABLES),
        "fast": pack.fast(layer.out, _SUMS),
    }
    scratch = 2 * 256 * 4 if fields["tables"] else 0
    call = Call("en_add_s8", "en_add", fields, layer.inputs, scratch=True)
    lowered = one(layer, call, scratch, dict.fromkeys(layer.inputs, _IN_PLACE), 0)
    return mve.add(lowered, layer)


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
    return one(layer, call, 0, {}, 0)


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
    return one(layer, call, 0, {layer.inputs[0]: _IN_PLACE}, 0)


def _table(layer: g.Rescale | g.Clamp, graph: Graph) -> Lowered:
    codes = np.arange(-128, 128).astype(np.int8)[np.newaxis]
    fields: dict[str, Field] = {
        "codes": Constant(kernels.run(layer, [codes], (256,))[0]),
        "size": graph.values[layer.inputs[0]].size,
    }
    call = Call("en_table_s8", "en_table", fields, layer.inputs)
    return one(layer, call, 0, {layer.inputs[0]: _IN_PLACE}, 0)


def _reshape(layer: g.Reshape, graph: Graph) -> Lowered:
    size = graph.values[layer.output].size
    fields: dict[str, Field] = {"blocks": 1, "block_bytes": size, "step": size, "offset": 0}
    return one(layer, Call("en_copy_s8", "en_copy", fields, layer.inputs), 0, {}, 0)


_LOWER: dict[type[Layer], Callable[[Any, Graph], Lowered]] = {
    g.Conv: conv,
    g.Depthwise: depthwise,
    g.FullyConnected: fully_connected,
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
