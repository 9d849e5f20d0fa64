"""Writes what docs say of results, and the model cards, from docs/results and docs/remedies.

python scripts/make_docs.py                 write docs/results.md, the model cards, the
                                            table in docs/networks.md, and edgenet fit's own
python scripts/make_docs.py --check         say what differs from them, and end with 1
python scripts/make_docs.py --record NAME DRIFT TRAINING...
                                            first make docs/results/NAME.json: DRIFT is what
                                            'edgenet evaluate --json' printed, each TRAINING
                                            what 'edgenet train --json' printed, in order
"""

from __future__ import annotations

import sys
from pathlib import Path

import mcu_table
import msgspec
import networks_table
import remedy_table
from mcu_records import AccuracyBench, Bench
from network_records import INT8, REFERENCE, Compared, Outcome

from edgenet.architecture import format_name, parse_name
from edgenet.drift.record import DriftReport, Result
from edgenet.fit.accuracy import Measured
from edgenet.host.checkpoint import RECORD, Checkpoint

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "results"
BENCH = ROOT / "docs" / "bench"
MCU, MCU_ACCURACY = BENCH / "mcu.json", BENCH / "mcu_accuracy.json"
TABLE = ROOT / "docs" / "results.md"
WEIGHTS = ROOT / "edgenet" / "host" / "weights"
FIT = ROOT / "edgenet" / "fit" / "measured.json"

NOTE = "<!-- written by scripts/make_docs.py; do not edit -->"


class Recorded(msgspec.Struct):
    """A result file: how a network was trained, and what its bundle was measured to do."""

    script: str
    training: tuple[Outcome, ...]
    drift: DriftReport

    @property
    def name(self) -> str:
        spec = self.training[-1].spec
        return format_name(spec["arch"], spec["alpha"], self.training[-1].side)

    @property
    def results(self) -> dict[str, Result]:
        return {result.variant: result for result in self.drift.results}


def main() -> None:
    arguments = sys.argv[1:]
    if arguments[:1] == ["--record"]:
        record(arguments[1], Path(arguments[2]), [Path(name) for name in arguments[3:]])
    stale = []
    for path, text in pages().items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            stale.append(path.relative_to(ROOT))
            if "--check" not in arguments:
                path.write_text(text, encoding="utf-8")
    for name in stale:
        print(f"{name} {'is out of date' if '--check' in arguments else 'written'}")
    if stale and "--check" in arguments:
        sys.exit("run: python scripts/make_docs.py")


def record(name: str, drift: Path, training: list[Path]) -> None:
    """Put the files of a run together as docs/results/NAME.json."""
    found = Recorded(
        script=f"scripts/train_{name.rpartition('_')[2]}",
        training=tuple(msgspec.json.decode(path.read_bytes(), type=Outcome) for path in training),
        drift=msgspec.json.decode(drift.read_bytes(), type=DriftReport),
    )
    RESULTS.mkdir(exist_ok=True)
    text = msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n"
    (RESULTS / f"{name}.json").write_bytes(text)


def read(path: Path) -> Recorded:
    """One result file."""
    return msgspec.json.decode(path.read_bytes(), type=Recorded)


def pages() -> dict[Path, str]:
    """Every generated page and its text."""
    found = {path.stem: read(path) for path in sorted(RESULTS.glob("*.json"))}
    compared = remedy_table.read()
    own = measured(found, compared)
    made = {TABLE: table(found, compared), FIT: listed(own)}
    for folder in sorted(WEIGHTS.iterdir()):
        made[folder / "README.md"] = card(folder, found[folder.name])
    made[networks_table.PAGE] = networks_table.page(own)
    return made


def measured(found: dict[str, Recorded], compared: dict[str, Compared]) -> list[Measured]:
    """Top-1 of int8 without remedies, of every network: this project's own table."""
    rows = {
        name: (
            one.ways["plain"].int8,
            one.ways["plain"].drift.dataset,
            f"docs/remedies/{name}.json",
        )
        for name, one in compared.items()
        if "plain" in one.ways
    }
    rows |= {
        one.name: (one.results[INT8], one.drift.dataset, f"docs/results/{name}.json")
        for name, one in found.items()
    }
    own = []
    for name, (result, data, source) in sorted(rows.items()):
        arch, alpha, side = parse_name(name)
        assert alpha is not None
        assert side is not None
        top1 = round(result.top1.value, 6)
        own.append(Measured(arch, alpha, side, top1, data, f"{source}, {INT8}"))
    return own


def listed(own: list[Measured]) -> str:
    """The file that ``edgenet fit --accuracy measured`` reads, a network a line."""
    lines = ",\n ".join(msgspec.json.encode(one).decode() for one in own)
    return f"[{lines}]\n"


