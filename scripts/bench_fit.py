"""The measurements of scripts/bench_fit, whose header says what they are."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import msgspec
import numpy as np

from edgenet.board import load
from edgenet.codegen import tools, untrained
from edgenet.environment import Probe
from edgenet.errors import EngineError
from edgenet.fit import calibration, latency, linked
from edgenet.fit.calibration import Seen
from edgenet.fit.generated import Generator, generate
from edgenet.fit.point import Point, grid
from edgenet.profile import memory
from edgenet.report.text import table

CLASSES = 1000
BOARD = "stm32f746"
ON_BOARD = 20  # networks whose whole program is linked
AIM = 0.15
SECONDS = 0.6  # of inferences in each process


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench_fit", description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(json.dumps(measured(options.worker, options.threads)))
        return 0
    machine = Probe().machine()
    print(f"{machine.cpu}, {options.threads} threads; {options.rounds} rounds")
    seen = on_this_machine(points(), options.threads, options.rounds, machine.cpu or "")
    rows = predicted(seen[::2], seen[1::2])
    print(
        table(["network", "ms", "predicted", "", "RAM", "predicted", ""], [shown(r) for r in rows])
    )
    boards = on_board(points()[:: max(1, len(points()) // ON_BOARD)])
    results = [*told(rows), *([board_told(boards)] if boards else [])]
    print()
    for one in results:
        print(f"{one['what']}: {one['measured']}; demanded: {one['demanded']}")
    if options.json:
        record = {
            "command": "scripts/bench_fit",
            "machine": msgspec.to_builtins(machine),
            "state": msgspec.to_builtins(Probe().whole_state()),
            "results": results,
            "threads": options.threads,
            "rounds": options.rounds,
            "networks": rows,
            "board": BOARD,
            "bytes": boards,
        }
        options.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return int(not all(one["met"] for one in results))


def told(rows: Sequence[dict]) -> list[dict]:
    """The errors of all predictions, as docs tell them."""
    found = []
    for what, key, aim in (("latency", "latency_error", AIM), ("RAM", "ram_error", None)):
        errors = [abs(row[key]) for row in rows if row[key] is not None]
        if errors:
            found.append(
                {
                    "what": f"edgenet fit: {what} of {len(errors)} networks that did not calibrate",
                    "measured": f"off by {median(errors):.1%} in the median, {max(errors):.1%} at"
                    " most",
                    "demanded": f"{aim:.0%} in the median" if aim else "-",
                    "met": aim is None or median(errors) <= aim,
                }
            )
    return found


def board_told(rows: Sequence[dict]) -> dict:
    same = sum(row["predicted"] == row["linked"] for row in rows)
    return {
        "what": f"edgenet fit: flash and RAM on {BOARD} against {len(rows)} linked programs",
        "measured": f"{same} equal to the byte",
        "demanded": "all",
        "met": same == len(rows),
    }


def points() -> list[Point]:
    """In an order in which every second one has all families, alphas and sides among it."""
    archs = ["v1", "v2", "mobilenet_v3_small_minimalistic", "mobilenet_v3_large_minimalistic"]
    found = grid(archs, [], [96, 128, 160, 224], CLASSES)
    order = np.random.default_rng(0).permutation(len(found))
    return [found[index] for index in order]


def on_this_machine(chosen: Sequence[Point], threads: int, rounds: int, host: str) -> list[Seen]:
    with tempfile.TemporaryDirectory(prefix="edgenet-bench-") as folder:
        files = [Path(folder, f"{point.name}.tflite") for point in chosen]
        for point, file in zip(chosen, files, strict=True):
            layers = [one.layer for one in point.cost().layers]
            file.write_bytes(untrained.model(layers, point.side, point.side))
        answers: list[list[dict]] = [[] for _ in chosen]
        for number in range(rounds):
            for index, file in enumerate(files):
                print(f"\r  round {number + 1}: {index + 1}/{len(files)} ", end="", file=sys.stderr)
                answers[index].append(worker(file, threads))
        print(file=sys.stderr)
    return [
        Seen(
            point,
            "int8.tflite",
            threads,
            median(one["ms"] for one in found),
            operators(point, found),
            round(median(one["ram"] for one in found)) if found[0]["ram"] else None,
            host,
            found[0]["engine"],
        )
        for point, found in zip(chosen, answers, strict=True)
    ]


def operators(point: Point, found: Sequence[dict]) -> tuple[float, ...]:
    """The least of the rounds' means: nothing but interruptions makes an operator slower."""
    if not all(latency.matches(one["names"], point.cost()) for one in found):
        return ()
    return tuple(np.min([one["operators"] for one in found], axis=0).tolist())


def worker(file: Path, threads: int) -> dict:
    command = [sys.executable, __file__, "--worker", str(file), "--threads", str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def measured(file: Path, threads: int) -> dict:
    """One process: the median inference, the memory that it took, and its operators."""
    before = memory.resident()
    from edgenet.runtime import litert

    memory.reset_peak()
    session = litert.LiteRT().open(file, threads=threads)
    noise = np.random.default_rng(0).integers(-128, 128, session.inputs[0].shape).astype(np.int8)
    session.run([noise])
    times: list[float] = []
    until = time.perf_counter() + SECONDS
    while len(times) < 20 or time.perf_counter() < until:
        start = time.perf_counter()
        session.invoke()
        times.append(1000 * (time.perf_counter() - start))
    peak = memory.peak()
    found = {"ms": median(times), "ram": peak - before if peak and before else None}
    try:
        from edgenet.runtime import litert_profiler

        each = litert_profiler.operator_times(file, threads=threads, runs=30, warmup_runs=5)
    except EngineError:
        each = []
    return found | {
        "engine": litert.engine()[1],
        "names": [name for _, name, _ in each],
        "operators": [ms for _, _, ms in each],
    }


def predicted(train: Sequence[Seen], test: Sequence[Seen]) -> list[dict]:
    (rates,) = calibration.calibrate(train, "pc").rates
    rows = []
    for one in test:
        ms = rates.latency.of(one.point.cost())
        ram = rates.memory.of(one.point) if rates.memory else None
        rows.append(
            {
                "network": one.point.name,
                "ms": one.invoke_ms,
                "predicted_ms": ms,
                "latency_error": ms / one.invoke_ms - 1,
                "ram": one.ram,
                "predicted_ram": ram,
                "ram_error": ram / one.ram - 1 if ram and one.ram else None,
            }
        )
    return sorted(rows, key=lambda row: row["ms"])


def shown(row: dict) -> tuple[object, ...]:
    ram = [None if row[key] is None else f"{row[key]:,}" for key in ("ram", "predicted_ram")]
    error = None if row["ram_error"] is None else f"{row['ram_error']:+.1%}"
    times = f"{row['ms']:.2f}", f"{row['predicted_ms']:.2f}", f"{row['latency_error']:+.1%}"
    return row["network"], *times, *ram, error


def on_board(chosen: Sequence[Point]) -> list[dict]:
    if tools.lacking(tools.COMPILER):
        return []
    board, rows = load(BOARD), []
    generator = Generator(board)
    for point in chosen:
        found = generator.footprint(point)
        with tempfile.TemporaryDirectory(prefix="edgenet-bench-") as folder:
            whole = linked.build(generate(point), board, Path(folder))
        rows.append(
            {
                "network": point.name,
                "predicted": [found.flash, found.ram],
                "linked": [whole.flash, whole.ram],
            }
        )
    return rows


if __name__ == "__main__":
    sys.exit(main())
