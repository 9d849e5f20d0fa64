"""The memory map of a plan, step by step, as text."""

from __future__ import annotations

from edgenet.codegen.plan import Plan, Region, Step
from edgenet.report.text import table


def memory_map(plan: Plan) -> str:
    """The arena's size, then each layer with the bytes in use and where they lie."""
    rows = [
        (
            step.layer,
            ("in place, " if step.in_place else "") + step.direction,
            f"{used(step):,}",
            "  ".join(map(_place, step.regions)),
        )
        for step in plan.steps
    ]
    headings = ("layer", "walk", "bytes in use", "")
    return f"arena: {plan.size:,} bytes\n" + table(headings, rows, texts=2)


def used(step: Step) -> int:
    """Bytes that lie under something; what lies under two counts once."""
    total, reached = 0, 0
    for region in step.regions:  # by address
        total += max(0, region.end - max(region.address, reached))
        reached = max(reached, region.end)
    return total


def _place(region: Region) -> str:
    name = region.name if region.value is None else f"t{region.value}"
    return f"{name} {region.address}-{region.end}"
