"""One row a result, for a spreadsheet."""

from __future__ import annotations

import csv
import io

from edgenet.errors import SinkError
from edgenet.runner import Frame
from edgenet.stream.result import Result
from edgenet.stream.sinks.lines import File, Lines

STAGES = ("capture", "preprocess", "invoke", "postprocess")
HEADER = (
    *("time", "frame", "name", "label", "probability", "latency_ms"),
    *(f"{stage}_ms" for stage in STAGES),
    "dropped",
)


class Csv:
    """Writes the best class of every result as a row; appends to a file that has this header.

    Raises:
        SinkError: the file holds something else.
    """

    def __init__(self, lines: Lines) -> None:
        self.lines = lines
        if isinstance(lines, File) and not lines.empty:
            found = lines.first_line().decode(errors="replace")
            if found != ",".join(HEADER):
                lines.close()
                raise SinkError(
                    f"{lines.path} holds something else than results of edgenet run (its first"
                    f" line is {found[:40]!r}); name another file"
                )
        else:
            lines.write(_row(HEADER))

    def publish(self, result: Result, frame: Frame) -> None:
        """Write a row.

        Raises:
            BrokenPipeError, SinkError: see ``Lines``.
        """
        del frame
        best = f"{result.top[0].probability:.6f}" if result.top else ""
        latency = "" if result.latency_ms is None else f"{result.latency_ms:.4f}"
        stages = (result.stage_ms.get(stage) for stage in STAGES)
        self.lines.write(
            _row(
                (
                    *(f"{result.time:.3f}", result.frame, result.name, result.label, best, latency),
                    *("" if ms is None else f"{ms:.4f}" for ms in stages),
                    result.dropped,
                )
            )
        )

    def close(self) -> None:
        """Close the file, where it is one."""
        self.lines.close()


def _row(cells: tuple[object, ...]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode(errors="replace")