def table(found: dict[str, Recorded], compared: dict[str, Compared]) -> str:
    """docs/results.md."""
    rows = [
        "| network | data | fp32 top-1 | int8 top-1 | change | 95 % interval | agreement | SQNR |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for result in found.values():
        fp32, int8 = result.results[REFERENCE], result.results[INT8]
        drift = int8.drift
        assert drift is not None
        low, high = 100 * drift.top1.low, 100 * drift.top1.high
        rows.append(
            f"| {result.name} | {result.drift.dataset}, {result.drift.images:,} pictures of "
            f"{result.drift.split} | {fp32.top1.value:.2%} | {int8.top1.value:.2%} | "
            f"{100 * drift.top1.value:+.2f} | {low:+.2f} to {high:+.2f} | "
            f"{drift.agreement.value:.2%} | {drift.snr_db:.1f} dB |"
        )
    made = [
        f"- **{result.name}** on {result.drift.dataset}: `{result.script}`, seed "
        f"{result.training[-1].seed}, {told(result)}."
        for result in found.values()
    ]
    return "\n".join(
        [
            NOTE,
            "# Results",
            "",
            "Networks trained and quantized by this repository's own scripts, measured by "
            "`edgenet evaluate`. 'Change' is int8 against fp32 in percentage points of top-1, "
            "with the interval of the paired difference; [quantization.md](quantization.md) says "
            "what each number means. The files that this page is written from are in "
            "[results](results).",
            "",
            *rows,
            "",
            "How each was trained:",
            "",
            *made,
            "",
            *remedy_table.section(compared),
            "## Benchmarks",
            "",
            "Written by the scripts themselves, each against its baseline in the same run; "
            "the files are in [bench](bench).",
            "",
            *benchmarks(),
            "",
            *microcontrollers(),
        ]
    )


def benchmarks() -> list[str]:
    """The rows of docs/bench/*.json."""
    rows = ["| what | measured | demanded | command | machine |", "|---|---|---|---|---|"]
    for path in sorted(set(BENCH.glob("*.json")) - {MCU, MCU_ACCURACY}):
        found = msgspec.json.decode(path.read_bytes())
        machine = f"{found['machine']['cpu']}, {found['machine']['cores']} cores"
        rows += [
            f"| {one['what']} | {one['measured']} | {one['demanded']} | `{found['command']}` "
            f"| {machine} |"
            for one in found["results"]
        ]
    return rows


def microcontrollers() -> list[str]:
    """What scripts/bench_mcu and scripts/bench_mcu_accuracy measured."""
    return [
        *mcu_table.section(msgspec.json.decode(MCU.read_bytes(), type=Bench)),
        *mcu_table.accuracy(msgspec.json.decode(MCU_ACCURACY.read_bytes(), type=AccuracyBench)),
    ]


def told(result: Recorded) -> str:
    """The stages of a training in a line."""
    stages = ", then ".join(f"{one.epochs} epochs at {one.side} px" for one in result.training)
    hours = sum(one.seconds for one in result.training) / 3600
    return f"{stages}; {hours:.1f} h on {result.training[-1].device}"


def card(folder: Path, result: Recorded) -> str:
    """The model card of a checkpoint that ships."""
    checkpoint = msgspec.json.decode((folder / RECORD).read_bytes(), type=Checkpoint)
    calibration = checkpoint.calibration
    assert calibration is not None
    preprocess, data = checkpoint.spec.preprocess, result.training[-1].data
    size = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    accuracy = [
        f"| {variant} | {one.top1.value:.2%} | {one.top1.low:.2%} to {one.top1.high:.2%} |"
        for variant, one in result.results.items()
    ]
    images = ", ".join(f"{count:,} in {split}" for split, count in data["images"].items())
    return "\n".join(
        [
            NOTE,
            f"# {folder.name}",
            "",
            f"{result.name}: a classifier of {len(checkpoint.spec.labels)} kinds of photographs, "
            "for first contact with edgenet and as a start for transfer learning.",
            "",
            f"- **Classes:** {', '.join(checkpoint.spec.labels)}",
            f"- **Input:** RGB, {preprocess.width}x{preprocess.height} pixels, "
            f"{preprocess.resize}, scaled to 0..1",
            f"- **Data:** {data['name']} ({images}): ten classes of ImageNet, squashed to square. "
            "No picture ships with edgenet.",
            f"- **Training:** from random weights with `{result.script}`, seed "
            f"{checkpoint.seed}: {told(result)}. The weights are those of the last epoch; "
            "none was picked by its score.",
            f"- **Calibration:** recorded, from {calibration.record.images} pictures of "
            f"{calibration.record.source} ({calibration.record.method}); export needs none.",
            f"- **Stored:** {size / 1e6:.1f} MB, matrices in float16",
            f"- **Made with:** {', '.join(f'{k} {v}' for k, v in checkpoint.versions.items())}",
            "",
            f"Top-1 on {result.drift.images:,} pictures of {result.drift.split}, which training "
            "and calibration never saw:",
            "",
            "| model | top-1 | 95 % interval |",
            "|---|---:|---:|",
            *accuracy,
            "",
            "**Limits.** It knows ten classes and gives one of them to every picture; its "
            "confidence on anything else means nothing. The photographs are ImageNet's: web "
            "pictures, mostly centred. Do not use it to decide anything about people.",
            "",
        ]
    )


if __name__ == "__main__":
    main()
