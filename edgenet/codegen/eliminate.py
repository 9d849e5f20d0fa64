"""Lossless channel elimination: a .tflite to a smaller one with the same outputs, bit for bit.

Channels go that are provably constant or that nothing reads (``channels``, ``intervals``): from the
weights that make them, and from those that read them, whose biases take over what a constant
channel adds.  Every sum of the smaller model is the sum that the larger one has, and what is taken
for constant is so on every engine, whatever its rounding; so are the outputs equal on all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgenet import int8, tflite
from edgenet.codegen.channels import needed
from edgenet.codegen.intervals import Rounding, intervals
from edgenet.codegen.shrink import Shrinker
from edgenet.int8.graph import Graph, Weighted


@dataclass(frozen=True, slots=True)
class LayerSaving:
    """What elimination did to one layer with weights.

    Attributes:
        name: operator and its number.
        channels: of the output before.
        channels_left: after.
        macs: multiplications for one picture before.
        macs_left: after.
    """

    name: str
    channels: int
    channels_left: int
    macs: int
    macs_left: int


@dataclass(frozen=True, slots=True)
class Report:
    """What elimination saved.

    Attributes:
        layers: those with weights, in the order of execution.
        bytes: size of the file before.
        bytes_left: after.
    """

    layers: tuple[LayerSaving, ...]
    bytes: int
    bytes_left: int

    @property
    def channels(self) -> int:
        return sum(layer.channels for layer in self.layers)

    @property
    def channels_left(self) -> int:
        return sum(layer.channels_left for layer in self.layers)

    @property
    def macs(self) -> int:
        return sum(layer.macs for layer in self.layers)

    @property
    def macs_left(self) -> int:
        return sum(layer.macs_left for layer in self.layers)


def eliminate(
    data: bytes, name: str = "the model", *, rounding: Rounding = "any"
) -> tuple[bytes, Report]:
    """A smaller model with the same outputs, and what it saves.

    Inputs, outputs, names, signatures, metadata and associated files stay.  Where nothing can go,
    the bytes are those given.

    Args:
        data: an int8 or uint8 .tflite.
        name: what to call it in sentences.
        rounding: of the engine that the outputs stay the same on.  A channel can be constant on one
            and take two codes on another: where its weights are zero and its bias lies between two
            codes.  With ``any`` it stays.

    Raises:
        GraphError: the bytes are no .tflite, or hold what has no integer form here.
        MissingPackage: flatbuffers is not installed.
    """
    model = tflite.read(data, name)
    graph = int8.build(model)
    found = intervals(graph, rounding)
    kept = needed(graph, found)
    if all(mask.all() for mask in kept.values()):
        return data, _report(graph, graph, data, data)
    smaller = Shrinker(model, graph, found, kept).model()
    written = tflite.write(smaller, tflite.associated_files(data, name))
    return written, _report(graph, int8.build(smaller), data, written)


def untouched(data: bytes, name: str = "the model") -> Report:
    """The report on a model whose channels all stay.

    Raises:
        GraphError: as ``eliminate``.
    """
    graph = int8.build(tflite.read(data, name))
    return _report(graph, graph, data, data)


def _report(before: Graph, after: Graph, data: bytes, written: bytes) -> Report:
    layers = []
    for old, new in zip(before.layers, after.layers, strict=True):
        if isinstance(old, Weighted) and isinstance(new, Weighted):
            layers.append(
                LayerSaving(
                    name=old.name,
                    channels=old.outputs,
                    channels_left=new.outputs,
                    macs=old.macs(before.values[old.output]),
                    macs_left=new.macs(after.values[new.output]),
                )
            )
    return Report(tuple(layers), len(data), len(written))
