from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgenet.codegen.arena import Buffer, InPlace, least, place


def problems(seed: int) -> tuple[list[Buffer], list[InPlace]]:
    """A chain or a tree of layers, some of which may work in place, each with some scratch."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 14))
    sizes = rng.integers(1, 300, count + 1)
    last = [min(count, i + int(rng.choice([1, 1, 1, 2, 4]))) for i in range(count)] + [count]
    buffers = [Buffer(f"v{i}", int(sizes[i]), i - 1, last[i] - 1) for i in range(count + 1)]
    pairs = []
    for step in range(count):
        scratch = int(rng.integers(0, 80))
        if scratch:
            buffers.append(Buffer(f"s{step}", scratch, step, step))
        source, result = buffers[step], buffers[step + 1]
        if source.last == step and rng.random() < 0.7:
            growth = result.size - source.size
            slack = rng.integers(0, 50, 2)
            pairs.append(
                InPlace(source.name, result.name, max(growth, 0) + int(slack[0]),
                        max(growth, 0) + int(slack[1]))
            )  # fmt: skip
    return buffers, pairs


def conflicts(buffers, pairs, addresses):
    """Pairs of buffers that share a byte at a step at which both are in use, and must not."""
    allowed = {(pair.source, pair.result): pair for pair in pairs}
    for i, one in enumerate(buffers):
        for other in buffers[i + 1 :]:
            together = max(one.first, other.first) <= min(one.last, other.last)
            a, b = addresses[one.name], addresses[other.name]
            if not together or a + one.size <= b or b + other.size <= a:
                continue
            for source, result in ((one, other), (other, one)):
                pair = allowed.get((source.name, result.name))
                if pair is not None:
                    start, end = addresses[source.name], addresses[source.name] + source.size
                    begin, stop = addresses[result.name], addresses[result.name] + result.size
                    if begin + pair.forward <= start or stop - pair.backward >= end:
                        break
            else:
                yield one, other


@settings(max_examples=80)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 4, 16]))
def test_no_two_buffers_in_use_share_a_byte_that_they_must_not(seed, alignment):
    buffers, pairs = problems(seed)
    found = place(buffers, pairs, alignment=alignment)
    assert list(conflicts(buffers, pairs, found.addresses)) == []
    assert all(address % alignment == 0 for address in found.addresses.values())
    ends = [found.addresses[buffer.name] + buffer.size for buffer in buffers]
    assert min(found.addresses.values()) >= 0
    assert found.size == max(ends)
    assert least(buffers, pairs) <= found.size <= sum(-(-b.size // 16) * 16 for b in buffers)


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_little_is_lost_to_the_least_that_any_plan_needs(seed):
    buffers, _ = problems(seed)
    assert place(buffers, alignment=1).size <= 1.35 * least(buffers)


def test_the_same_buffers_have_the_same_places():
    buffers, pairs = problems(5)
    assert place(buffers, pairs) == place(buffers, pairs)


def chain(*sizes: int, forward=None, backward=None) -> tuple[list[Buffer], list[InPlace]]:
    """Layers one after the other, each in place where it may."""
    buffers = [Buffer(f"v{i}", size, i - 1, i) for i, size in enumerate(sizes)]
    pairs = []
    for source, result in pairwise(buffers):
        growth = max(result.size - source.size, 0)
        pairs.append(
            InPlace(
                source.name, result.name,
                growth if forward is None else forward,
                growth if backward is None else backward,
            )
        )  # fmt: skip
    return buffers, pairs


def test_a_chain_in_place_needs_but_its_largest_value():
    buffers, pairs = chain(64, 128, 32, 256, 256, 16)
    assert place(buffers, pairs).size == 256


def test_without_leave_to_overlap_it_needs_the_largest_two_neighbours():
    buffers, _ = chain(64, 128, 32, 256, 256, 16)
    assert place(buffers).size == 512


def test_a_value_that_is_read_again_later_is_not_written_over():
    buffers = [Buffer("a", 100, -1, 2), Buffer("b", 100, 0, 1), Buffer("c", 100, 1, 2)]
    found = place(buffers, [InPlace("b", "c", 0, 0)], alignment=1)
    assert found.size == 200
    assert found.addresses["b"] == found.addresses["c"]


@pytest.mark.parametrize(("forward", "backward", "size"), [(48, 2**40, 176), (2**40, 64, 192)])
def test_the_distance_that_a_walk_needs_is_kept(forward, backward, size):
    buffers, pairs = chain(128, 128, forward=forward, backward=backward)
    found = place(buffers, pairs)
    assert found.size == size
    assert abs(found.addresses["v0"] - found.addresses["v1"]) == size - 128


def test_scratch_lies_in_the_holes():
    """What the second layer needs fits where the first value was."""
    buffers = [
        Buffer("in", 100, -1, 0), Buffer("x", 60, 0, 1), Buffer("scratch", 100, 1, 1),
        Buffer("out", 10, 1, 2),
    ]  # fmt: skip
    assert place(buffers, alignment=1).size == 170
