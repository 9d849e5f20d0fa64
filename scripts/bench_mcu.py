"""The measurements of scripts/bench_mcu, whose header says what they are."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

from edgenet.codegen import emit, qemu
from edgenet.codegen.program import Program, program

# (architecture, width multiplier, input side, classes)
NETWORKS = (("mobilenet_v1", 0.25, 96, 2), ("mobilenet_v1_cifar", 1.0, 32, 10))


class Baseline(NamedTuple):
    """TensorFlow Lite Micro with CMSIS-NN on the same network."""

    instructions: int
    sram: int
    flash: int


# tflite-micro 90b983c2b, CMSIS-NN 4ab83cc3, arm-none-eabi-gcc 12.2.1, QEMU 7.2, official flags;
# by network and core
BASELINES = {
    "mobilenet_v1_025_96": {
        "cortex-m4": Baseline(24_557_490, 104_980, 459_456),
        "cortex-m7": Baseline(24_460_395, 104_980, 457_728),
        "cortex-m55": Baseline(6_917_604, 105_044, 446_208),
    },
    "mobilenet_v1_cifar_100_32": {
        "cortex-m3": Baseline(145_886_996, 233_268, 3_661_872),
        "cortex-m4": Baseline(96_653_301, 233_268, 3_676_400),
        "cortex-m7": Baseline(95_238_488, 233_268, 3_674_672),
        "cortex-m55": Baseline(15_672_003, 233_364, 3_663_152),
    },
}
HEAD = (
    "| model | core | instructions | a multiplication | SRAM | stack | flash | exact |"
    " TFLM + CMSIS-NN: instructions | SRAM | flash |"
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench_mcu", description=__doc__)
    parser.add_argument("models", nargs="*", type=Path, metavar="MODEL.tflite")
    parser.add_argument("--board", action="append", choices=sorted(qemu.BOARDS), help="only these")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result")
    options = parser.parse_args()
    boards = options.board or ["mps2-an385", "mps2-an386", "mps2-an500", "mps3-an547"]
    results = []
    with TemporaryDirectory(prefix="edgenet-bench-") as folder:
        found = [(path.stem, path.read_bytes()) for path in options.models]
        print(HEAD + "\n" + "|---|---|" + "---:|" * 9)
        for name, data in found or map(export, NETWORKS):
            made = program(data, name.lower().replace("-", "_").replace(".", "_"))
            emit.write(made, Path(folder) / name)
            for board in boards:
                results.append(measure(made, Path(folder) / name, board, Path(folder) / board))
                print(line(results[-1]), flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")
    return 0 if all(result["exact"] for result in results) else 1


def measure(made: Program, folder: Path, board: str, workdir: Path) -> dict[str, object]:
    """One model on one board, as JSON takes it."""
    firmware = qemu.build(folder, qemu.board(board), workdir / made.name)
    golden = made.golden(3)
    counted = qemu.run(firmware, golden.inputs[0])
    baseline = BASELINES.get(made.name, {}).get(firmware.board.core)
    return {
        "model": made.name,
        "board": board,
        "core": firmware.board.core,
        "instructions": counted.instructions,
        "macs": made.elimination.macs,
        "sram": firmware.ram,
        "stack": counted.stack,
        "flash": firmware.flash,
        "exact": bool(np.array_equal(counted.outputs, golden.outputs[0])),
        "functions": counted.functions,
        "layers": dict(
            zip((layer.layer.name for layer in made.layers), counted.layers, strict=True)
        ),
        "tflm_cmsis_nn": baseline._asdict() if baseline else None,
    }


def line(result: dict[str, object]) -> str:
    """A row of the table."""
    baseline = result["tflm_cmsis_nn"]
    numbers = [result[key] for key in ("instructions", "sram", "stack", "flash")]
    words = [f"{number:,}" for number in numbers]
    words.insert(1, f"{numbers[0] / result['macs']:.2f}")
    words += ["yes" if result["exact"] else "NO"]
    words += [f"{number:,}" for number in baseline.values()] if baseline else ["", "", ""]
    return "| " + " | ".join([str(result["model"]), str(result["core"]), *words]) + " |"


def export(network: tuple[str, float, int, int]) -> tuple[str, bytes]:
    """An untrained network: weights do not change its speed, but where they make channels dead."""
    import torch

    from edgenet.host import export as exporting
    from edgenet.host.models import build
    from edgenet.host.quantize import Calibrator, example_input
    from edgenet.spec import ModelSpec, Preprocess

    architecture, alpha, side, classes = network
    labels = tuple(f"class {index}" for index in range(classes))
    spec = ModelSpec(architecture, alpha, labels, Preprocess(side, side))
    name = f"{architecture}_{round(100 * alpha):03d}_{side}"
    print(f"exporting {name} ...", file=sys.stderr)
    torch.manual_seed(0)
    untrained = build(spec).eval()
    calibrator = Calibrator(untrained, spec)
    calibrator.observe([torch.rand_like(example_input(spec)) for _ in range(4)])
    models = exporting.convert(untrained, calibrator, spec, ("int8.tflite",))
    return name, models["int8.tflite"]


if __name__ == "__main__":
    sys.exit(main())
