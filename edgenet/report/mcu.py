"""What a model takes on a microcontroller, as text."""

from __future__ import annotations

from edgenet.board import Board
from edgenet.bundle import Bundle
from edgenet.mcu.counting import Counts
from edgenet.report.text import table

_COUNTERS = {
    "plugin": "each counted as it was executed",
    "dwt": "by the core's cycle counter",
    "own": "by the board's own counter",
    "systick": "by SysTick",
}


def made(bundle: Bundle, board: Board | None) -> str:
    """What export says of the program it wrote."""
    program = bundle.manifest.program
    assert program is not None
    fits = "" if board is None else f"; it fits {board.name}"
    options = "" if board is None else f" --board {board.name}"
    return "\n".join(
        [
            f"C in {bundle.root}/c: {program.arena:,} bytes of RAM (arena), {program.constants:,}"
            f" bytes of constants in flash, {program.macs:,} multiplications{fits}",
            f"  arithmetic {program.rounding}: bit for bit that of TensorFlow Lite Micro",
            f"  edgenet profile {bundle.root} --board "
            + (board.name if board and (board.emulation or board.counted_on) else "mps2-an386")
            + "  counts instructions in QEMU",
        ]
        + (
            [f"  edgenet run {bundle.root}{options} --port /dev/ttyACM0 --source PICTURES"]
            if board
            else []
        )
    )


def noted(counts: Counts) -> str:
    """A sentence beside predictions of an emulated board."""
    return (
        f"an inference on {counts.board} ({counts.core}) takes {counts.total:,} instructions,"
        " counted in QEMU; the times below are the emulator's, not the board's"
    )


def text(counts: Counts) -> str:
    """The whole record."""
    return "\n".join([*_head(counts), *_layers(counts), *_functions(counts)]) + "\n"


def _head(counts: Counts) -> list[str]:
    where = (
        f"QEMU's {counts.machine}" if counts.unit == "instructions" else f"port {counts.machine}"
    )
    lines = [
        f"{counts.bundle} on {counts.board} ({counts.core}), {where}",
        f"  {counts.total:,} {counts.unit} an inference ({_COUNTERS[counts.counter]}),"
        f" {counts.total / max(1, counts.macs):.2f} a multiplication",
    ]
    if counts.unit == "instructions":
        lines.append("  Instructions are neither cycles nor time.")
    known = (("flash", counts.flash), ("RAM", counts.ram), ("stack", counts.stack))
    lines.append("  " + ", ".join(f"{n:,} bytes of {what}" for what, n in known if n is not None))
    return lines


def _layers(counts: Counts) -> list[str]:
    if not counts.layers:
        return []
    rows = [
        [one.layer, one.kernel, f"{one.macs:,}", f"{one.count:,}", f"{_share(one.count, counts)}"]
        for one in counts.layers
    ]
    return ["", table(["layer", "kernel", "multiplications", counts.unit, "share"], rows, texts=2)]


def _functions(counts: Counts) -> list[str]:
    if not counts.functions:
        return []
    rows = [
        [name, f"{number:,}", _share(number, counts)]
        for name, number in list(counts.functions.items())[:8]
    ]
    return ["", table(["function", counts.unit, "share"], rows)]


def _share(number: int, counts: Counts) -> str:
    return f"{number / max(1, counts.total):.1%}"
