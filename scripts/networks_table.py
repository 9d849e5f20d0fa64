"""The table of docs/networks.md: what each network costs, and what was measured of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from edgenet.architecture import format_name, parse_name
from edgenet.cost import Configuration
from edgenet.fit.accuracy import Measured
from edgenet.profile.record import Profile
from edgenet.report import cost

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = DOCS / "networks.md"
PROFILES = DOCS / "networks"
FIRST = "<!-- the table is written by scripts/make_docs.py; do not edit -->"
LAST = "<!-- end of the table -->"
CLASSES = 1000
NAMES = (
    "mobilenet_v1_1.0_224",
    "mobilenet_v2_1.4_224",
    "mobilenet_v2_1.0_224",
    "mobilenet_v3_large_1.0_224",
    "mobilenet_v3_large_minimalistic_1.0_224",
    "mobilenet_v3_small_1.0_224",
    "mobilenet_v3_small_minimalistic_1.0_224",
    "mobilenet_v1_0.5_128",
    "mobilenet_v2_0.5_128",
    "mobilenet_v1_0.25_96",
    "mobilenet_v2_0.35_96",
    "mobilenet_v1_1.0_64",
    "mobilenet_v1_0.5_64",
    "mobilenet_v1_0.25_64",
    "mobilenet_v2_1.0_64",
    "mobilenet_v2_0.35_64",
    "mobilenet_v3_small_1.0_64",
    "mobilenet_v3_small_minimalistic_1.0_64",
    "mobilenet_v1_cifar_1.0_32",
    "mobilenet_v1_cifar_0.5_32",
    "mobilenet_v1_cifar_0.25_32",
    "mobilenet_v2_cifar_1.0_32",
    "mobilenet_v2_cifar_0.35_32",
)


def page(own: Sequence[Measured]) -> str:
    """docs/networks.md with its table written anew.

    Args:
        own: top-1 that this project measured.
    """
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(FIRST)
    _, _, after = rest.partition(LAST)
    return "\n".join([before + FIRST, "", *table(own), "", LAST + after])


def table(own: Sequence[Measured]) -> list[str]:
    """Rows; a column of what was measured is there once something was."""
    measured = {"int8 top-1": accuracies(own), "int8 latency": latencies()}
    measured = {title: cells for title, cells in measured.items() if cells}
    head = ["network", "parameters", "multiply-adds", "int8 weights", "peak activations", *measured]
    rows = [f"| {' | '.join(head)} |", "|---" + "|---:" * (len(head) - 1) + "|"]
    for name in NAMES:
        total = cost.record(configuration(name))["total"]
        cells = [
            name,
            f"{total['parameters'] / 1e6:.2f} M",
            f"{total['multiply_adds'] / 1e6:.1f} M",
            f"{total['int8_bytes'] / 1024:,.0f} KiB",
            f"{total['peak_activation_bytes'] / 1024:,.0f} KiB",
            *(column.get(name, "") for column in measured.values()),
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def configuration(name: str) -> Configuration:
    """The network of a name, with ImageNet's classes so that all compare."""
    arch, alpha, side = parse_name(name)
    assert alpha is not None
    assert side is not None
    return Configuration(arch, alpha, side, side, CLASSES)


def accuracies(own: Sequence[Measured]) -> dict[str, str]:
    """Top-1 of int8.tflite and the pictures, by the network's name."""
    return {format_name(one.arch, one.alpha, one.side): f"{one.top1:.2%} {one.data}" for one in own}


def latencies() -> dict[str, str]:
    """Median of the whole call of int8.tflite, from ``edgenet profile --json`` in docs/networks."""
    found = {}
    for path in sorted(PROFILES.glob("*.json")):
        profile = msgspec.json.decode(path.read_bytes(), type=Profile)
        name = format_name(profile.arch, profile.alpha, profile.height)
        machine = profile.machine.board or profile.machine.cpu
        for run in profile.runs:
            if run.variant == "int8.tflite":
                found[name] = f"{run.stats['total'].p50_ms:.2f} ms {machine}"
    return found
