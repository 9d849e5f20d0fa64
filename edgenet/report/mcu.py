"""What a model takes on a microcontroller, as text."""

from __future__ import annotations

from edgenet.board import Board
from edgenet.mcu import budget
from edgenet.mcu.budget import Budget
from edgenet.mcu.counting import Counts
from edgenet.mcu.make import Made
from edgenet.report.text import table

COUNTERS = {
    "plugin": "each counted as it was executed",
    "dwt": "by the core's cycle counter",
    "own": "by the board's own counter",
    "systick": "by SysTick",
}
NO_TIME = "Instructions are neither cycles nor time."


def made(found: Made, board: Board | None) -> str:
    """What export says of the program it wrote, and the commands that come next."""
    root, program = found.bundle.root, found.bundle.manifest.program
    assert program is not None
    lines = [
        f"C in {root}/c: {program.arena:,} bytes of RAM (arena), {program.constants:,} bytes of"
        f" constants in flash, {program.macs:,} multiplications",
        f"  arithmetic {program.rounding}: bit for bit that of TensorFlow Lite Micro",
    ]
    lines += [] if board is None else _fit(found.needs, board)
    if found.without_frames:
        lines.append(f"  no C turns frames into the model's input: {found.without_frames}")
    on_qemu = board is not None and (board.emulation or board.counted_on)
    here = "" if on_qemu or board is None else " --board host"
    counted = "" if on_qemu else " --board mps2-an386"
    lines += [
        "Next:",
        f"  edgenet verify {root}{here}",
        f"  edgenet evaluate {root} --board host --data DIR",
        f"  edgenet profile {root}{counted}  counts instructions in QEMU",
        f"  edgenet run {root} --port /dev/ttyACM0 --source PICTURES",
    ]
    return "\n".join(lines)


def _fit(needs: Budget, board: Board) -> list[str]:
    """How much of a board a program takes, and what is not counted."""
    if board.flash_bytes is None and board.ram_bytes is None:
        return []
    reason = "" if needs.code is not None else budget.uncounted(board)
    parts = [
        f"{needed:,} of {there:,} bytes of {what}"
        for needed, there, what in (
            (needs.flash, board.flash_bytes, "flash, without code" if reason else "flash"),
            (needs.ram, board.ram_bytes, "RAM, with its stack"),
        )
        if there is not None
    ]
    whole = "the model and its code fit" if not reason else "the model less its code fits"
    lines = [f"  {whole} {board.name}: {'; '.join(parts)}"]
    lines += [f"  code is not counted: {reason}"] if reason else []
    if needs.proof:
        lines.append(
            f"  not in that: {needs.proof:,} bytes of flash of the selftest's pictures where it is"
            " called, and your own program"
        )
    return lines


def noted(counts: Counts) -> str:
    """A sentence beside predictions of an emulated board."""
    return (
        f"an inference on {counts.board} ({counts.core}) takes {counts.total:,} instructions,"
        " counted in QEMU; no time was measured, and none is shown"
    )


def place(counts: Counts) -> str:
    """What was counted on: board, core, and QEMU's machine or the port."""
    emulated = counts.unit == "instructions"
    where = f"QEMU's {counts.machine}" if emulated else f"port {counts.machine}"
    return f"{counts.board} ({counts.core}), {where}"


def text(counts: Counts) -> str:
    """The whole record."""
    return "\n".join([*_head(counts), *_layers(counts), *_functions(counts)]) + "\n"


def _head(counts: Counts) -> list[str]:
    lines = [
        f"{counts.bundle} on {place(counts)}",
        f"  {counts.total:,} {counts.unit} an inference ({COUNTERS[counts.counter]}),"
        f" {counts.total / max(1, counts.macs):.2f} a multiplication",
    ]
    if counts.unit == "instructions":
        lines.append(f"  {NO_TIME}")
    known = (("flash", counts.flash), ("RAM", counts.ram), ("stack", counts.stack))
    lines.append("  " + ", ".join(f"{n:,} bytes of {what}" for what, n in known if n is not None))
    return lines


def _layers(counts: Counts) -> list[str]:
    if not counts.layers:
        return []
    rows = [
        [one.layer, one.kernel, f"{one.macs:,}", f"{one.count:,}", share(one.count, counts)]
        for one in counts.layers
    ]
    return ["", table(["layer", "kernel", "multiplications", counts.unit, "share"], rows, texts=2)]


def _functions(counts: Counts) -> list[str]:
    if not counts.functions:
        return []
    rows = [
        [name, f"{number:,}", share(number, counts)]
        for name, number in list(counts.functions.items())[:8]
    ]
    return ["", table(["function", counts.unit, "share"], rows)]


def share(number: int, counts: Counts) -> str:
    """Of the whole, in percent."""
    return f"{number / max(1, counts.total):.1%}"
