"""Places buffers in one arena, as small as can be found; inputs may lie under outputs.

A layer that reads forwards may write over what it has read: its output can start some bytes before
its input does.  Walking backwards the ends matter in the same way.  How many bytes is the layer's
business (``plan.Work``); here a pair of buffers has up to two numbers, and every other pair that
lives at one time must not touch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Buffer:
    """Bytes that are in use from one step to another, both included.

    Attributes:
        name: unique.
        size: in bytes.
        first: the step that writes it, -1 for what is there before the first.
        last: the last step that reads it.
    """

    name: str
    size: int
    first: int
    last: int

    def meets(self, other: Buffer) -> bool:
        """Whether there is a step at which both are in use."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True, slots=True)
class InPlace:
    """How an output may lie over the input that it is made of.

    Attributes:
        source: name of the input.
        result: name of the output.
        forward: walking forwards, the output starts at least so many bytes before the input.
        backward: walking backwards, the output ends at least so many bytes after the input.
    """

    source: str
    result: str
    forward: int
    backward: int


@dataclass(frozen=True, slots=True)
class Placement:
    """Where each buffer starts, by its name, and how large the arena is."""

    addresses: Mapping[str, int]
    size: int


def place(
    buffers: Sequence[Buffer],
    pairs: Sequence[InPlace] = (),
    *,
    alignment: int = 16,
    patience: int = 400,
    enough: int = 0,
) -> Placement:
    """The smallest arena that is found; the same arguments give the same one.

    Buffers are put one by one at the lowest address that is free for them.  That is done in several
    orders, and then in each of them changed a little, until the arena is as small as the step that
    needs most, or nothing better comes for long.

    Args:
        buffers: all of them.
        pairs: those that may overlap.
        alignment: addresses are multiples of it.
        patience: tries that find nothing smaller, after which the search ends.
        enough: bytes at which it ends, too.
    """
    solver = _Solver(buffers, pairs, alignment, enough)
    return solver.solve(patience)


def least(buffers: Sequence[Buffer], pairs: Sequence[InPlace] = ()) -> int:
    """Bytes that any placement needs, whatever the alignment."""
    sizes = {buffer.name: buffer.size for buffer in buffers}
    steps = {step for buffer in buffers for step in (buffer.first, buffer.last)}
    most = 0
    for step in steps:
        live = [buffer for buffer in buffers if buffer.first <= step <= buffer.last]
        names = {buffer.name for buffer in live}
        total = sum(buffer.size for buffer in live)
        saved: dict[str, int] = {}
        for pair in pairs:
            if {pair.source, pair.result} <= names:
                source, result = sizes[pair.source], sizes[pair.result]
                over = result - min(pair.forward, pair.backward)
                overlap = max(0, min(source, result, over))
                saved[pair.result] = max(saved.get(pair.result, 0), overlap)
        most = max(most, total - sum(saved.values()))
    return most


class _Solver:
    """Tries orders; buffers are numbers here."""

    def __init__(
        self, buffers: Sequence[Buffer], pairs: Sequence[InPlace], alignment: int, enough: int
    ) -> None:
        self._buffers = buffers
        self._alignment = alignment
        self._enough = max(least(buffers, pairs) + alignment - 1, enough)
        self._pairs = {(pair.source, pair.result): pair for pair in pairs}
        self._last = {buffer.name: buffer.last for buffer in buffers}
        count = len(buffers)
        self._meets = [
            [j for j in range(count) if j != i and buffers[i].meets(buffers[j])]
            for i in range(count)
        ]
        # of each buffer, those that it meets, with the addresses, less theirs, that it cannot have
        self._apart = [[(j, *self._taken(i, j)) for j in self._meets[i]] for i in range(count)]

    def solve(self, patience: int) -> Placement:
        numbers = range(len(self._buffers))
        keys = (self._by_size, self._by_time, self._by_end, self._by_distance)
        starts = {tuple(sorted(numbers, key=key)): None for key in keys}
        found = sorted((self._fill(order), order) for order in starts)
        best = found[0][0]
        for filled, order in found:
            if best[0] > self._enough:
                best = min(best, self._improve(list(order), filled, patience))
        names = [buffer.name for buffer in self._buffers]
        return Placement(dict(zip(names, best[1], strict=True)), best[0])

    def _by_size(self, number: int) -> tuple[int, int]:
        return -self._buffers[number].size, number

    def _by_time(self, number: int) -> tuple[int, int]:
        return self._buffers[number].first, number

    def _by_end(self, number: int) -> tuple[int, int]:
        return -self._buffers[number].last, number

    def _by_distance(self, number: int) -> tuple[int, int]:
        """What starts furthest before its source first, then the source, then what outlives it."""
        buffer = self._buffers[number]
        pairs = [pair for pair in self._pairs.values() if pair.result == buffer.name]
        if not pairs:
            return 0, number
        outlives = buffer.last > max(self._last[pair.source] for pair in pairs)
        return 1 if outlives else -max(pairs[0].forward, 1), number

    def _improve(
        self, order: list[int], best: tuple[int, list[int]], tries: int
    ) -> tuple[int, list[int]]:
        rng = np.random.default_rng(0)
        patience = tries
        while patience and best[0] > self._enough and len(order) > 1:
            changed = list(order)
            top = self._at_the_top(best)
            taken = order.index(top[int(rng.integers(len(top)))])
            put = int(rng.integers(len(order)))
            changed.insert(put, changed.pop(taken))
            found = self._fill(changed)
            patience -= 1
            if found[0] <= best[0]:
                patience = tries if found[0] < best[0] else patience
                best, order = found, changed
        return best

    def _at_the_top(self, found: tuple[int, list[int]]) -> list[int]:
        """Buffers that end where the arena does, and all that live at one time with them."""
        size, addresses = found
        ends = [at + buffer.size for at, buffer in zip(addresses, self._buffers, strict=True)]
        highest = [number for number, end in enumerate(ends) if end == size]
        return sorted({*highest, *(met for number in highest for met in self._meets[number])})

    def _fill(self, order: Sequence[int]) -> tuple[int, list[int]]:
        """Size and addresses of putting each buffer, in turn, at the lowest place it can have."""
        addresses = [-1] * len(order)
        size = 0
        for number in order:
            taken = [
                (addresses[other] + low, addresses[other] + high)
                for other, low, high in self._apart[number]
                if addresses[other] >= 0
            ]
            addresses[number] = self._lowest(taken)
            size = max(size, addresses[number] + self._buffers[number].size)
        return size, addresses

    def _lowest(self, taken: list[tuple[int, int]]) -> int:
        """The lowest aligned address in none of the open intervals."""
        address = 0
        for low, high in sorted(taken):
            if low < address < high:
                address = -(-high // self._alignment) * self._alignment
        return address

    def _taken(self, number: int, other: int) -> tuple[int, int]:
        """The open interval of addresses, less the other's, that a buffer cannot have."""
        mine, theirs = self._buffers[number], self._buffers[other]
        low, high = -mine.size, theirs.size
        if pair := self._pairs.get((theirs.name, mine.name)):  # theirs is the input
            low = max(low, -pair.forward)
            high = min(high, theirs.size + pair.backward - mine.size)
        elif pair := self._pairs.get((mine.name, theirs.name)):  # mine is the input
            low = max(low, theirs.size - pair.backward - mine.size)
            high = min(high, pair.forward)
        return low, high
