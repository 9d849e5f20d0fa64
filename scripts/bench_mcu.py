"""The measurements of scripts/bench_mcu, whose header says what they are."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import mcu_gate
import mcu_table
import msgspec
from benchmark_networks import NETWORKS
from mcu_baselines import BUDGETS
from mcu_measure import generate, measure, tools, write
from mcu_records import Bench, Measured, Variant

from edgenet import __version__
from edgenet.codegen import qemu
from edgenet.environment import Probe
from edgenet.errors import EdgenetError

BOARDS = ("mps2-an385", "mps2-an386", "mps2-an500", "mps2-an505", "mps3-an547")
# constants of 4 MB: only where flash is large
LARGE = {"mobilenet_v1_100_224": ("mps2-an500", "mps3-an547")}
LEFT_IN: Variant = "dead channels left in"


def main() -> int:
    options = parse()
    if options.renew:
        mcu_gate.renew()
        print(f"{mcu_gate.BASELINE.name} written; commit it with the reason for its change")
        return 0
    rows: list[Measured] = []
    failed: list[str] = []
    print(mcu_table.HEAD)
    with TemporaryDirectory(prefix="edgenet-bench-") as folder:
        for one in measurements(options, Path(folder), failed):
            rows.append(one)
            print(mcu_table.row(one), flush=True)
    print("\n".join(["", *mcu_table.elimination(rows)]))
    made = tools()
    machine = Probe().machine()
    print(f"\n{machine.cpu}; {made.compiler}; {made.emulator}; {command()}")
    missed = mcu_table.missed(rows)
    demanding = sum(bool(mcu_table.verdict(one)) for one in rows)
    print(f"{demanding - missed} of {demanding} rows with demands meet them; {len(rows)} in all")
    if options.json:
        bench = Bench(
            command=command(), edgenet=__version__, machine=machine, tools=made, rows=tuple(rows)
        )
        text = msgspec.json.format(msgspec.json.encode(bench), indent=1) + b"\n"
        options.json.write_bytes(text)
    if failed:
        print(f"not generated: {', '.join(failed)}")
    return 1 if missed or failed else 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench_mcu", description=__doc__)
    parser.add_argument("models", nargs="*", type=Path, metavar="MODEL.tflite")
    parser.add_argument("--board", action="append", choices=BOARDS, help="only these")
    parser.add_argument(
        "--network", action="append", choices=networks(), help="only these, and no MODEL"
    )
    parser.add_argument("--sram-budget", type=int, metavar="BYTES", help="for each MODEL")
    parser.add_argument("--renew", action="store_true", help="write the baseline of the CI gate")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result")
    options = parser.parse_args()
    for path in options.models:
        if not path.is_file():
            parser.error(f"{path}: no such file")
    return options


def networks() -> dict[str, Callable[[], bytes]]:
    return {**NETWORKS, "dead_channels": mcu_gate.DEAD_CHANNELS.read_bytes}


def measurements(
    options: argparse.Namespace, folder: Path, failed: list[str]
) -> Iterator[Measured]:
    """Every row, model by model; names of models that no C can be made of go into ``failed``."""
    chosen = {
        path.stem.lower().replace("-", "_").replace(".", "_"): path.read_bytes
        for path in options.models
    }
    for name, read in (chosen or networks()).items():
        if options.network and name not in options.network:
            continue
        data = read()
        ways: list[tuple[Variant, int | None]] = [("", options.sram_budget)]
        ways += [("", BUDGETS[name])] if name in BUDGETS else []
        ways += [(LEFT_IN, None)] if name == "dead_channels" else []
        for way, (variant, budget) in enumerate(ways):
            try:
                made = generate(data, name, variant, budget=budget)
            except EdgenetError as error:
                print(error, file=sys.stderr)
                failed.append(name)
                continue
            place = write(made, folder / str(way))
            for board in options.board or LARGE.get(name, BOARDS):
                yield measure(made, place, board, variant=variant, budget=budget)


def command() -> str:
    """What was typed, without the file that it writes."""
    words = sys.argv[1:]
    if "--json" in words:
        at = words.index("--json")
        words = words[:at] + words[at + 2 :]
    return " ".join(["scripts/bench_mcu", *words])


if __name__ == "__main__":
    assert qemu.BOARDS.keys() >= set(BOARDS)
    sys.exit(main())
