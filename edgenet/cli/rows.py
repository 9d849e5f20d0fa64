"""What ``edgenet run`` shows of the results: a row a picture, or how a camera's loop is doing."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections.abc import Sequence

import click

from edgenet.runner import Frame
from edgenet.stream.result import UNKNOWN, Guess, Result
from edgenet.stream.statistics import Snapshot, Statistics

_NAME_WIDTH = 40
_TERMINAL_EVERY_S = 0.1
_LOG_EVERY_S = 1.0


class Rows:
    """A sink that writes the name and the classes of every picture."""

    def __init__(self, labels: Sequence[str]) -> None:
        self._width = max(map(len, labels))

    def publish(self, result: Result, frame: Frame) -> None:
        """Write a row."""
        del frame
        name = click.format_filename(result.name)
        if len(name) > _NAME_WIDTH:
            name = "…" + name[-_NAME_WIDTH + 1 :]
        click.echo("  ".join([f"{name:<{_NAME_WIDTH}}", *_cells(result.top, self._width)]))

    def close(self) -> None:
        """Nothing is held open."""

    def say(self, text: str) -> None:
        """Write a sentence for the user."""
        click.echo(text, err=True)


class LiveLine:
    """A sink that keeps one line up to date on a terminal, and elsewhere writes one a second.

    Args:
        labels: of the model.
        statistics: of the loop.
        shown: whether results are shown at all; sentences always are.
    """

    def __init__(self, labels: Sequence[str], statistics: Statistics, *, shown: bool) -> None:
        self._width = max(map(len, labels))
        self._statistics = statistics
        self._shown = shown
        self._terminal = shown and sys.stdout.isatty()
        self._every_s = _TERMINAL_EVERY_S if self._terminal else _LOG_EVERY_S
        self._drawn_s = -float("inf")
        self._lock = threading.Lock()

    def publish(self, result: Result, frame: Frame) -> None:
        """Write the line, when its time has come."""
        del frame
        now = time.monotonic()
        if not self._shown or now - self._drawn_s < self._every_s:
            return
        self._drawn_s = now
        text = "  ".join([*_cells(result.top, self._width), *_doing(result, self._statistics)])
        with self._lock:
            if self._terminal:
                columns = shutil.get_terminal_size().columns
                click.echo(f"\r\x1b[K{text[: columns - 1]}", nl=False)
            else:
                click.echo(text)

    def close(self) -> None:
        """Leave the line."""
        with self._lock:
            if self._terminal:
                self._terminal = False
                click.echo()

    def say(self, text: str) -> None:
        """Write a sentence for the user, on a line of its own; from any thread."""
        with self._lock:
            if self._terminal:
                click.echo("\r\x1b[K", nl=False)
            click.echo(text, err=True)


def summary(found: Snapshot, what: str, *, live: bool, skipped: int) -> str:
    """The last line: how many, how fast, and in what the time went; medians of the window.

    Of an emulated board it states no time.
    """
    left_out = f", {skipped} skipped" if skipped else ""
    plural = "" if found.frames == 1 else "s"
    if found.p50_ms is None:
        dropped = f", {found.dropped} dropped" if live else ""
        return f"{found.frames} picture{plural} with {what}{left_out}{dropped}"
    stages = ", ".join(f"{stage} {ms:.2f}" for stage, ms in found.stage_ms.items())
    if live:
        return (
            f"{found.frames} frames with {what} in {found.uptime_s:.0f} s, {found.dropped} dropped:"
            f" latency median {found.p50_ms:.2f} ms, p99 {found.p99_ms:.2f} ms ({stages})"
        )
    return (
        f"{found.frames} picture{plural} with {what}{left_out}:"
        f" median {found.p50_ms:.2f} ms ({stages})"
    )


def _cells(top: Sequence[Guess], width: int) -> list[str]:
    return [f"{guess.label:<{width}} {guess.probability:>6.1%}" for guess in top] or [UNKNOWN]


def _doing(result: Result, statistics: Statistics) -> list[str]:
    if result.latency_ms is None:
        return [f"dropped {result.dropped}"]
    return [
        f"{statistics.fps():.1f} fps",
        f"latency {result.latency_ms:.1f} ms",
        f"dropped {result.dropped}",
    ]
