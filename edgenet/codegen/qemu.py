"""Builds a written program for a board that QEMU emulates, runs it there, and counts instructions.

Counts are exact and the same in every run: of instructions, not of cycles or time.
"""

from __future__ import annotations

import itertools
import re
import shutil
import struct
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from edgenet.errors import TargetError, UsageError, unknown
from edgenet.int8.graph import Array

COMPILER = "arm-none-eabi-gcc"
EMULATOR = "qemu-system-arm"
FLAGS = ("-std=c99", "-O2", "-ffunction-sections", "-fdata-sections")


@dataclass(frozen=True, slots=True)
class Board:
    """A machine of QEMU.

    Attributes:
        machine: its name there.
        core: for the compiler.
        script: of the linker.
        tick: instructions for a tick of SysTick under ``-icount shift=0``.
        base: where the program lies.
    """

    machine: str
    core: str
    script: str
    tick: float
    base: int = 0


BOARDS = {
    board.machine: board
    for board in (
        Board("mps2-an385", "cortex-m3", "mps2.ld", 40),
        Board("mps2-an386", "cortex-m4", "mps2.ld", 40),
        Board("mps2-an500", "cortex-m7", "mps2.ld", 40),
        Board("mps2-an505", "cortex-m33", "an505.ld", 50, 0x10000000),
        Board("mps3-an547", "cortex-m55", "an547.ld", 31.25, 0x70000000),
    )
}


@dataclass(frozen=True, slots=True)
class Firmware:
    """A program, linked.

    Attributes:
        elf: the file.
        board: that it runs on.
        flash: bytes of code and constants of the model, without what the test needs around it.
        ram: bytes of the arena and of the model's variables, of which there are none.
        layers: of the model.
        outputs: bytes of a result.
    """

    elf: Path
    board: Board
    flash: int
    ram: int
    layers: int
    outputs: int


@dataclass(frozen=True, slots=True)
class Counted:
    """What a run gave.

    Attributes:
        outputs: int8 (pictures, size).
        instructions: of one inference; by SysTick in its steps where the plugin was not asked for.
        functions: of one inference, by function.
        layers: of one inference, by layer.
        stack: bytes, at the deepest.
    """

    outputs: Array
    instructions: int
    functions: dict[str, int]
    layers: tuple[int, ...]
    stack: int


def board(name: str) -> Board:
    """A board by its name.

    Raises:
        UsageError: there is no such board.
    """
    if name not in BOARDS:
        raise UsageError(unknown("board", name, BOARDS))
    return BOARDS[name]


def build(folder: Path, board: Board, workdir: Path, *, flags: Sequence[str] = ()) -> Firmware:
    """Compile and link what ``emit.write`` wrote.

    Args:
        folder: of the program.
        board: to build for.
        workdir: where objects and the ELF file go.
        flags: for the compiler, after its own.

    Raises:
        TargetError: a tool is missing, or the program does not compile.
    """
    name, macros = _model(folder)
    workdir.mkdir(parents=True, exist_ok=True)
    core = [f"-mcpu={board.core}", "-mthumb", "-mfloat-abi=hard", "-mfpu=auto"]
    if board.core == "cortex-m3":
        core = core[:2]
    upper = name.upper()
    words = ["ARENA_BYTES", "IN_LEN", "OUT_LEN"]
    functions = ["input", "output", "run", "run_hooked"]
    lines = [f'#include "{name}.h"', *(f"#define MODEL_{word} {upper}_{word}" for word in words)]
    lines += [f"#define model_{function} {name}_{function}" for function in functions]
    (workdir / "model.h").write_text("\n".join(lines) + "\n")
    sources = folder / "src"
    mine = [path for path in sorted(sources.glob("*.c")) if path.name != f"{name}_selftest.c"]
    objects = [
        _compile(path, workdir, [*core, *FLAGS, *flags, f"-I{sources}", f"-I{workdir}"])
        for path in mine
    ]
    elf = workdir / f"{name}.elf"
    with resources.as_file(resources.files("edgenet.codegen") / "firmware") as firmware:
        harness = [
            _compile(
                firmware / file,
                workdir,
                [*core, "-O2", "-ffreestanding", f"-I{sources}", f"-I{workdir}", f"-I{firmware}"],
            )
            for file in ("start.c", "main.c")
        ]
        link = ["-nostartfiles", "--specs=nano.specs", "-Wl,--gc-sections", f"-L{firmware}"]
        command = [COMPILER, *core, *link, f"-T{firmware / board.script}"]
        linker_map = workdir / f"{name}.map"
        command += [f"-Wl,-Map={linker_map}", "-o", str(elf)]
        _tool([*command, *map(str, [*objects, *harness])])
        plugin = ["cc", "-O2", "-shared", "-fPIC", str(firmware / "count.c")]
        _tool([*plugin, "-o", str(workdir / _PLUGIN)])
    return Firmware(
        elf=elf,
        board=board,
        flash=_flash(linker_map.read_text(), {path.name for path in harness}),
        ram=macros["ARENA_BYTES"],
        layers=macros["LAYERS"],
        outputs=macros["OUT_LEN"],
    )


