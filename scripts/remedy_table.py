"""The table of remedies in docs/results.md: fp32, and int8 by each way, of the same networks.

python scripts/remedy_table.py NAME CHECKPOINT WORK OUT
    puts together docs/remedies/NAME.json: of the float CHECKPOINT, of what its training printed
    (OUT/stages/NAME-*.json and OUT/NAME.json) and of WORK, where scripts/measure_networks left a
    checkpoint WAY, WAY.drift.json, WAY.command and what 'edgenet quantize --json' printed,
    WAY.report, for each way
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec
from network_records import Compared, Made, Outcome, Way

from edgenet.architecture import parse_name
from edgenet.drift.record import Change, DriftReport
from edgenet.environment import Probe
from edgenet.host import checkpoint as checkpoints
from edgenet.host.robustness import Robustness

REMEDIES = Path(__file__).resolve().parent.parent / "docs" / "remedies"
WAYS: dict[Way, str] = {"plain": "PTQ, plain", "remedies": "PTQ with remedies", "qat": "QAT"}
NAMES = (
    "mobilenet_v1_0.25_64",
    "mobilenet_v1_0.5_64",
    "mobilenet_v1_1.0_64",
    "mobilenet_v2_0.35_64",
    "mobilenet_v2_1.0_64",
    "mobilenet_v1_cifar_0.25_32",
    "mobilenet_v1_cifar_0.5_32",
    "mobilenet_v1_cifar_1.0_32",
    "mobilenet_v2_cifar_0.35_32",
    "mobilenet_v2_cifar_1.0_32",
)
"""What is to be measured; others may be beside them."""


def read() -> dict[str, Compared]:
    """Every file of docs/remedies, those of ``NAMES`` first, in order."""
    found = {
        path.stem: msgspec.json.decode(path.read_bytes(), type=Compared)
        for path in sorted(REMEDIES.glob("*.json"))
    }
    order = [*(name for name in NAMES if name in found), *(n for n in found if n not in NAMES)]
    return {name: found[name] for name in order}


def section(found: Mapping[str, Compared]) -> list[str]:
    """Lines of Markdown."""
    return [
        "## When int8 hurts",
        "",
        "Top-1 on the whole evaluation split. Change: of int8 against fp32, in points, with the "
        "95 % interval of the paired difference. Same: pictures that keep their class. What the "
        "remedies are stands in [remedies.md](remedies.md). Measured by "
        "`scripts/measure_networks`, trained by `scripts/train_networks` in few epochs, to be "
        "compared and not for records; but mobilenet_v1_cifar_1.0_32 by `scripts/train_cifar10` "
        "and mobilenet_v1_0.5_128 by `scripts/train_imagenette`. The files are in "
        "[remedies](remedies).",
        "",
        "| network | data | fp32 | int8 by | top-1 | change | may lose | same |",
        "|---|---|---:|---|---:|---:|---:|---:|",
        *(row for one in found.values() for row in rows(one)),
        "",
        *robust(found),
        *applied(found),
        *short(found),
        *missing(found),
        "",
    ]


def rows(one: Compared) -> list[str]:
    """A network: a row for each way that was measured, the first with what they share."""
    told = []
    for way, made in one.ways.items():
        drift, most = made.int8.drift, demanded(one.network, way)
        assert drift is not None
        shared = ("", "", "")
        if not told:
            shared = (one.network, made.drift.dataset, f"{made.fp32.top1.value:.2%}")
        cells = (
            *shared,
            WAYS[way],
            f"{made.int8.top1.value:.2%}",
            points(drift.top1),
            "" if most is None else f"{most}",
            f"{drift.agreement.value:.2%}",
        )
        told.append(f"| {' | '.join(cells)} |")
    return told


def points(change: Change) -> str:
    """A change with its interval."""
    return f"{100 * change.value:+.2f} ({100 * change.low:+.2f} to {100 * change.high:+.2f})"


def robust(found: Mapping[str, Compared]) -> list[str]:
    """Whether the pictures of plain calibration matter."""
    told = []
    for name, one in found.items():
        other = one.ways["plain"].robustness if "plain" in one.ways else None
        if other is not None:
            verdict = "the same" if other.same else "**not the same**"
            told.append(f"- {name}: {points(other.change)}, {verdict}")
    said = (
        "Plain int8 calibrated with as many other pictures, none in common "
        "(`edgenet quantize --robustness`), against the first, in points of top-1:"
    )
    return [said, "", *told, ""] if told else []


def applied(found: Mapping[str, Compared]) -> list[str]:
    """Which remedies each network got."""
    told = []
    for name, one in found.items():
        if "remedies" in one.ways:
            made = one.ways["remedies"]
            kept = f"; float: {', '.join(made.keep_float)}" if made.keep_float else ""
            told.append(f"- {name}: {', '.join(made.remedies) or 'none was needed'}{kept}")
    return ["Remedies that were applied:", "", *told, ""] if told else []


def short(found: Mapping[str, Compared]) -> list[str]:
    """What loses more than is demanded."""
    judged = [
        (name, way, loss(made), most)
        for name, one in found.items()
        for way, made in one.ways.items()
        if (most := demanded(name, way)) is not None
    ]
    told = [
        f"{name} with {WAYS[way]} loses {lost:.2f} points where {most} are allowed"
        for name, way, lost, most in judged
        if lost > most
    ]
    met = f"{len(judged) - len(told)} of {len(judged)} demands are met"
    return [f"{met}{': ' * bool(told)}{'; '.join(told)}."] if judged else []


def loss(made: Made) -> float:
    """Of top-1, in points; negative for a gain."""
    assert made.int8.drift is not None
    return -100 * made.int8.drift.top1.value


def demanded(name: str, way: Way) -> float | None:
    """Points that may be lost at most."""
    alpha = parse_name(name)[1]
    assert alpha is not None
    return {"plain": None, "remedies": 0.3 if alpha >= 0.5 else 1.0, "qat": 0.2}[way]


def missing(found: Mapping[str, Compared]) -> list[str]:
    """Which of ``NAMES`` were not measured yet, by which way."""
    told = []
    for name in NAMES:
        there = found[name].ways if name in found else {}
        lacking = [said for way, said in WAYS.items() if way not in there]
        if lacking:
            told.append(name if len(lacking) == len(WAYS) else f"{name} ({', '.join(lacking)})")
    return ["", f"Not measured yet: {', '.join(told)}."] if told else []


def main() -> None:
    name, checkpoint, work, out = sys.argv[1], *map(Path, sys.argv[2:])
    stages = [*sorted((out / "stages").glob(f"{name}-*.json")), out / f"{name}.json"]
    found = Compared(
        network=name,
        training=tuple(
            msgspec.json.decode(path.read_bytes(), type=Outcome)
            for path in stages
            if path.is_file()
        ),
        weights_sha256=checkpoints.read_record(checkpoint).weights_sha256,
        machine=Probe().machine(),
        ways={way: made(work, way) for way in WAYS if (work / f"{way}.drift.json").is_file()},
    )
    REMEDIES.mkdir(exist_ok=True)
    text = msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n"
    (REMEDIES / f"{name}.json").write_bytes(text)
    print(f"{found.machine.cpu}, {found.machine.cores} cores")
    print(*rows(found), sep="\n")


def made(work: Path, way: Way) -> Made:
    """What WORK holds of one way."""
    calibration = checkpoints.read_record(work / way).calibration
    assert calibration is not None
    return Made(
        command=(work / f"{way}.command").read_text().strip(),
        remedies=calibration.remedies,
        keep_float=calibration.keep_float,
        drift=msgspec.json.decode((work / f"{way}.drift.json").read_bytes(), type=DriftReport),
        robustness=robustness(work / f"{way}.report"),
    )


def robustness(report: Path) -> Robustness | None:
    """What a report of ``edgenet quantize --json`` says of it."""
    found = json.loads(report.read_bytes()) if report.is_file() else {}
    return msgspec.convert(found.get("robustness"), Robustness | None)


if __name__ == "__main__":
    main()
