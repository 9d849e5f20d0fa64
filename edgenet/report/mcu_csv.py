"""What was counted on a microcontroller, as CSV for a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from edgenet.mcu.counting import Counts

_COMMON = ("bundle", "bundle_sha256", "board", "core", "clock_hz", "unit", "counter", "machine")
_SIZES = ("flash", "ram", "stack")
FIELDS = (
    *_COMMON,
    *("part", "name", "kernel", "macs", "count", "share"),
    *_SIZES,
    *("tools", "edgenet"),
)


def text(counts: Counts) -> str:
    """One row of the whole, one of each layer and one of each function; unknowns are empty.

    ``part`` says which; layers add up to the whole, and so do functions.
    """
    out = io.StringIO()
    writer = csv.DictWriter(out, FIELDS, lineterminator="\n")
    writer.writeheader()
    common = {name: getattr(counts, name) for name in (*_COMMON, *_SIZES, "edgenet")}
    common["tools"] = "; ".join(counts.tools.values())
    writer.writerows(common | row for row in _rows(counts))
    return out.getvalue()


def _rows(counts: Counts) -> Iterator[dict[str, object]]:
    whole = max(1, counts.total)
    yield {"part": "whole", "macs": counts.macs, "count": counts.total, "share": 1.0}
    for one in counts.layers:
        row = {"part": "layer", "name": one.layer, "kernel": one.kernel, "macs": one.macs}
        yield row | {"count": one.count, "share": one.count / whole}
    for name, count in counts.functions.items():
        yield {"part": "function", "name": name, "count": count, "share": count / whole}
