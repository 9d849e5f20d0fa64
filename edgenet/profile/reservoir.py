"""A sample of a stream of latencies that takes the same memory however long the stream is."""

from __future__ import annotations

import random

import msgspec

from edgenet.profile.statistics import Stats, summarize


class Reservoir:
    """At most ``capacity`` latencies, each of the stream as likely as any other (Algorithm R).

    J. S. Vitter, Random Sampling with a Reservoir, ACM TOMS 11 (1), 1985.  A stream that fits is
    kept whole and in its order.
    """

    def __init__(self, capacity: int, seed: int = 0) -> None:
        self.kept: list[float] = []
        self.count = 0
        self._capacity = capacity
        self._random = random.Random(seed)
        self._least = self._most = 0.0

    def add(self, latency_ms: float) -> None:
        """Take the next latency of the stream."""
        if self.count == 0:
            self._least = self._most = latency_ms
        self._least = min(self._least, latency_ms)
        self._most = max(self._most, latency_ms)
        self.count += 1
        if len(self.kept) < self._capacity:
            self.kept.append(latency_ms)
            return
        place = self._random.randrange(self.count)
        if place < self._capacity:
            self.kept[place] = latency_ms

    def stats(self) -> Stats:
        """The statistics of at least one latency: count, min and max of all, the rest of the kept.

        Raises:
            ValueError: the stream was empty.
        """
        return msgspec.structs.replace(
            summarize(self.kept),
            count=self.count,
            min_ms=round(self._least, 6),
            max_ms=round(self._most, 6),
        )
