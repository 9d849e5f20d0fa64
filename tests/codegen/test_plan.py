"""The plan of whole networks, run byte by byte."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import random_network

from edgenet import int8, tflite
from edgenet.codegen.passes import simplify
from edgenet.codegen.plan import Part, Plan, Work, plan
from edgenet.int8.graph import Graph
from edgenet.report import arena as report

pytest.importorskip("flatbuffers")


class Stream:
    """What a kernel has written, and what of its input it needs no longer, after each step."""

    def __init__(self, rng: np.random.Generator, source: int, result: int) -> None:
        steps = int(rng.integers(1, 6))
        self.written = np.sort(rng.integers(0, result + 1, steps))
        self.released = np.sort(rng.integers(0, source + 1, steps))
        self.written[-1], self.released[-1] = result, source

    @property
    def distance(self) -> int:
        """A write may touch what this step has released, and nothing later."""
        return int((self.written - self.released).max())


def drawn(seed: int) -> tuple[Graph, list[Work], dict[int, tuple[Stream, Stream]]]:
    rng = np.random.default_rng(seed)
    network, y = random_network(rng)
    graph = simplify(int8.build(tflite.read(network.file(y), "network")))
    works, streams = [], {}
    for number, layer in enumerate(graph.layers):
        walks = {}
        if rng.random() < 0.8:
            index = layer.inputs[0]
            sizes = graph.values[index].size, graph.values[layer.output].size
            streams[number] = Stream(rng, *sizes), Stream(rng, *sizes)
            walks = {index: (streams[number][0].distance, streams[number][1].distance)}
        slots = int(rng.integers(1, 4))
        parts = [] if rng.random() < 0.5 else _parts(rng, slots, graph.values[layer.inputs[0]].size)
        works.append(Work(int(rng.integers(0, 200)), walks, slots, tuple(parts)))
    return graph, works, streams


def _parts(rng: np.random.Generator, slots: int, source: int) -> list[Part]:
    """Bytes for some slots; each may lie over so much of the input as has been read by then."""
    parts = []
    for number in range(int(rng.integers(1, 5))):
        first, last = np.sort(rng.integers(0, slots, 2)).tolist()
        size, free = int(rng.integers(1, 90)), source * first // slots
        parts.append(Part(f"part {number}", size, first, last, size - free))
    return parts


def simulate(
    graph: Graph, found: Plan, works: list[Work], streams: dict[int, tuple[Stream, Stream]]
) -> None:
    """Every byte carries the name of what was written there last; each is asked for in its time."""
    memory = np.full(found.size, -1)

    def region(index: int) -> np.ndarray:
        start = found.addresses[index]
        return memory[start : start + graph.values[index].size]

    for port in graph.inputs:
        region(port.value)[:] = port.value
    for number, (layer, step, work) in enumerate(
        zip(graph.layers, found.steps, works, strict=True)
    ):
        for index in layer.inputs:
            assert (region(index) == index).all()
        if work.scratch:
            start = found.scratch[layer.name]
            memory[start : start + work.scratch] = -2
        size = len(region(layer.output))
        _parts_kept(memory, region(layer.inputs[0]), found, layer, work, size)
        if work.parts:  # which lie over what has been read, as if the layer were done with it
            region(layer.inputs[0])[:] = layer.inputs[0]
        _run(region, layer, step, streams.get(number))
        if work.scratch:
            assert (memory[start : start + work.scratch] == -2).all()
        assert (region(layer.output) == layer.output).all()
    for port in graph.outputs:
        assert (region(port.value) == port.value).all()


def _parts_kept(memory, source, found, layer, work, size) -> None:
    """In each slot, parts are as they were written, and what is not read yet of the input, too."""
    addresses = found.parts.get(layer.name, ())
    spans = [memory[at : at + p.size] for at, p in zip(addresses, work.parts, strict=True)]
    out = found.addresses[layer.output]
    for at, part in zip(addresses, work.parts, strict=True):
        assert at + part.size <= out or out + size <= at
    for slot in range(work.slots):
        for number, (part, span) in enumerate(zip(work.parts, spans, strict=True)):
            if part.first == slot:
                span[:] = -10 - number
        assert (source[len(source) * slot // work.slots :] == layer.inputs[0]).all()
        for number, (part, span) in enumerate(zip(work.parts, spans, strict=True)):
            if part.first <= slot <= part.last:
                assert (span == -10 - number).all()


def _run(region, layer, step, streams) -> None:
    source, result = region(layer.inputs[0]), region(layer.output)
    if not step.in_place:
        result[:] = layer.output
        for index in layer.inputs:
            assert (region(index) == index).all()
        return
    backward = step.direction == "backward"
    stream = streams[backward]
    for written, released in zip(stream.written, stream.released, strict=True):
        if backward:
            result[len(result) - written :] = layer.output
            left = source[: len(source) - released]
        else:
            result[:written] = layer.output
            left = source[released:]
        assert (left == layer.inputs[0]).all()
    for index in layer.inputs[1:]:
        assert (region(index) == index).all()


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_no_layer_writes_over_what_is_still_needed(seed):
    graph, works, streams = drawn(seed)
    simulate(graph, plan(graph, works), works, streams)


def test_some_layers_do_work_in_place_in_both_directions():
    steps = [step for seed in range(20) for step in plan(*drawn(seed)[:2]).steps]
    assert {step.direction for step in steps if step.in_place} == {"forward", "backward"}


def test_the_memory_map_names_every_byte_in_use():
    graph, works, _ = drawn(3)
    found = plan(graph, works)
    for step, layer, work in zip(found.steps, graph.layers, works, strict=True):
        names = {region.value for region in step.regions}
        assert {*layer.inputs, layer.output} <= names
        assert (None in names) == bool(work.scratch or work.parts)
        assert all(one.address <= other.address for one, other in pairwise(step.regions))
        assert max(region.end for region in step.regions) <= found.size
        assert report.used(step) <= found.size
    lines = report.memory_map(found).splitlines()
    assert lines[0] == f"arena: {found.size:,} bytes"
    assert len(lines) == 2 + len(graph.layers)
    for layer in graph.layers:
        assert any(line.startswith(layer.name) for line in lines)
