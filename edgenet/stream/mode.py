"""The size and rate that a camera is asked for, as in ``picam:1280x720@30``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from edgenet.errors import UsageError

_GRAMMAR = re.compile(r"(?:(\d{1,5})x(\d{1,5}))?(?:@(\d{1,4}(?:\.\d{1,3})?))?", re.ASCII)
SMALLEST, LARGEST = 32, 8192
FASTEST = 1000.0


@dataclass(frozen=True, slots=True)
class Mode:
    """What a camera is asked for; None leaves it to the camera.

    Attributes:
        size: (width, height) in pixels.
        fps: frames a second.
    """

    size: tuple[int, int] | None = None
    fps: float | None = None

    @classmethod
    def parse(cls, text: str, source: str) -> Self:
        """Read ``WIDTHxHEIGHT``, ``@FPS`` or both; an empty text asks for nothing.

        Args:
            text: what stands after the colon of the source.
            source: the whole of it, as it was typed, for the error.

        Raises:
            UsageError: it is anything else, or out of range.

        >>> Mode.parse("1280x720@30", "picam:1280x720@30")
        Mode(size=(1280, 720), fps=30.0)
        """
        found = _GRAMMAR.fullmatch(text)
        if found is None:
            raise UsageError(
                f"{source!r}: {text!r} is no size and rate; write WIDTHxHEIGHT@FPS, or one of the"
                f" two, as in {source.partition(':')[0]}:640x480@30"
            )
        width, height, fps = found.groups()
        mode = cls(
            size=(int(width), int(height)) if width else None, fps=float(fps) if fps else None
        )
        if mode.size and not all(SMALLEST <= side <= LARGEST for side in mode.size):
            raise UsageError(
                f"{source!r}: a side of {width}x{height} is not from {SMALLEST} to {LARGEST} pixels"
            )
        if mode.fps is not None and not 0 < mode.fps <= FASTEST:
            raise UsageError(f"{source!r}: {fps} frames/s is not above 0 and at most {FASTEST:g}")
        return mode

    def __str__(self) -> str:
        """As it is typed, ``640x480@30``."""
        size = f"{self.size[0]}x{self.size[1]}" if self.size else ""
        return size + (f"@{self.fps:.4g}" if self.fps else "")
