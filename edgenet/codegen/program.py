"""A model as a program: layers as calls of kernels, every byte of memory planned."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgenet.codegen import names
from edgenet.codegen.budget import fit, planned
from edgenet.codegen.call import Call, Constant, Lowered
from edgenet.codegen.calls import lower
from edgenet.codegen.eliminate import Report
from edgenet.codegen.graph import read
from edgenet.codegen.plan import Plan, Step
from edgenet.codegen.rows import Rows
from edgenet.errors import UsageError
from edgenet.int8.graph import Array, Graph, Layer, Port
from edgenet.runtime.reference import ReferenceSession

STACK = 1024
"""Bytes of stack that no path through a program takes more of; tests add up the frames."""
PICTURES = 2
"""That the selftest replays."""


@dataclass(frozen=True, slots=True, eq=False)
class Golden:
    """Inputs with what the model makes of them.

    Attributes:
        inputs: for each input int8 (pictures, size).
        outputs: for each output int8 (pictures, size).
        crcs: uint32 (pictures, layers), zlib's CRC-32 of each layer's output.
    """

    inputs: tuple[Array, ...]
    outputs: tuple[Array, ...]
    crcs: Array

    @property
    def pictures(self) -> int:
        return len(self.crcs)


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """What is written as C.

    Attributes:
        name: prefix of every identifier and file.
        digest: sha256 of the .tflite, the first 16 digits.
        graph: what is left of the model.
        layers: of the graph, or chains of them (``rows.Rows``).
        plan: of the arena.
        elimination: what lossless channel elimination saved.
    """

    name: str
    digest: str
    graph: Graph
    layers: tuple[Lowered, ...]
    plan: Plan
    elimination: Report

    @property
    def macs(self) -> int:
        """Multiplications for one picture."""
        return sum(layer.macs for layer in self.layers)

    @property
    def constant_bytes(self) -> int:
        """Bytes of weights, biases, multipliers and tables, in the flavour that has most."""
        calls = [call for layer in self.layers for call in layer.calls]
        return max(_bytes(calls), _bytes([call.mve or call for call in calls]))

    @property
    def kernels(self) -> tuple[str, ...]:
        """Functions that are called, in order of name."""
        calls = [call for layer in self.layers for call in layer.calls]
        found = {one.kernel for call in calls for one in call.flavours}
        if any(isinstance(layer, Rows) for layer in self.layers):
            found.add("en_rows_s8")
        return tuple(sorted(found))

    def golden(self, pictures: int = PICTURES) -> Golden:
        """Noise over all codes, the same every time, with what the reference makes of it."""
        rng = np.random.default_rng(0)
        codes = {
            port.value: rng.integers(
                -128, 128, (pictures, *self.graph.values[port.value].shape)
            ).astype(np.int8)
            for port in self.graph.inputs
        }
        return golden(self.graph, [layer.layer for layer in self.layers], codes)


def golden(graph: Graph, layers: Sequence[Layer], codes: dict[int, Array]) -> Golden:
    """What the reference makes of codes (pictures, *shape) of each input value.

    Args:
        graph: to run.
        layers: whose outputs have a CRC; what lies inside a chain has none.
        codes: by value.
    """
    values = ReferenceSession(graph).values(codes)
    pictures = len(next(iter(codes.values())))

    def flat(port: Port) -> Array:
        return np.ascontiguousarray(values[port.value].reshape(pictures, -1))

    crcs = [
        [zlib.crc32(values[layer.output][picture].tobytes()) for layer in layers]
        for picture in range(pictures)
    ]
    return Golden(
        inputs=tuple(map(flat, graph.inputs)),
        outputs=tuple(map(flat, graph.outputs)),
        crcs=np.array(crcs, np.uint32).reshape(pictures, len(layers)),
    )


def program(
    data: bytes, name: str, *, elimination: bool = True, sram_budget: int | None = None
) -> Program:
    """The program of a .tflite.

    Args:
        data: an int8 or uint8 model.
        name: prefix of all that is generated: an identifier in small letters, no header's name.
        elimination: whether dead channels go; the outputs are the same either way.
        sram_budget: bytes that the arena may have: layers run row by row until it fits, and what
            is left makes layers faster; None for the least that whole layers need.

    Raises:
        UsageError: the name is taken or no such identifier, or the budget no positive number.
        GraphError: the file is damaged, or holds what there is no kernel for.
        LimitExceeded: nothing fits the budget; the sentence states the least that does.
    """
    if why := names.refusal(name):
        raise UsageError(f"{name!r} cannot be the name of a program in C: {why}")
    graph, report = read(data, name, elimination=elimination)
    single: list[Lowered] = [lower(layer, graph) for layer in graph.layers]
    if sram_budget is None:
        least = planned(graph, single)
        layers, found = _roomier(graph, single, least, least.size)
    else:
        layers, found = _roomier(graph, *fit(graph, single, sram_budget), sram_budget)
    return Program(
        name=name,
        digest=hashlib.sha256(data).hexdigest()[:16],
        graph=graph,
        layers=tuple(layers),
        plan=found,
        elimination=report,
    )


def _roomier(
    graph: Graph, layers: list[Lowered], least: Plan, room: int
) -> tuple[list[Lowered], Plan]:
    """Layers with more scratch where the arena has room for it, and their plan.

    Args:
        graph: of the layers.
        layers: and chains.
        least: their plan as they are.
        room: bytes that the arena may have.
    """
    chosen = [
        number
        for number, (layer, step) in enumerate(zip(layers, least.steps, strict=True))
        if layer.more and layer.more <= room - _used(step)
    ]
    while chosen:
        tried = [layer.with_more() if i in chosen else layer for i, layer in enumerate(layers)]
        found = planned(graph, tried)
        if found.size <= room:
            return tried, found
        # what asks for most stands in the way most
        tightest = max(chosen, key=lambda i: _used(least.steps[i]) + layers[i].more)
        chosen.remove(tightest)
    return layers, least


def _used(step: Step) -> int:
    """Bytes of the arena that a layer's values and scratch cover."""
    covered, end = 0, 0
    for region in step.regions:
        covered += max(0, region.end - max(region.address, end))
        end = max(end, region.end)
    return covered


def _bytes(calls: list[Call]) -> int:
    return sum(found.values.nbytes for call in calls for found in constants(call.fields))


def constants(fields: object) -> list[Constant]:
    """Arrays among the fields of a struct, in order."""
    if isinstance(fields, Constant):
        return [fields]
    if isinstance(fields, dict):
        return [found for field in fields.values() for found in constants(field)]
    return []
