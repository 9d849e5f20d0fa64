"""How often a result leaves the device: a change at once, the same again now and then."""

from __future__ import annotations


class Pace:
    """Lets a result pass when its label changed, and otherwise after a time.

    Args:
        every_s: seconds between results of the same label; 0 lets every one pass.
    """

    def __init__(self, every_s: float) -> None:
        self.every_s = every_s
        self._label: str | None = None
        self._passed_s = 0.0

    def due(self, label: str, now_s: float) -> bool:
        """Whether the result passes; ``now_s`` is of any clock that does not jump."""
        if label == self._label and now_s - self._passed_s < self.every_s:
            return False
        self._label, self._passed_s = label, now_s
        return True


class Streak:
    """Counts frames in a row that have a label.

    Args:
        label: to look for.
        frames: in a row that make a streak.
    """

    def __init__(self, label: str, frames: int) -> None:
        self.label = label
        self.frames = frames
        self._with = 0
        self._without = 0

    def begins(self, label: str) -> bool:
        """Take in a frame's label; True once, when the streak is long enough."""
        self._with, self._without = (
            (self._with + 1, 0) if label == self.label else (0, self._without + 1)
        )
        return self._with == self.frames

    @property
    def ended(self) -> bool:
        """Whether the label has been missing for as many frames as make a streak."""
        return self._without >= self.frames
