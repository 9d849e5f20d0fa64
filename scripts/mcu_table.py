"""Tables of docs/bench/mcu.json, for docs and for the terminal."""

from __future__ import annotations

from collections.abc import Iterable

from mcu_baselines import TFLM_CMSIS_NN, limit
from mcu_records import Accuracy, AccuracyBench, Bench, Measured

TITLES = {
    "mobilenet_v1_025_96": "MobileNetV1 0.25, 96x96x3",
    "mobilenet_v1_cifar_100_32": "MobileNetV1 1.0, 32x32x3, stem of stride 1",
    "mobilenet_v1_100_224": "MobileNetV1 1.0, 224x224x3",
    "resnet8": "ResNet8 of MLPerf Tiny, 32x32x3",
    "ds_cnn": "DS-CNN of MLPerf Tiny, 49x10x1",
    "person_detect": "person detection of TFLM, 96x96x1",
    "dead_channels": "MobileNetV1 0.25, 96x96x3, trained",
}
HEAD = (
    "| model | core | instructions | a MAC | SRAM | stack | flash | TFLM + CMSIS-NN: instructions"
    " | SRAM | flash | demanded |\n"
    "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---|"
)
ACCURACY_HEAD = (
    "| network | data | fp32 | int8, LiteRT with XNNPACK | int8, generated C"
    " | logits that differ from TFLM's |\n"
    "|---|---|---:|---:|---:|---:|"
)


def row(one: Measured) -> str:
    """A row of the table."""
    numbers = [f"{one.instructions:,}", f"{one.instructions / one.macs:.2f}"]
    numbers += [f"{size:,}" for size in (one.sram, one.stack, one.flash)]
    title = ", ".join(filter(None, (TITLES.get(one.model, one.model), how(one))))
    cells = [title, one.core.removeprefix("cortex-").upper(), *numbers, *beside(one), verdict(one)]
    return f"| {' | '.join(cells)} |"


def how(one: Measured) -> str:
    """How the program was generated, where that is not the usual way."""
    return one.variant if one.budget is None else f"--sram-budget {one.budget}"


def beside(one: Measured) -> list[str]:
    """TFLM's numbers, each with what it is in ours."""
    baseline = TFLM_CMSIS_NN.get((one.model, one.core))
    if baseline is None:
        return ["", "", ""]
    ours = (one.instructions, one.sram, one.flash)
    return [
        f"{theirs:,} ({theirs / mine:.2f}x)" for theirs, mine in zip(baseline, ours, strict=True)
    ]


def verdict(one: Measured) -> str:
    """Each limit, and whether it is met."""
    words = [] if one.exact else ["**NOT EXACT**"]
    for name, most in limit(one.model, one.core, budget=one.budget)._asdict().items():
        if most is not None:
            met = "met" if getattr(one, name) <= most else "**not met**"
            words.append(f"{name} {most:,} {met}")
    return ", ".join(words)


def missed(rows: Iterable[Measured]) -> int:
    """How many rows have a limit that is not met, or an answer that is not exact."""
    return sum("**" in verdict(one) for one in rows)


def elimination(rows: Iterable[Measured]) -> list[str]:
    """The networks that were run with their dead channels and without them."""
    found = list(rows)
    lines = [
        "| model | core | dead channels | MAC | weights and tables | flash | SRAM | instructions |",
        "|---|---|---|---:|---:|---:|---:|---:|",
    ]
    for before in (one for one in found if one.variant):
        pairs = [one for one in found if (one.model, one.core) == (before.model, before.core)]
        after = next(one for one in pairs if not one.variant and one.budget is None)
        for word, one in (("left in", before), ("gone", after)):
            numbers = (one.macs_left, one.constants, one.flash, one.sram, one.instructions)
            cells = [TITLES[one.model], one.core.removeprefix("cortex-").upper(), word]
            lines.append(f"| {' | '.join([*cells, *(f'{number:,}' for number in numbers)])} |")
    return lines


def accuracy_row(one: Accuracy) -> str:
    """A row of the table of accuracy."""
    shares = [f"{share:.2%}" for share in (one.fp32, one.xnnpack, one.c)]
    data = f"{one.dataset}, {one.images:,} pictures"
    return f"| {' | '.join([one.network, data, *shares, f'{one.different_logits:,}'])} |"


def accuracy(bench: AccuracyBench) -> list[str]:
    """What docs/results.md says of accuracy in a microcontroller's arithmetic."""
    return [
        "Top-1 of the whole evaluation splits, with the generated C built by this machine's"
        f" compiler (`{bench.command}`). Its logits are TensorFlow Lite Micro's:",
        "",
        ACCURACY_HEAD,
        *map(accuracy_row, bench.results),
        "",
    ]


def section(bench: Bench) -> list[str]:
    """What docs/results.md says of the file."""
    return [
        "## Microcontrollers",
        "",
        f"Generated C on boards that QEMU emulates: `{bench.command}`, with {bench.tools.compiler}"
        f" and {bench.tools.emulator}. Instructions are executed ones, counted exactly, of one"
        " inference; they are no cycles. SRAM is the arena with .data and .bss; flash is code and"
        " constants without the harness. Every row's outputs are those of the reference, bit for"
        " bit. Beside each are TensorFlow Lite Micro's and CMSIS-NN's on a network of the same"
        " shape (`scripts/mcu_baselines.py`), with their ratio to ours; 'demanded' is what was"
        " asked for when work on the generator began. Weights are random but in the trained one.",
        "",
        HEAD,
        *(row(one) for one in bench.rows if not one.variant),
        "",
        "What [elimination of dead channels](codegen.md#lossless-channel-elimination) saves in a"
        " network whose training left some (`scripts/train_dead_channels`), with the same outputs:",
        "",
        *elimination(bench.rows),
        "",
    ]
