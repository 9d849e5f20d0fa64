"""Passes over the int8 graph: fewer layers, the same codes in every value that is left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from edgenet.int8 import graph as g
from edgenet.int8.graph import LEAST, MOST, Graph, Layer, Padding

Pass = Callable[[Graph], Graph]


def simplify(graph: Graph) -> Graph:
    """Apply every pass until none finds anything more."""
    while True:
        changed = graph
        for step in PASSES:
            changed = step(changed)
        if len(changed.layers) == len(graph.layers) and changed is graph:
            return graph
        graph = changed


def drop_unread(graph: Graph) -> Graph:
    """Layers whose output nothing reads."""
    readers = _readers(graph)
    return _with_layers(graph, [layer for layer in graph.layers if readers[layer.output]])


def drop_identities(graph: Graph) -> Graph:
    """RELU6 and QUANTIZE that change no code, and CONCATENATION of one value."""
    for layer in graph.layers:
        if _is_identity(layer, graph) and (merged := _merge(graph, layer)):
            return merged
    return graph


def fold_pads(graph: Graph) -> Graph:
    """PAD into the padding of the convolutions that read it.

    What is padded is the zero point, which a convolution pads with as well.
    """
    for layer in graph.layers:
        readers = [other for other in graph.layers if layer.output in other.inputs]
        if isinstance(layer, g.Pad) and not _is_output(graph, layer.output):
            foldable = [
                reader
                for reader in readers
                if isinstance(reader, g.Conv | g.Depthwise)
                and reader.input_zero_point == layer.code
            ]
            if readers and len(foldable) == len(readers):
                changed = {id(reader): _padded(reader, layer) for reader in foldable}
                layers = [
                    changed.get(id(other), other) for other in graph.layers if other is not layer
                ]
                return _with_layers(graph, layers)
    return graph


def fold_transposes(graph: Graph) -> Graph:
    """TRANSPOSE before MEAN into the axes of MEAN; one that only moves axes of size 1 into nothing.

    MEAN's output keeps the order of its axes, so a transpose that would change it stays.
    """
    for layer in graph.layers:
        if isinstance(layer, g.Transpose):
            readers = [other for other in graph.layers if layer.output in other.inputs]
            means = [x for x in readers if isinstance(x, g.Mean) and _folds(layer, x)]
            if means:
                changed = {id(mean): _turned(mean, layer) for mean in means}
                return _with_layers(graph, [changed.get(id(x), x) for x in graph.layers])
            if _moves_nothing(layer, graph):
                reshape = g.Reshape(layer.name, layer.inputs, layer.output)
                return _with_layers(graph, [reshape if x is layer else x for x in graph.layers])
    return graph


def drop_reshapes(graph: Graph) -> Graph:
    """RESHAPE, where what gives its input can give it so, or readers do not see the difference."""
    for layer in graph.layers:
        if isinstance(layer, g.Reshape) and (merged := _merge(graph, layer)):
            return merged
    return graph


PASSES: Sequence[Pass] = (
    drop_unread,
    drop_identities,
    fold_transposes,
    drop_reshapes,
    fold_pads,
)


def _merge(graph: Graph, layer: Layer) -> Graph | None:
    """Take out a layer that hands on codes as they are; None where something stands against it."""
    (source,), result = layer.inputs, layer.output
    giver = next((other for other in graph.layers if other.output == source), None)
    readers = [other for other in graph.layers if result in other.inputs]
    others = [layer_ for layer_ in graph.layers if layer_ is not layer]
    if giver is not None and _readers(graph)[source] == 1:
        changed: dict[int, Layer] = {id(giver): replace(giver, output=result)}
    elif not _is_output(graph, result) and all(
        _same_for(reader, layer, graph) for reader in readers
    ):
        changed = {id(reader): _reading(reader, result, source) for reader in readers}
    else:
        return None
    return _with_layers(graph, [changed.get(id(other), other) for other in others])


def _same_for(reader: Layer, layer: Layer, graph: Graph) -> bool:
    """Whether a reader does not see in which shape its input comes."""
    same_shape = graph.values[layer.inputs[0]].shape == graph.values[layer.output].shape
    return same_shape or isinstance(reader, g.FullyConnected | g.Rescale | g.Clamp | g.Reshape)


def _reading(reader: Layer, old: int, new: int) -> Layer:
    return replace(reader, inputs=tuple(new if index == old else index for index in reader.inputs))


def _is_identity(layer: Layer, graph: Graph) -> bool:
    if isinstance(layer, g.Clamp):
        return (layer.low, layer.high) == (LEAST, MOST)
    if isinstance(layer, g.Concatenation):
        return len(layer.inputs) == 1
    if not isinstance(layer, g.Rescale):
        return False
    one = layer.out.multiplier[0] == 2**30 and layer.out.shift[0] == 1
    same = layer.input_zero_point == layer.out.zero_point
    return bool(one and same and (layer.out.low, layer.out.high) == (LEAST, MOST))


def _padded(reader: g.Conv | g.Depthwise, pad: g.Pad) -> Layer:
    mine, theirs = reader.padding, pad.padding
    padding = Padding(
        mine.top + theirs.top,
        mine.bottom + theirs.bottom,
        mine.left + theirs.left,
        mine.right + theirs.right,
    )
    return replace(reader, inputs=pad.inputs, padding=padding)


def _moves_nothing(layer: g.Transpose, graph: Graph) -> bool:
    shape = graph.values[layer.inputs[0]].shape
    moved = [axis for axis in layer.permutation if shape[axis] > 1]
    return moved == sorted(moved)


def _folds(transpose: g.Transpose, mean: g.Mean) -> bool:
    kept = [axis for i, axis in enumerate(transpose.permutation) if i not in mean.axes]
    return kept == sorted(kept)


def _turned(mean: g.Mean, transpose: g.Transpose) -> Layer:
    axes = tuple(sorted(transpose.permutation[axis] for axis in mean.axes))
    return replace(mean, inputs=transpose.inputs, axes=axes)


def _readers(graph: Graph) -> Counter[int]:
    """How often each value is read, by layers and as an output of the graph."""
    read = Counter(index for layer in graph.layers for index in layer.inputs)
    read.update(port.value for port in graph.outputs)
    return read


def _is_output(graph: Graph, index: int) -> bool:
    return any(port.value == index for port in graph.outputs)


def _with_layers(graph: Graph, layers: Sequence[Layer]) -> Graph:
    """The graph with other layers; itself if they are the same."""
    if len(layers) == len(graph.layers) and all(
        new is old for new, old in zip(layers, graph.layers, strict=True)
    ):
        return graph
    used = {port.value for port in (*graph.inputs, *graph.outputs)}
    used |= {index for layer in layers for index in (*layer.inputs, layer.output)}
    values = {index: value for index, value in graph.values.items() if index in used}
    return replace(graph, layers=tuple(layers), values=values)
