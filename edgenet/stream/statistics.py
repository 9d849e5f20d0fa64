"""How the loop is doing: written by the loop, read by any thread at any time."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgenet.stream.result import Result

WINDOW = 300
FPS_OVER_S = 5.0
PUBLISH = "publish"

# when it was taken in, the result, its latency, the milliseconds of its sinks
_Entry = tuple[float, Result, float | None, float]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of a loop at one moment.

    Attributes:
        started: of the loop, in seconds since the epoch.
        uptime_s: seconds since then.
        frames: results since the start.
        dropped: frames that the camera gave and nobody looked at, since the start.
        fps: results a second over the last ``FPS_OVER_S`` seconds, so 0 when frames stop.
        p50_ms: of the latency of the window's results; of files, of the sum of their stages.
        p90_ms: likewise.
        p99_ms: likewise; the three are None before the first result that has a time.
        stage_ms: median of each stage over the window: those of ``Result.stage_ms`` and
            ``publish``, the time that telling every sink took.
        recent_ms: the latencies of the window, the oldest first.
        seen: results of each label since the start.
        total_ms: sum of each stage's milliseconds since the start, ``latency`` too.
        latest: the newest result; None before the first.
        since_s: seconds since ``latest``; None before the first.
        event: that the source is lost, in its words; None once a result came after.
    """

    started: float
    uptime_s: float
    frames: int
    dropped: int
    fps: float
    p50_ms: float | None
    p90_ms: float | None
    p99_ms: float | None
    stage_ms: Mapping[str, float]
    recent_ms: tuple[float, ...]
    seen: Mapping[str, int]
    total_ms: Mapping[str, float]
    latest: Result | None
    since_s: float | None
    event: str | None


class Statistics:
    """A window of the last results and the totals of all.

    Args:
        window: results that medians and percentiles are taken over.
    """

    def __init__(self, window: int = WINDOW) -> None:
        self.started = time.time()
        self._begin = time.monotonic()
        self._lock = threading.Lock()
        self._window: deque[_Entry] = deque(maxlen=window)
        self._frames = 0
        self._seen: Counter[str] = Counter()
        self._total_ms: defaultdict[str, float] = defaultdict(float)
        self._event: str | None = None

    def observe(self, result: Result, publish_ms: float) -> None:
        """Take in a result, once every sink was told."""
        now = time.monotonic()
        latency = _latency(result)
        with self._lock:
            self._window.append((now, result, latency, publish_ms))
            self._frames += 1
            self._seen[result.label] += 1
            total = self._total_ms
            for stage, ms in result.stage_ms.items():
                total[stage] += ms
            total[PUBLISH] += publish_ms
            total["latency"] += latency or 0.0
            self._event = None

    def note(self, event: str) -> None:
        """Take in that the source is lost, in its words; the next result ends that."""
        with self._lock:
            self._event = event

    def fps(self) -> float:
        """Results a second, as in ``snapshot``, which costs more."""
        now = time.monotonic()
        with self._lock:
            times = [at for at, *_ in self._window]
        return _fps(times, now, min(now - self._begin, FPS_OVER_S))

    def snapshot(self) -> Snapshot:
        """The state now."""
        now = time.monotonic()
        with self._lock:
            window = list(self._window)
            frames, event = self._frames, self._event
            seen, total_ms = dict(self._seen), dict(self._total_ms)
        uptime = now - self._begin
        latest = window[-1][1] if window else None
        recent = tuple(latency for _, _, latency, _ in window if latency is not None)
        p50, p90, p99 = np.percentile(recent, (50, 90, 99)).tolist() if recent else (None,) * 3
        return Snapshot(
            started=self.started,
            uptime_s=uptime,
            frames=frames,
            dropped=latest.dropped if latest else 0,
            fps=_fps([at for at, *_ in window], now, min(uptime, FPS_OVER_S)),
            p50_ms=p50,
            p90_ms=p90,
            p99_ms=p99,
            stage_ms=_medians(window),
            recent_ms=recent,
            seen=seen,
            total_ms=total_ms,
            latest=latest,
            since_s=now - window[-1][0] if window else None,
            event=event,
        )


def _latency(result: Result) -> float | None:
    """None where the result has no time at all."""
    if result.latency_ms is None and result.stage_ms:
        return sum(result.stage_ms.values())
    return result.latency_ms


def _fps(times: list[float], now: float, over_s: float) -> float:
    """Results a second; a full window may reach back less than ``over_s`` seconds."""
    fresh = [at for at in times if at >= now - over_s]
    if not fresh:
        return 0.0
    if len(fresh) == len(times) > 1:
        return (len(fresh) - 1) / max(now - fresh[0], 1e-9)
    return len(fresh) / over_s


def _medians(window: list[_Entry]) -> dict[str, float]:
    if not window:
        return {}
    stages = {
        stage: float(np.median([result.stage_ms[stage] for _, result, _, _ in window]))
        for stage in window[-1][1].stage_ms
    }
    return stages | {PUBLISH: float(np.median([publish for *_, publish in window]))}
