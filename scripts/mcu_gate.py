"""The gate of CI: what two small models cost on three cores may not grow unnoticed.

More than 2 % instructions or one byte of SRAM beyond tests/golden/mcu_baseline.json fails
tests/codegen/test_mcu_gate.py; ``scripts/bench_mcu --renew`` writes that file anew.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from benchmark_networks import resnet8
from mcu_measure import generate, measure, tools, write
from mcu_records import Measured, Tools

from edgenet.files import write_atomic

GOLDEN = Path(__file__).resolve().parent.parent / "tests" / "golden"
BASELINE = GOLDEN / "mcu_baseline.json"
DEAD_CHANNELS = GOLDEN / "dead_channels.tflite"
MODELS = {"resnet8": resnet8, "dead_channels": DEAD_CHANNELS.read_bytes}
BOARDS = ("mps2-an385", "mps2-an386", "mps3-an547")
GROWTH = 0.02
"""Of instructions, as a share."""
GROWTH_ELSEWHERE = 0.10
"""With another compiler than the one that the baseline was made with."""
STALE = 0.05
"""What is this much better than the baseline could get worse unnoticed."""


class Cost(msgspec.Struct, frozen=True):
    """Of one inference, and bytes."""

    instructions: int
    sram: int
    flash: int


class Baseline(msgspec.Struct, frozen=True):
    """What was recorded: by model, then by core."""

    tools: Tools
    costs: dict[str, dict[str, Cost]]


def run() -> Baseline:
    """Measure now.

    Raises:
        TargetError: a tool is missing.
        ValueError: an answer is not exact; what a wrong program costs means nothing.
    """
    costs: dict[str, dict[str, Cost]] = {}
    with TemporaryDirectory(prefix="edgenet-gate-") as folder:
        for name, read in MODELS.items():
            made = generate(read(), name)
            place = write(made, Path(folder))
            found = [measure(made, place, board) for board in BOARDS]
            costs[name] = {one.core: _cost(one) for one in found}
    return Baseline(tools(), costs)


def grown(before: Baseline, now: Baseline) -> list[str]:
    """A sentence for each cost that is beyond the baseline's."""
    same = before.tools.compiler == now.tools.compiler
    most = 1 + (GROWTH if same else GROWTH_ELSEWHERE)
    words = []
    for model, costs in now.costs.items():
        for core, cost in costs.items():
            old = before.costs[model][core]
            where = f"{model} on {core}"
            if cost.instructions > most * old.instructions:
                ratio = cost.instructions / old.instructions - 1
                words.append(
                    f"{where}: {cost.instructions:,} instructions, {ratio:.1%} more than"
                    f" {old.instructions:,}"
                )
            if cost.sram > old.sram:
                words.append(f"{where}: {cost.sram:,} bytes of SRAM, {old.sram:,} before")
    return words


def stale(before: Baseline, now: Baseline) -> list[str]:
    """A sentence for each cost that the baseline puts far too high; the same compiler's only."""
    if before.tools.compiler != now.tools.compiler:
        return []
    return [
        f"{model} on {core}: {cost.instructions:,} instructions, and the baseline says {old:,}"
        for model, costs in now.costs.items()
        for core, cost in costs.items()
        if cost.instructions < (1 - STALE) * (old := before.costs[model][core].instructions)
    ]


def read() -> Baseline:
    return msgspec.json.decode(BASELINE.read_bytes(), type=Baseline)


def renew() -> None:
    """Write the baseline anew."""
    text = msgspec.json.format(msgspec.json.encode(run()), indent=1) + b"\n"
    write_atomic(BASELINE, text)


def _cost(one: Measured) -> Cost:
    if not one.exact:
        raise ValueError(f"{one.model} is not bit-exact on {one.board}")
    return Cost(one.instructions, one.sram, one.flash)
