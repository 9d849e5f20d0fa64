"""The memory plan of a graph: where every value and every layer's scratch lie in one static arena.

Inputs and outputs of the network are in the arena as well; parameters are not, they stay in flash.
A layer's output may lie over the input that is read for the last time there, where its kernel
allows it (``Work``); scratch lies in whatever is free while its layer runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from edgenet.codegen.arena import Buffer, InPlace, Placement, place
from edgenet.int8.graph import Graph, Layer

Direction = Literal["forward", "backward"]


NEVER = 2**40
"""A distance that no arena has: the kernel does not walk that way."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a layer asks of the arena.

    Attributes:
        scratch: bytes that are its own for the time it runs.
        walks: by input that may lie under the output, two distances: walking forwards, the output
            starts at least so many bytes before the input; walking backwards, it ends at least so
            many bytes after it.
    """

    scratch: int = 0
    walks: Mapping[int, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Region:
    """Bytes of the arena that are in use.

    Attributes:
        name: of the value's tensor, or ``scratch``.
        value: index of the value, None for scratch.
        address: from the arena's start.
        size: in bytes.
    """

    name: str
    value: int | None
    address: int
    size: int

    @property
    def end(self) -> int:
        return self.address + self.size


@dataclass(frozen=True, slots=True)
class Step:
    """One layer as it runs.

    Attributes:
        layer: its name.
        direction: how it walks over its input.
        in_place: whether its output lies over an input.
        regions: all that is in use, by address.
    """

    layer: str
    direction: Direction
    in_place: bool
    regions: tuple[Region, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Where everything lies.

    Attributes:
        size: bytes of the arena.
        addresses: of each value, by its index.
        scratch: address of each layer's scratch, by the layer's name; of those that need any.
        steps: the memory map, a step for each layer.
    """

    size: int
    addresses: Mapping[int, int]
    scratch: Mapping[str, int]
    steps: tuple[Step, ...]


def plan(graph: Graph, works: Sequence[Work], *, alignment: int = 16) -> Plan:
    """The plan of a graph.

    Values of the network's inputs are in use from the start, those of its outputs to the end.

    Args:
        graph: of ``codegen.read``.
        works: what each layer asks for.
        alignment: of every address, in bytes.
    """
    buffers = _values(graph) | _scratch(graph, works)
    pairs = _pairs(graph, works, buffers)
    found = place(list(buffers.values()), list(pairs.values()), alignment=alignment)
    steps = tuple(
        _step(number, layer, graph, buffers, found, pairs)
        for number, layer in enumerate(graph.layers)
    )
    return Plan(
        size=found.size,
        addresses={index: found.addresses[_value(index)] for index in graph.values},
        scratch={
            layer.name: found.addresses[_own(number)]
            for number, layer in enumerate(graph.layers)
            if _own(number) in buffers
        },
        steps=steps,
    )


def _value(index: int) -> str:
    return f"value {index}"


def _own(number: int) -> str:
    return f"scratch {number}"


def _values(graph: Graph) -> dict[str, Buffer]:
    first = {port.value: -1 for port in graph.inputs}
    last = dict.fromkeys(graph.values, -1)
    for number, layer in enumerate(graph.layers):
        first[layer.output] = number
        for index in (*layer.inputs, layer.output):
            last[index] = number
    for port in graph.outputs:
        last[port.value] = len(graph.layers)
    return {
        _value(index): Buffer(_value(index), value.size, first[index], last[index])
        for index, value in graph.values.items()
    }


def _scratch(graph: Graph, works: Sequence[Work]) -> dict[str, Buffer]:
    return {
        _own(number): Buffer(_own(number), need.scratch, number, number)
        for number, need in enumerate(works)
        if need.scratch
    }


def _pairs(
    graph: Graph, works: Sequence[Work], buffers: Mapping[str, Buffer]
) -> dict[int, InPlace]:
    """The pair of each layer that may work in place, by the layer's number.

    A walk has one direction, so of two inputs only one may lie under the output.
    """
    pairs = {}
    for number, (layer, need) in enumerate(zip(graph.layers, works, strict=True)):
        for index, (forward, backward) in need.walks.items():
            if buffers[_value(index)].last == number:
                pairs[number] = InPlace(
                    source=_value(index),
                    result=_value(layer.output),
                    forward=forward,
                    backward=backward,
                )
                break
    return pairs


def _step(
    number: int,
    layer: Layer,
    graph: Graph,
    buffers: Mapping[str, Buffer],
    found: Placement,
    pairs: Mapping[int, InPlace],
) -> Step:
    regions = [
        _region(name, graph, buffers[name], found)
        for name in buffers
        if buffers[name].first <= number <= buffers[name].last
    ]
    pair = pairs.get(number)
    forward, in_place = True, False
    if pair is not None:
        source, result = found.addresses[pair.source], found.addresses[pair.result]
        ends = source + buffers[pair.source].size, result + buffers[pair.result].size
        in_place = source < ends[1] and result < ends[0]
        forward = not in_place or source - result >= pair.forward
    return Step(
        layer=layer.name,
        direction="forward" if forward else "backward",
        in_place=in_place,
        regions=tuple(sorted(regions, key=lambda region: (region.address, region.end))),
    )


def _region(name: str, graph: Graph, buffer: Buffer, found: Placement) -> Region:
    kind, number = name.split()
    if kind == "scratch":
        return Region("scratch", None, found.addresses[name], buffer.size)
    value = graph.values[int(number)]
    return Region(value.name, value.index, found.addresses[name], buffer.size)
