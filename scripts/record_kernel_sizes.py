"""What scripts/record_kernel_sizes does, whose header says what that is."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import numpy as np

from edgenet.board import boards
from edgenet.codegen.program import Program
from edgenet.fit import recorded
from edgenet.fit.generated import compiler, generate
from edgenet.fit.linked import Linker
from edgenet.fit.nonnegative import solve
from edgenet.fit.point import Point
from edgenet.fit.recorded import Core, Table

PLACE = Path(__file__).resolve().parent.parent / "edgenet" / "fit" / "kernel_sizes.json"
POINTS = (
    Point("mobilenet_v1", 0.25, 96, 10),
    Point("mobilenet_v1", 1.0, 224, 1000),
    Point("mobilenet_v2", 0.35, 96, 10),
    Point("mobilenet_v2", 1.0, 160, 1000),
    Point("mobilenet_v3_small_minimalistic", 1.0, 96, 10),
    Point("mobilenet_v3_large_minimalistic", 1.0, 224, 1000),
)


def main() -> None:
    programs = [generate(point) for point in POINTS]
    # layers that run row by row have kernels of their own
    programs += [
        generate(point, sram_budget=made.plan.size * 3 // 4)
        for point, made in zip(POINTS[:3:2], programs[:3:2], strict=True)
    ]
    cores = {}
    for board in boards():
        if board.core.startswith("cortex-m") and board.core not in cores:
            print(board.core, file=sys.stderr)
            cores[board.core] = core(Linker(board), programs)
    table = Table(compiler(), dict(sorted(cores.items())))
    PLACE.write_bytes(msgspec.json.format(msgspec.json.encode(table), indent=1) + b"\n")


def core(linker: Linker, programs: list[Program]) -> Core:
    found = [linker.code(made) for made in programs]
    kernels = {recorded.key(made): code.kernels for made, code in zip(programs, found, strict=True)}
    counts = [recorded.counted(made) for made in programs]
    names = sorted({name for count in counts for name in count})
    rows = np.array([[float(count[name]) for name in names] for count in counts])
    each = solve(rows, np.array([float(code.calls) for code in found]))
    return Core(kernels, {name: round(float(x), 2) for name, x in zip(names, each, strict=True)})


if __name__ == "__main__":
    main()
