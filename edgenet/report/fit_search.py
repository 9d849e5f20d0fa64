"""What a search trained, beside what was predicted of each network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgenet.drift.significance import wilson
from edgenet.fit.record import Fit
from edgenet.fit.trained import Result
from edgenet.report.text import table


def record(found: Fit, results: Sequence[Result]) -> list[dict[str, Any]]:
    """A row for each trial, the most accurate first; shares and bytes."""
    rows = []
    for one in results:
        row = found.row(one.name)
        low, high = wilson(round(one.top1 * one.images), one.images)
        rows.append(
            {
                "network": one.name,
                "lr": one.lr,
                "top1": one.top1,
                "top1_low": low,
                "top1_high": high,
                "images": one.images,
                "seconds": one.seconds,
                "macs": row.macs if row else None,
                "flash": row.flash if row else None,
                "ram": row.ram if row else None,
                "latency_ms": row.latency_ms if row else None,
                "folder": one.folder,
            }
        )
    return rows


def text(found: Fit, results: Sequence[Result], folder: str, data: str) -> str:
    """The table, and how to export the best."""
    if not results:
        return "nothing was trained yet: the budget is spent\n"
    head = ("network", "lr", "top-1", "from", "to", "multiply-adds", "flash", "RAM", "s", "")
    cells = [
        (
            row["network"],
            f"{row['lr']:.3g}",
            *(f"{row[key]:.2%}" for key in ("top1", "top1_low", "top1_high")),
            *(None if row[key] is None else f"{row[key]:,}" for key in ("macs", "flash", "ram")),
            f"{row['seconds']:.0f}",
            row["folder"],
        )
        for row in record(found, results)
    ]
    board = f" --board {found.board}" if found.board and found.stack else ""
    best = f"{folder}/{results[0].folder}"
    return (
        f"{table(head, cells)}\n\nTop-1 is on the {results[0].images} pictures that the best was"
        f" chosen by, and so a little too good.\nNext:\n"
        f"  edgenet export --target {found.target}{board} --model {best} --data {data}\n"
    )
