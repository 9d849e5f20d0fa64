"""The measurements of scripts/bench_mcu_accuracy, whose header says what they are."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import mcu_table
import msgspec
from mcu_accuracy import evaluate
from mcu_records import AccuracyBench

from edgenet import __version__
from edgenet.bundle import Bundle
from edgenet.environment import Probe


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench_mcu_accuracy", description=__doc__)
    parser.add_argument("pairs", nargs="+", metavar="BUNDLE DATA")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result")
    options = parser.parse_args()
    if len(options.pairs) % 2:
        parser.error("every BUNDLE needs its DATA behind it")
    results = []
    print(mcu_table.ACCURACY_HEAD)
    for bundle, data in zip(options.pairs[::2], options.pairs[1::2], strict=True):
        results.append(evaluate(Bundle.open(Path(bundle)), data))
        print(mcu_table.accuracy_row(results[-1]), flush=True)
    if options.json:
        found = AccuracyBench(
            command="scripts/bench_mcu_accuracy" + " BUNDLE DATA" * len(results),
            edgenet=__version__,
            machine=Probe().machine(),
            results=tuple(results),
        )
        text = msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n"
        options.json.write_bytes(text)
    return 1 if any(one.different_logits for one in results) else 0


if __name__ == "__main__":
    sys.exit(main())
