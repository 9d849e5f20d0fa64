"""One JSON object a line, for each result."""

from __future__ import annotations

from edgenet.runner import Frame
from edgenet.stream.result import Result
from edgenet.stream.sinks.document import document, encode
from edgenet.stream.sinks.lines import Lines


class JsonLines:
    """Writes every result as one line of JSON; the form is that of ``document``."""

    def __init__(self, lines: Lines) -> None:
        self.lines = lines

    def publish(self, result: Result, frame: Frame) -> None:
        """Write a line.

        Raises:
            BrokenPipeError, SinkError: see ``Lines``.
        """
        del frame
        self.lines.write(encode(document(result)) + b"\n")

    def close(self) -> None:
        """Close the file, where it is one."""
        self.lines.close()
