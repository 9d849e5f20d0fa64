"""What the live loop says of one frame, and who hears it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from edgenet.runner import Frame

UNKNOWN = "unknown"


class Guess(msgspec.Struct, frozen=True):
    """A class and how sure the model is of it, 0 to 1."""

    index: int = msgspec.field(name="class")
    label: str
    probability: float


class Result(msgspec.Struct, frozen=True):
    """The answer to one frame.

    Attributes:
        frame: index of the frame.
        name: the frame's name, where it had one (a file's path).
        top: the most probable classes that reach the threshold, the first one first.
        label: the first of ``top``, or ``UNKNOWN``.
        stage_ms: wall milliseconds of ``capture`` (photon, or what the source knows nearest to it,
            to the loop's hands: the frame's age), ``preprocess``, ``invoke``, ``postprocess`` (all
            the rest of the way to this result); their sum is ``latency_ms``.  Files have no
            ``capture``, and emulated boards none of them.
        latency_ms: from capture to this result, before any sink was told; None for files and where
            there are no stages.
        dropped: frames that the camera gave and nobody looked at, since the start.
        time: seconds since the epoch.
    """

    frame: int
    name: str
    top: tuple[Guess, ...]
    label: str
    stage_ms: Mapping[str, float]
    latency_ms: float | None
    dropped: int
    time: float


class Sink(Protocol):
    """Where results go; ``publish`` must not block the loop for longer than a local write."""

    def publish(self, result: Result, frame: Frame) -> None: ...
    def close(self) -> None: ...
