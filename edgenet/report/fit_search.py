"""What a search trained, beside what was predicted of each network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgenet.drift.significance import wilson
from edgenet.fit.record import Fit
from edgenet.fit.trained import Result
from edgenet.report.text import table

HEAD = (
    "network", "lr", "predicted", "top-1", "from", "to", "multiply-adds", "flash", "RAM", "s", "",
)  # fmt: skip


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
                "predicted_top1": row.accuracy.top1 if row and row.accuracy else None,
                "top1": one.top1,
                "top1_low": low,
                "top1_high": high,
                "images": one.images,
                "seconds": one.seconds,
                "macs": row.macs if row else None,
                "flash": row.flash if row else None,
                "ram": row.ram if row else None,
                "sram_budget": row.sram_budget if row else None,
                "latency_ms": row.latency_ms if row else None,
                "folder": one.folder,
            }
        )
    return rows


def text(found: Fit, results: Sequence[Result], folder: str, data: str) -> str:
    """The table, and how to export the best."""
    if not results:
        return "nothing was trained yet: the budget is spent\n"
    rows = table(HEAD, cells(found, results))
    said = "\n".join(remarks(found, results))
    return f"{rows}\n\n{said}\nNext:\n  {export(found, results[0], folder, data)}\n"


def export(found: Fit, best: Result, folder: str, data: str) -> str:
    """The command that exports a trial."""
    row = found.row(best.name)
    board = f" --board {found.board}" if found.board and found.stack else ""
    budget = f" --sram-budget {row.sram_budget}" if row and row.sram_budget else ""
    return (
        f"edgenet export --target {found.target}{board}{budget} --model {folder}/{best.folder}"
        f" --data {data}"
    )


def cells(found: Fit, results: Sequence[Result]) -> list[list[object]]:
    """A row for each trial, under ``HEAD``."""
    return [
        [
            row["network"],
            f"{row['lr']:.3g}",
            None if row["predicted_top1"] is None else f"{row['predicted_top1']:.1%}",
            *(f"{row[key]:.2%}" for key in ("top1", "top1_low", "top1_high")),
            *(None if row[key] is None else f"{row[key]:,}" for key in ("macs", "flash")),
            None if row["ram"] is None else f"{row['ram']:,}" + "*" * bool(row["sram_budget"]),
            f"{row['seconds']:.0f}",
            row["folder"],
        ]
        for row in record(found, results)
    ]


def remarks(found: Fit, results: Sequence[Result]) -> list[str]:
    """What the rows must not be read without."""
    budgets = {row["sram_budget"] for row in record(found, results)} - {None}
    return [
        f"* fits if layers run row by row: edgenet export --sram-budget {budget}"
        for budget in sorted(budgets)
    ] + [
        f"What was trained is measured on the {results[0].images} pictures that the best was chosen"
        " by, and so a little too good."
    ]
