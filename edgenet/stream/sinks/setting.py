"""What a sink may know of the run that it serves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from edgenet.stream.statistics import Statistics


@dataclass(frozen=True, slots=True)
class Setting:
    """The run that a sink is opened for.

    Attributes:
        labels: every label that a result can have, ``UNKNOWN`` too where there is a threshold.
        model: what the model is called.
        statistics: of the loop.
        stdout: for sinks without a file.
        say: takes a sentence for the user, from any thread.
    """

    labels: tuple[str, ...]
    model: str
    statistics: Statistics
    stdout: BinaryIO
    say: Callable[[str], None]
