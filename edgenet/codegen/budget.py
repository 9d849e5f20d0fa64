"""Which layers run row by row, so that a program fits into so many bytes of SRAM.

Layers that follow one another are cut into chains of up to nine; a layer alone is as it was.  Of
the cuts whose chains all fit, the one with the least overhead is taken (dynamic programming over
the layers), and the arena is planned for it.  Neighbours may want the value between them at
addresses that exclude each other; where that makes the plan too large, a chain is given up, the
largest that there is another cut without, and so on until the plan fits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache

from edgenet.codegen import rows
from edgenet.codegen.call import Lowered
from edgenet.codegen.plan import Plan, plan
from edgenet.codegen.rows import Rows
from edgenet.errors import LimitExceeded, UsageError
from edgenet.int8.graph import Graph, Port

_TRIES = 12
"""Cuts that are planned before a budget counts as too small."""

Span = tuple[int, int]
"""Layers from the first number up to the second, which is not among them."""


def outline(graph: Graph, layers: Sequence[Lowered]) -> Graph:
    """The graph as the arena sees it: chains are single layers, what lies inside them is gone."""
    made = tuple(layer.layer for layer in layers)
    kept = {port.value for port in (*graph.inputs, *graph.outputs)}
    kept |= {index for layer in made for index in (*layer.inputs, layer.output)}
    values = {index: value for index, value in graph.values.items() if index in kept}
    return replace(graph, values=values, layers=made)


def planned(graph: Graph, layers: Sequence[Lowered], *, enough: int = 0) -> Plan:
    """The plan of layers, some of which may be chains; ``enough`` as in ``arena.place``."""
    return plan(outline(graph, layers), [layer.work for layer in layers], enough=enough)


def fit(graph: Graph, layers: Sequence[Lowered], budget: int) -> tuple[list[Lowered], Plan]:
    """Layers and chains whose plan fits the budget, with as little overhead as can be found.

    Args:
        graph: of ``codegen.read``.
        layers: its layers, one by one.
        budget: bytes of SRAM.

    Raises:
        UsageError: the budget is no positive number.
        LimitExceeded: no cut fits; the sentence states the least.
    """
    if budget <= 0:
        raise UsageError(f"an SRAM budget of {budget} bytes cannot be; give a positive number")
    whole = planned(graph, layers)
    if whole.size <= budget:
        return list(layers), whole
    cuts = _Cuts(graph, layers)
    found = _within(cuts, budget)
    least = whole.size
    # each plan that is found sets the next budget: what ends this way does not depend on the first
    while found is None and (smaller := _within(cuts, least - 1)) is not None:
        least = planned(graph, smaller).size
        found = smaller if least <= budget else None
    if found is None:
        raise LimitExceeded(
            f"{graph.name} needs {least:,} bytes of SRAM at the least, with layers fused row by"
            f" row, and the budget is {budget:,}; allow as many, or choose a smaller input or a"
            " narrower network"
        )
    return found, planned(graph, found)


def _within(cuts: _Cuts, budget: int) -> list[Lowered] | None:
    """Layers and chains whose plan fits; None if none is found."""
    for chosen in _candidates(cuts, budget):
        if planned(cuts.graph, chosen, enough=budget).size <= budget:
            return chosen
    return None


def _candidates(cuts: _Cuts, budget: int) -> Iterator[list[Lowered]]:
    yield from _without_the_largest(cuts, budget)
    # if none fits, the cut whose largest chain is the smallest tells what would
    yield from _without_the_largest(cuts, cuts.least())


def _without_the_largest(cuts: _Cuts, bound: int) -> Iterator[list[Lowered]]:
    """The cheapest cut, then the cheapest without its largest chain, and so on."""
    banned: frozenset[Span] = frozenset()
    spans = cuts.cheapest(bound, banned)
    for _ in range(_TRIES):
        if spans is None:
            return
        yield [cuts.chain(*span) for span in spans]
        others = (
            (banned | {span}, cuts.cheapest(bound, banned | {span}))
            for span in sorted(spans, key=lambda span: -cuts.need(*span))
        )
        banned, spans = next((found for found in others if found[1]), (banned, None))


class _Cuts:
    """The ways to cut a graph's layers into chains.

    Args:
        graph: of the layers.
        layers: one by one.
    """

    def __init__(self, graph: Graph, layers: Sequence[Lowered]) -> None:
        self.graph = graph
        self._layers = layers
        found = {n: rows.stage(layer, graph) for n, layer in enumerate(graph.layers)}
        self._stages = {number: stage for number, stage in found.items() if stage is not None}
        numbers = range(1, len(layers))
        self._follows = [False, *(rows.follows(self._stages, n, graph) for n in numbers)]
        self.chain = cache(self._chain)
        self.need = cache(self._need)

    def cheapest(self, bound: int, banned: frozenset[Span]) -> list[Span] | None:
        """The cut with the least overhead of those whose chains need no more than ``bound``."""
        best: list[tuple[int, int] | None] = [(0, 0)]  # overhead, less the last start
        for end in range(1, len(self._layers) + 1):
            found = [
                (before[0] + self._overhead(start, end), -start)
                for start in self._starts(end)
                if (before := best[start]) is not None
                and (start, end) not in banned
                and self._useful(start, end, bound)
                and self.need(start, end) <= bound
            ]
            best.append(min(found, default=None))
        if best[-1] is None:
            return None
        spans, end = [], len(self._layers)
        while end:
            start = -best[end][1]  # type: ignore[index]  # what a way leads through is there
            spans.append((start, end))
            end = start
        return spans[::-1]

    def least(self) -> int:
        """Bytes of the largest chain, in the cut where that is the smallest."""
        best = [0]
        for end in range(1, len(self._layers) + 1):
            best.append(min(max(best[s], self.need(s, end)) for s in self._starts(end)))
        return best[-1]

    def _starts(self, end: int) -> list[int]:
        """Where chains before ``end`` may start, the shortest first."""
        starts = [end - 1]
        while len(starts) < rows.MOST and starts[-1] and self._follows[starts[-1]]:
            starts.append(starts[-1] - 1)
        return starts

    def _useful(self, start: int, end: int, bound: int) -> bool:
        """Whether a chain has a layer that does not fit by itself; one alone always is."""
        alone = range(start, end)
        return end - start == 1 or any(self.need(n, n + 1) > bound for n in alone)

    def _overhead(self, start: int, end: int) -> int:
        chain = self.chain(start, end)
        return chain.overhead if isinstance(chain, Rows) else 0

    def _chain(self, start: int, end: int) -> Lowered:
        if end - start == 1:
            return self._layers[start]
        return rows.chain([self._stages[number] for number in range(start, end)])

    def _need(self, start: int, end: int) -> int:
        """Bytes that are in use while a chain runs, with values that wait for later layers."""
        chain = self.chain(start, end)
        mine = {*chain.layer.inputs, chain.layer.output}
        made = {port.value for port in self.graph.inputs}
        made |= {layer.output for layer in self.graph.layers[:start]}
        later = {port.value for port in self.graph.outputs}
        later |= {index for layer in self.graph.layers[end:] for index in layer.inputs}
        values = self.graph.values
        alone = Graph(
            name=self.graph.name,
            values={index: values[index] for index in mine},
            layers=(chain.layer,),
            inputs=_ports(set(chain.layer.inputs)),
            outputs=_ports({chain.layer.output, *(later & mine)}),
        )
        waiting = sum(values[index].size for index in (made & later) - mine)
        return plan(alone, [chain.work], patience=20).size + waiting


def _ports(values: set[int]) -> tuple[Port, ...]:
    return tuple(Port(0, "", "int8", value) for value in sorted(values))