def run(firmware: Firmware, inputs: Array, *, plugin: bool = True) -> Counted:
    """Run pictures, and count the first.

    Args:
        firmware: to run.
        inputs: int8 (pictures, size).
        plugin: count by the plugin; otherwise by SysTick, which knows neither functions nor layers.

    Raises:
        TargetError: QEMU is missing, or the program stopped before its end.
    """
    pictures = np.ascontiguousarray(inputs, np.int8).reshape(len(inputs), -1)
    # the second picture is the one that layers are counted on
    given = np.concatenate([pictures, pictures[:1]]) if len(pictures) == 1 else pictures
    with TemporaryDirectory(prefix="edgenet-qemu-") as folder:
        work = Path(folder)
        (work / "in.bin").write_bytes(given.tobytes())
        command = [EMULATOR, "-M", firmware.board.machine, "-nographic", "-monitor", "none"]
        command += ["-serial", "none", "-semihosting-config", "enable=on,target=native"]
        if plugin:
            marks = _addresses(firmware.elf)
            options = ",".join(f"{word}={marks[f'count_{word}']:#x}" for word in _MARKS)
            library = firmware.elf.with_name(_PLUGIN)
            command += ["-plugin", f"{library},{options},base={firmware.board.base:#x},out=counts"]
        else:
            command += ["-icount", "shift=0"]
        _tool([*command, "-kernel", str(firmware.elf)], work)
        outputs = np.frombuffer((work / "out.bin").read_bytes(), np.int8)
        (stack,) = struct.unpack("<I", (work / "stack.bin").read_bytes())
        (ticks,) = struct.unpack("<I", (work / "ticks.bin").read_bytes())
        counted = (work / "counts").read_text() if plugin else ""
    found = outputs.reshape(-1, firmware.outputs)[: len(pictures)]
    if not plugin:
        return Counted(found, round(ticks * firmware.board.tick), {}, (), stack)
    functions, layers = _read(counted, firmware.elf)
    return Counted(found, sum(functions.values()), functions, layers, stack)


_PLUGIN = "libcount.so"
_MARKS = ("start", "stop", "mark")


def _read(counted: str, elf: Path) -> tuple[dict[str, int], tuple[int, ...]]:
    """Counts by function, the longest first, and by layer."""
    names = sorted((address, name) for name, address in _addresses(elf).items())
    starts = [address for address, _ in names]
    functions: dict[str, int] = {}
    marks = []
    for line in counted.splitlines():
        place, count = line.split()
        if place == "mark":
            marks.append(int(count))
            continue
        name = names[int(np.searchsorted(starts, int(place, 16), "right")) - 1][1]
        functions[name] = functions.get(name, 0) + int(count)
    ordered = dict(sorted(functions.items(), key=lambda item: -item[1]))
    return ordered, tuple(after - before for before, after in itertools.pairwise(marks))


@cache
def _addresses(elf: Path) -> dict[str, int]:
    """Functions by name, without the bit that says Thumb."""
    lines = _tool(["arm-none-eabi-nm", str(elf)]).splitlines()
    rows = [line.split() for line in lines]
    return {name: int(address, 16) & ~1 for address, kind, name in rows if kind in "tTW"}


_PLACED = re.compile(r"^ \.(?:text|rodata|data)\S*\s+0x[0-9a-f]+\s+(0x[0-9a-f]+) (\S+)$", re.M)


def _flash(linker_map: str, harness: set[str]) -> int:
    """Bytes of code and constants that do not come from the harness's objects."""
    placed = linker_map.partition("Linker script and memory map")[2]
    return sum(
        int(size, 16)
        for size, file in _PLACED.findall(placed)
        if file.rpartition("/")[2] not in harness
    )


def _model(folder: Path) -> tuple[str, dict[str, int]]:
    """Name of a written program, and the numbers of its header."""
    found = sorted(folder.glob("src/*_golden.h"))
    if not found:
        raise TargetError(f"{folder} holds no generated program; edgenet.codegen.emit writes one")
    name = found[0].name.removesuffix("_golden.h")
    macros = {}
    for line in (folder / "src" / f"{name}.h").read_text().splitlines():
        words = line.split()
        if len(words) >= 3 and words[0] == "#define" and words[2].rstrip("u").isdigit():
            macros[words[1].removeprefix(f"{name.upper()}_")] = int(words[2].rstrip("u"))
    return name, macros


def _compile(source: Path, workdir: Path, flags: Sequence[str]) -> Path:
    target = workdir / f"{source.stem}.o"
    _tool([COMPILER, *flags, "-c", str(source), "-o", str(target)])
    return target


def _tool(command: Sequence[str], folder: Path | None = None) -> str:
    """What a tool prints.

    Raises:
        TargetError: it is missing or failed; the sentence has its last lines.
    """
    if shutil.which(command[0]) is None:
        raise TargetError(f"{command[0]} is not installed; it builds and runs programs in QEMU")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        words = " ".join((done.stderr or done.stdout).split())[-400:]
        raise TargetError(f"{command[0]} failed with {done.returncode}: {words}")
    return done.stdout
