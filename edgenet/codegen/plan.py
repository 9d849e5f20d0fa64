"""The memory plan of a graph: where every value and every layer's scratch lie in one static arena.

Inputs and outputs of the network are in the arena as well; parameters are not, they stay in flash.
A layer's output may lie over the input that is read for the last time there, where its kernel
allows it (``Work``); scratch lies in whatever is free while its layer runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Literal

from edgenet.codegen.arena import Buffer, InPlace, Placement, place
from edgenet.int8.graph import Graph, Layer

Direction = Literal["forward", "backward"]


NEVER = 2**40
"""A distance that no arena has: the kernel does not walk that way."""


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes that are a layer's own for a part of the time it runs.

    Attributes:
        name: what for, in a memory map.
        size: in bytes.
        first: the first of the layer's slots in which it is in use.
        last: the last of them.
        before: it starts at least so many bytes before the layer's first input, or apart from it.
    """

    name: str
    size: int
    first: int
    last: int
    before: int


@dataclass(frozen=True, slots=True)
class Work:
    """What a layer asks of the arena.

    Attributes:
        scratch: bytes that are its own for the time it runs.
        walks: by input that may lie under the output, two distances: walking forwards, the output
            starts at least so many bytes before the input; walking backwards, it ends at least so
            many bytes after it.
        slots: into which the time it runs is divided, of use to ``parts`` alone.
        parts: more bytes of its own.
    """

    scratch: int = 0
    walks: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    slots: int = 1
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Region:
    """Bytes of the arena that are in use.

    Attributes:
        name: of the value's tensor, ``scratch``, or a part's.
        value: index of the value, None for what is a layer's own.
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
        parts: addresses of each layer's parts, by the layer's name; of those that have any.
        steps: the memory map, a step for each layer.
    """

    size: int
    addresses: Mapping[int, int]
    scratch: Mapping[str, int]
    parts: Mapping[str, tuple[int, ...]]
    steps: tuple[Step, ...]


def plan(
    graph: Graph,
    works: Sequence[Work],
    *,
    alignment: int = 16,
    patience: int = 400,
    enough: int = 0,
) -> Plan:
    """The plan of a graph.

    Values of the network's inputs are in use from the start, those of its outputs to the end.

    Args:
        graph: of ``codegen.read``.
        works: what each layer asks for.
        alignment: of every address, in bytes.
        patience: tries without success after which the search for a smaller arena ends.
        enough: bytes at which it ends, too.
    """
    planner = _Planner(graph, works)
    found = place(
        planner.buffers, planner.pairs, alignment=alignment, patience=patience, enough=enough
    )
    return planner.plan(found)


def _value(index: int) -> str:
    return f"value {index}"


def _own(number: int) -> str:
    return f"scratch {number}"


def _part(number: int, part: int) -> str:
    return f"part {number} {part}"


class _Planner:
    """Values, scratch and parts as buffers; layers as spans of time."""

    def __init__(self, graph: Graph, works: Sequence[Work]) -> None:
        self._graph = graph
        self._works = works
        ends = list(accumulate(work.slots for work in works))
        self._spans = [(end - work.slots, end - 1) for end, work in zip(ends, works, strict=True)]
        self._buffers = self._values(ends[-1] if ends else 0)
        self._names = {_value(index): value.name for index, value in graph.values.items()}
        for number, work in enumerate(works):
            self._add_own(number, work)
        self._walks = self._pairs()

    @property
    def buffers(self) -> list[Buffer]:
        return list(self._buffers.values())

    @property
    def pairs(self) -> list[InPlace]:
        return [*self._walks.values(), *self._part_pairs()]

    def plan(self, found: Placement) -> Plan:
        layers = list(enumerate(self._graph.layers))
        return Plan(
            size=found.size,
            addresses={index: found.addresses[_value(index)] for index in self._graph.values},
            scratch={
                layer.name: found.addresses[_own(number)]
                for number, layer in layers
                if _own(number) in self._buffers
            },
            parts={
                layer.name: tuple(
                    found.addresses[_part(number, part)]
                    for part in range(len(self._works[number].parts))
                )
                for number, layer in layers
                if self._works[number].parts
            },
            steps=tuple(self._step(number, layer, found) for number, layer in layers),
        )

    def _values(self, end: int) -> dict[str, Buffer]:
        graph = self._graph
        first = {port.value: -1 for port in graph.inputs}
        last = dict.fromkeys(graph.values, -1)
        for layer, span in zip(graph.layers, self._spans, strict=True):
            first[layer.output] = span[0]
            for index in (*layer.inputs, layer.output):
                last[index] = span[1]
        for port in graph.outputs:
            last[port.value] = end
        return {
            _value(index): Buffer(_value(index), value.size, first[index], last[index])
            for index, value in graph.values.items()
        }

    def _add_own(self, number: int, work: Work) -> None:
        start, end = self._spans[number]
        if work.scratch:
            self._buffers[_own(number)] = Buffer(_own(number), work.scratch, start, end)
            self._names[_own(number)] = "scratch"
        for index, part in enumerate(work.parts):
            name = _part(number, index)
            self._buffers[name] = Buffer(name, part.size, start + part.first, start + part.last)
            self._names[name] = part.name

    def _pairs(self) -> dict[int, InPlace]:
        """The pair of each layer that may work in place, by the layer's number.

        A walk has one direction, so of two inputs only one may lie under the output.
        """
        pairs = {}
        for number, (layer, need) in enumerate(zip(self._graph.layers, self._works, strict=True)):
            for index, (forward, backward) in need.walks.items():
                if self._buffers[_value(index)].last == self._spans[number][1]:
                    pairs[number] = InPlace(
                        source=_value(index),
                        result=_value(layer.output),
                        forward=forward,
                        backward=backward,
                    )
                    break
        return pairs

    def _part_pairs(self) -> Iterator[InPlace]:
        """Parts may lie over what their layer has read of an input that nothing reads later."""
        for number, pair in self._walks.items():
            for index, part in enumerate(self._works[number].parts):
                yield InPlace(pair.source, _part(number, index), part.before, NEVER)

    def _step(self, number: int, layer: Layer, found: Placement) -> Step:
        start, end = self._spans[number]
        regions = [
            self._region(name, buffer, found)
            for name, buffer in self._buffers.items()
            if buffer.first <= end and buffer.last >= start
        ]
        pair = self._walks.get(number)
        forward, in_place = True, False
        if pair is not None:
            source, result = found.addresses[pair.source], found.addresses[pair.result]
            ends = (
                source + self._buffers[pair.source].size,
                result + self._buffers[pair.result].size,
            )
            in_place = source < ends[1] and result < ends[0]
            forward = not in_place or source - result >= pair.forward
        return Step(
            layer=layer.name,
            direction="forward" if forward else "backward",
            in_place=in_place,
            regions=tuple(sorted(regions, key=lambda region: (region.address, region.end))),
        )

    def _region(self, name: str, buffer: Buffer, found: Placement) -> Region:
        kind, _, number = name.partition(" ")
        value = int(number) if kind == "value" else None
        return Region(self._names[name], value, found.addresses[name], buffer.size)
