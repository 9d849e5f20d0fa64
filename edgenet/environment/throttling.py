"""What slowed a machine down, and when, from the states that were recorded."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import msgspec

from edgenet.environment.record import State

# https://www.raspberrypi.com/documentation/computers/os.html#get_throttled
THROTTLE_BITS = {
    0: "under-voltage",
    1: "CPU frequency capped",
    2: "throttled",
    3: "soft temperature limit",
}
_LATCHED = 16  # bit n + 16: bit n was set at some time since boot
_COUNTED = "thermal throttling counted by the kernel"
_WORDS = (*THROTTLE_BITS.values(), _COUNTED)


class Episode(msgspec.Struct, frozen=True):
    """A stretch of time in which the machine was slowed down.

    Attributes:
        from_s: when it began at the earliest, on the states' clock.
        to_s: when it had been seen last.
        reasons: what slowed it, in words.
    """

    from_s: float
    to_s: float
    reasons: tuple[str, ...]


def throttling(states: Sequence[State]) -> tuple[str, ...] | None:
    """What slowed the machine down between the first state and the last, in words.

    A bit that says 'since boot' counts only when it was not set in the first state.

    Returns:
        The reasons; empty when nothing slowed it; None when the machine cannot tell.
    """
    if all(state.throttle_bits is None and state.throttle_count is None for state in states):
        return None
    found = {reason for episode in episodes(states) for reason in episode.reasons}
    return tuple(words for words in _WORDS if words in found)


def episodes(states: Sequence[State]) -> tuple[Episode, ...]:
    """When the machine was slowed down, in the order of time; stretches that touch are one.

    A bit or a count that appears between two states may have done so at any time between them.
    """
    found: list[Episode] = []
    if states and (reasons := _now(states[0])):
        found.append(Episode(states[0].at_s, states[0].at_s, reasons))
    for before, state in pairwise(_carried(states)):
        reasons = _between(before, state)
        if not reasons:
            continue
        last = found[-1] if found else None
        if last is not None and last.to_s >= before.at_s:
            both = tuple(words for words in _WORDS if words in (*last.reasons, *reasons))
            found[-1] = Episode(last.from_s, state.at_s, both)
        else:
            found.append(Episode(before.at_s, state.at_s, reasons))
    return tuple(found)


def _carried(states: Sequence[State]) -> list[State]:
    """The states; what one could not tell is as it was before."""
    bits = count = None
    whole = []
    for state in states:
        bits = state.throttle_bits if state.throttle_bits is not None else bits
        count = state.throttle_count if state.throttle_count is not None else count
        whole.append(msgspec.structs.replace(state, throttle_bits=bits, throttle_count=count))
    return whole


def _between(before: State, state: State) -> tuple[str, ...]:
    """What slowed the machine down at ``state``, or for the first time since boot before it."""
    reasons = list(_now(state))
    if before.throttle_bits is not None and state.throttle_bits is not None:
        new = (state.throttle_bits & ~before.throttle_bits) >> _LATCHED
        reasons += _said(new)
    counts = before.throttle_count, state.throttle_count
    if counts[0] is not None and counts[1] is not None and counts[1] > counts[0]:
        reasons.append(_COUNTED)
    return tuple(words for words in _WORDS if words in reasons)


def _now(state: State) -> tuple[str, ...]:
    return _said(state.throttle_bits or 0)


def _said(bits: int) -> tuple[str, ...]:
    return tuple(words for bit, words in THROTTLE_BITS.items() if bits >> bit & 1)
