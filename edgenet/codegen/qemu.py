"""Builds a written program for a board that QEMU emulates, runs it there, and counts instructions.

Counts are exact and the same in every run: of instructions, not of cycles or time.
"""

from __future__ import annotations

import itertools
import shutil
import struct
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from edgenet.board import Board, Region, boards, emulated
from edgenet.board import load as board
from edgenet.codegen import elf as elf_file
from edgenet.codegen import tools, written
from edgenet.codegen.tools import COMPILER, EMULATOR, HOST_COMPILER
from edgenet.errors import TargetError, UsageError
from edgenet.int8.graph import Array

__all__ = ["BOARDS", "Counted", "Firmware", "board", "build", "command", "prove", "run"]

FLAGS = ("-std=c99", "-O2", "-ffunction-sections", "-fdata-sections")
BOARDS = {one.name: one for one in boards(emulated=True)}
"""QEMU's own boards, by name."""
HARNESS = ("start.c", "main.c")
_NO_FPU = ("cortex-m0", "cortex-m0plus", "cortex-m3")


@dataclass(frozen=True, slots=True)
class Firmware:
    """A program, linked.

    Attributes:
        elf: the file.
        board: that it is built for.
        flash: bytes of code and constants of the model, without what the test needs around it.
        ram: bytes of the arena; the model has no variables.
        layers: of the model.
        inputs: bytes of a picture.
        outputs: bytes of a result.
    """

    elf: Path
    board: Board
    flash: int
    ram: int
    layers: int
    inputs: int
    outputs: int


@dataclass(frozen=True, slots=True)
class Counted:
    """What a run gave.

    Attributes:
        outputs: int8 (pictures, size).
        instructions: of one inference; by SysTick in its steps where the plugin did not count.
        functions: of one inference, by function.
        layers: of one inference, by layer; empty where the plugin did not count.
        stack: bytes, at the deepest.
    """

    outputs: Array
    instructions: int
    functions: dict[str, int]
    layers: tuple[int, ...]
    stack: int


def core_flags(core: str) -> list[str]:
    """What the compiler is told of a core.

    Raises:
        UsageError: it is none of Arm's microcontroller cores.
    """
    if not core.startswith("cortex-m"):
        raise UsageError(
            f"{COMPILER} has no core {core}; build the generated folder with the board's own"
            " compiler, and give the port of the board with --port"
        )
    fpu = [] if core in _NO_FPU else ["-mfloat-abi=hard", "-mfpu=auto"]
    return [f"-mcpu={core}", "-mthumb", *fpu]


def link_script(board: Board) -> str:
    """For the machine of QEMU that executes the board's code."""
    machine = emulated(board)

    def memory(name: str, flags: str, region: Region) -> str:
        return f"  {name} ({flags}) : ORIGIN = {region.at:#x}, LENGTH = {region.size:#x}"

    places = [
        memory("VECTORS", "rx", machine.vectors),
        memory("FLASH", "rx", machine.flash),
        memory("RAM", "rwx", machine.ram),
    ]
    return "\n".join(["MEMORY {", *places, "}", "INCLUDE sections.ld"]) + "\n"


def build(
    folder: Path,
    board: Board,
    workdir: Path,
    *,
    flags: Sequence[str] = (),
    harness: Sequence[str] = HARNESS,
) -> Firmware:
    """Compile and link what ``emit.write`` wrote.

    Args:
        folder: of the program.
        board: to build for.
        workdir: where objects and the ELF file go.
        flags: for the compiler, after its own.
        harness: files of ``firmware`` that run the program.

    Raises:
        TargetError: a tool is missing, or the program does not compile.
        UsageError: QEMU has no machine for the board.
    """
    program = written.read(folder)
    workdir.mkdir(parents=True, exist_ok=True)
    core = core_flags(board.core)
    (workdir / "edgenet_model.h").write_text(written.glue(program))
    (workdir / "board.ld").write_text(link_script(board))
    (workdir / "board.h").write_text(f"#define BOARD_UART {emulated(board).uart:#x}U\n")
    places = [f"-I{program.sources}", f"-I{workdir}"]
    objects = [
        _compile(path, workdir, [*core, *FLAGS, *flags, *places])
        for path in sorted(program.sources.glob("*.c"))
    ]
    elf, linker_map = workdir / f"{program.name}.elf", workdir / f"{program.name}.map"
    with resources.as_file(resources.files("edgenet.codegen") / "firmware") as firmware:
        around = [
            _compile(
                firmware / file,
                workdir,
                [*core, "-O2", "-ffreestanding", *flags, *places, f"-I{firmware}"],
            )
            for file in harness
        ]
        link = ["-nostartfiles", "--specs=nano.specs", "-Wl,--gc-sections", f"-L{firmware}"]
        link += [f"-T{workdir / 'board.ld'}", f"-Wl,-Map={linker_map}", "-o", str(elf)]
        tools.call([COMPILER, *core, *link, *map(str, [*objects, *around])])
        if shutil.which(HOST_COMPILER) is not None:
            plugin = [HOST_COMPILER, "-O2", "-shared", "-fPIC", str(firmware / "count.c")]
            # SysTick counts where the plugin cannot be built
            with suppress(TargetError):
                tools.call([*plugin, "-o", str(workdir / _PLUGIN)])
    proof = {f"{program.name}_selftest.o", f"{program.name}_en_crc32.o"}
    return Firmware(
        elf=elf,
        board=board,
        flash=elf_file.flash(linker_map.read_text(), {path.name for path in around} | proof),
        ram=dict(elf_file.symbols(elf))["arena"].size,
        layers=len(program.layers),
        inputs=int(program.number("IN_LEN")),
        outputs=int(program.number("OUT_LEN")),
    )


