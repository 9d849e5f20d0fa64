"""What the page is told: the JSON of ``/live`` and ``/state.json``; docs/view.md explains it."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from edgenet.stream.statistics import Snapshot

STALE_S = 5.0
PLOTTED = 120

Status = Literal["starting", "live", "lost"]


class Latency(msgspec.Struct, frozen=True):
    """Percentiles over the last results, in milliseconds; null before the first.

    Attributes:
        p50: the median.
        p90: nine of ten are faster.
        p99: ninety-nine of a hundred are faster.
    """

    p50: float | None
    p90: float | None
    p99: float | None


class Throttling(msgspec.Struct, frozen=True):
    """What slows the board down, in words; empty lists when nothing does.

    Attributes:
        now: within the last second.
        earlier: since the view was first looked at, but no longer.
    """

    now: tuple[str, ...]
    earlier: tuple[str, ...]


class Board(msgspec.Struct, frozen=True):
    """The state of the machine; null for what it does not tell.

    Attributes:
        temperature_c: of the processor.
        throttling: what slows it down.
    """

    temperature_c: float | None = None
    throttling: Throttling | None = None


class State(msgspec.Struct, frozen=True):
    """How the loop is doing.

    Attributes:
        status: ``starting`` before the first result, ``live``, or ``lost`` when the source said
            so or no result came for ``STALE_S`` seconds.
        reason: why it is not live; null when it is.
        since_s: seconds since the newest result; null before the first.
        uptime_s: seconds since the loop began.
        frames: results since then.
        dropped: frames since then that the camera gave and nobody looked at.
        fps: results a second.
        latency_ms: percentiles.
        stage_ms: median milliseconds of each stage, in the order in which they happen.
        recent_ms: the last latencies, at most ``PLOTTED``, the oldest first.
        classes: how many the model knows.
        board: the machine.
    """

    status: Status
    reason: str | None
    since_s: float | None
    uptime_s: float
    frames: int
    dropped: int
    fps: float
    latency_ms: Latency
    stage_ms: dict[str, float]
    recent_ms: tuple[float, ...]
    classes: int
    board: Board


class Message(msgspec.Struct, frozen=True):
    """One message to a viewer.

    Attributes:
        result: of the picture that follows, or of the newest frame, in the form that every sink
            writes; null where there is no new one.
        state: null in between, since it is told a few times a second.
        picture: whether a JPEG follows, as the next message.
    """

    result: dict[str, Any] | None
    state: State | None
    picture: bool = False


def state(snapshot: Snapshot, *, classes: int, board: Board) -> State:
    """The state that a snapshot and a reading of the board tell."""
    status, reason = health(snapshot)
    if snapshot.event is not None:
        status, reason = "lost" if snapshot.frames else "starting", snapshot.event
    return State(
        status=status,
        reason=reason,
        since_s=snapshot.since_s,
        uptime_s=snapshot.uptime_s,
        frames=snapshot.frames,
        dropped=snapshot.dropped,
        fps=snapshot.fps,
        latency_ms=Latency(snapshot.p50_ms, snapshot.p90_ms, snapshot.p99_ms),
        stage_ms=dict(snapshot.stage_ms),
        recent_ms=snapshot.recent_ms[-PLOTTED:],
        classes=classes,
        board=board,
    )


def health(snapshot: Snapshot) -> tuple[Status, str | None]:
    """Whether frames are being classified, and why not; nothing here tells what they show."""
    if snapshot.since_s is None:
        return "starting", f"no frame yet, {snapshot.uptime_s:.0f} s after the start"
    if snapshot.since_s > STALE_S:
        return "lost", f"no frame for {snapshot.since_s:.0f} s"
    return "live", None
