"""The gate of CI: what small models cost on three cores may not grow unnoticed.

More than 2 % instructions or one byte of SRAM beyond tests/golden/mcu_baseline.json fails
tests/codegen/test_mcu_gate.py; ``scripts/bench_mcu --renew`` writes that file anew.

SRAM is the same to the byte with every compiler: the planner places the arena, and the program has
no other variables.  Instructions are a compiler's own: with another one than the baseline's 10 %
more pass, and what it needs is printed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import msgspec
from benchmark_networks import resnet8
from mcu_measure import generate, measure, tools, write
from mcu_records import Measured, Tools

from edgenet.architecture import network
from edgenet.codegen import untrained
from edgenet.files import write_atomic

GOLDEN = Path(__file__).resolve().parent.parent / "tests" / "golden"
BASELINE = GOLDEN / "mcu_baseline.json"
DEAD_CHANNELS = GOLDEN / "dead_channels.tflite"


class Model(NamedTuple):
    """What is run: a .tflite, and the bytes of SRAM that it may have, if they are limited."""

    read: Callable[[], bytes]
    budget: int | None = None


def _small() -> bytes:
    """MobileNetV1 as it is before it learns."""
    return untrained.model(network("mobilenet_v1", alpha=0.25, classes=10), 32, 32)


MODELS = {
    "resnet8": Model(resnet8),
    "dead_channels": Model(DEAD_CHANNELS.read_bytes),
    "row_by_row": Model(_small, budget=4000),
}
BOARDS = ("mps2-an385", "mps2-an386", "mps3-an547")
GROWTH = 0.02
"""Of instructions, as a share."""
GROWTH_ELSEWHERE = 0.10
"""With another compiler than the one that the baseline was made with."""
STALE = 0.05
"""Instructions that are so much fewer than the baseline's could grow unnoticed."""


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
        for name, model in MODELS.items():
            made = generate(model.read(), name, budget=model.budget)
            place = write(made, Path(folder))
            found = [measure(made, place, board, budget=model.budget) for board in BOARDS]
            costs[name] = {one.core: _cost(one) for one in found}
    return Baseline(tools(), costs)


def grown(before: Baseline, now: Baseline) -> list[str]:
    """A sentence for each cost that is beyond the baseline's."""
    most = 1 + (GROWTH if same_compiler(before, now) else GROWTH_ELSEWHERE)
    words = []
    for where, old, cost in _pairs(before, now):
        if cost.instructions > most * old.instructions:
            words.append(f"{where}: {_compared(old, cost)}")
        if cost.sram > old.sram:
            words.append(f"{where}: {cost.sram:,} bytes of SRAM, {old.sram:,} before")
    return words


def stale(before: Baseline, now: Baseline) -> list[str]:
    """A sentence for each cost that could grow unnoticed, since the baseline puts it too high."""
    same, words = same_compiler(before, now), []
    for where, old, cost in _pairs(before, now):
        if same and cost.instructions < (1 - STALE) * old.instructions:
            words.append(f"{where}: {_compared(old, cost)}")
        if cost.sram < old.sram:
            words.append(
                f"{where}: {cost.sram:,} bytes of SRAM, and the baseline says {old.sram:,}"
            )
    return words


def loosened(before: Baseline, now: Baseline) -> list[str]:
    """Every count, beside the baseline's, where another compiler may need more; else nothing."""
    if same_compiler(before, now):
        return []
    head = f"{now.tools.compiler}, not {before.tools.compiler}: {GROWTH_ELSEWHERE:.0%} more pass"
    return [head, *(f"{where}: {_compared(old, one)}" for where, old, one in _pairs(before, now))]


def same_compiler(before: Baseline, now: Baseline) -> bool:
    return before.tools.compiler == now.tools.compiler


def _pairs(before: Baseline, now: Baseline) -> Iterator[tuple[str, Cost, Cost]]:
    """Model and core, what was recorded, what is measured now."""
    for model, costs in now.costs.items():
        for core, cost in costs.items():
            yield f"{model} on {core}", before.costs[model][core], cost


def _compared(old: Cost, cost: Cost) -> str:
    ratio = cost.instructions / old.instructions - 1
    return f"{cost.instructions:,} instructions, {ratio:+.1%} of {old.instructions:,}"


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