def command(firmware: Firmware, *options: str) -> list[str]:
    """The command that runs firmware."""
    start = [EMULATOR, "-M", emulated(firmware.board).machine, "-nographic", "-monitor", "none"]
    semihosting = ["-semihosting-config", "enable=on,target=native"]
    return [*start, *semihosting, *options, "-kernel", str(firmware.elf)]


def run(firmware: Firmware, inputs: Array, *, plugin: bool | None = None) -> Counted:
    """Run pictures, and count the first.

    Args:
        firmware: to run.
        inputs: int8 (pictures, size).
        plugin: count by the plugin, or by SysTick, which knows neither functions nor layers; None
            for SysTick where this QEMU takes no plugin.

    Raises:
        TargetError: QEMU is missing, the program stopped before its end, or SysTick is too short.
    """
    pictures = np.ascontiguousarray(inputs, np.int8).reshape(len(inputs), -1)
    # the second picture is the one that layers are counted on
    given = np.concatenate([pictures, pictures[:1]]) if len(pictures) == 1 else pictures
    if plugin is None:
        plugin = _takes_plugin(firmware.elf.with_name(_PLUGIN))
    options = ["-serial", "none"]
    if plugin:
        marks = dict(elf_file.symbols(firmware.elf))
        places = ",".join(f"{word}={marks[f'count_{word}'].address:#x}" for word in _MARKS)
        base = emulated(firmware.board).flash.at & ~0xFFFF
        library = firmware.elf.with_name(_PLUGIN)
        options += ["-plugin", f"{library},{places},base={base:#x},out=counts"]
    else:
        options += ["-icount", "shift=0"]
    with TemporaryDirectory(prefix="edgenet-qemu-") as folder:
        work = Path(folder)
        (work / "in.bin").write_bytes(given.tobytes())
        tools.call(command(firmware, *options), work)
        outputs = np.frombuffer((work / "out.bin").read_bytes(), np.int8)
        stack, ticks = _word(work / "stack.bin"), _word(work / "ticks.bin")
        counted = (work / "counts").read_text() if plugin else ""
    found = outputs.reshape(-1, firmware.outputs)[: len(pictures)]
    if plugin:
        functions, layers = _read(counted, firmware.elf)
        return Counted(found, sum(functions.values()), functions, layers, stack)
    if ticks == _WRAPPED:
        raise TargetError(
            "an inference takes more instructions than SysTick can count; use a QEMU from 4.2 to"
            f" 8, and {HOST_COMPILER}, for the plugin that counts any number"
        )
    return Counted(found, round(ticks * emulated(firmware.board).tick), {}, (), stack)


def prove(firmware: Firmware) -> int:
    """What the model's own selftest says: 0, or 1000 times the picture plus the layer that differs.

    Raises:
        TargetError: QEMU is missing, or the program stopped before its end.
    """
    with TemporaryDirectory(prefix="edgenet-qemu-") as folder:
        answer = Path(folder, "prove.bin")
        answer.touch()
        tools.call(command(firmware, "-serial", "none"), Path(folder))
        return _word(answer)


_PLUGIN = "libcount.so"
_MARKS = ("start", "stop", "mark")
_WRAPPED = 0xFFFFFFFF


@cache
def _takes_plugin(library: Path) -> bool:
    """Whether this QEMU loads the plugin: later ones have another interface."""
    if not library.is_file():
        return False
    with TemporaryDirectory(prefix="edgenet-qemu-") as folder:
        idle = ["-M", "none", "-S", "-display", "none", "-monitor", "stdio"]
        plugin = ["-plugin", f"{library},out={Path(folder, 'counts')}"]
        try:
            tools.call([EMULATOR, *idle, *plugin], stdin="quit\n")
        except TargetError:
            return False
    return True


def _word(file: Path) -> int:
    (word,) = struct.unpack("<I", file.read_bytes())
    return int(word)


def _read(counted: str, elf: Path) -> tuple[dict[str, int], tuple[int, ...]]:
    """Counts by function, the longest first, and by layer."""
    names = sorted((symbol.address, name) for name, symbol in elf_file.symbols(elf) if symbol.code)
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


def _compile(source: Path, workdir: Path, flags: Sequence[str]) -> Path:
    target = workdir / f"{source.stem}.o"
    tools.call([COMPILER, *flags, "-c", str(source), "-o", str(target)])
    return target
