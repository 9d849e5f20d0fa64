"""A bundle's model on a microcontroller: compiled here, in QEMU, or flashed and at a port."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from edgenet.board import Board, emulated
from edgenet.bundle import Bundle
from edgenet.codegen import qemu, tools
from edgenet.codegen.emulated import Emulated
from edgenet.codegen.native import Library
from edgenet.codegen.qemu import Counted, Firmware
from edgenet.codegen.written import Written
from edgenet.errors import TargetError, UsageError
from edgenet.mcu import budget, link, make
from edgenet.mcu.link import Hello, Link, Stream
from edgenet.mcu.make import VARIANT
from edgenet.mcu.session import BoardEngine, BoardSession
from edgenet.runner import Array, Footprint

HOST = "host"


@dataclass(frozen=True, slots=True)
class Cycles:
    """What a real board counted of one inference.

    Attributes:
        counter: ``dwt``, ``systick`` or ``own``.
        cycles: of the whole.
        layers: of each layer.
    """

    counter: str
    cycles: int
    layers: tuple[int, ...]


class Device:
    """A board that runs the int8 model of a bundle.

    Args:
        bundle: an opened bundle.
        board: to run on.
        port: of a real board; None for QEMU, or for this machine.
        opened: opens the port.

    Attributes:
        bundle: as given.
        board: as given.
        port: as given.
        variant: the int8 .tflite.
        parallel: whether pictures may run at the same time.

    Raises:
        BundleError: the bundle holds no int8 .tflite.
    """

    def __init__(
        self,
        bundle: Bundle,
        board: Board,
        port: str | None = None,
        *,
        opened: Callable[[str], Stream] = link.open_port,
    ) -> None:
        self.bundle = bundle
        self.board = board
        self.port = port
        self.variant = VARIANT
        self.parallel = port is None
        self._record = bundle.record(VARIANT)
        self._opened = opened
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._closing: list[Callable[[], None]] = []

    def prepare(self, workdir: Path | None = None) -> Footprint:
        """Build the program and start it, or find it at the port.

        Args:
            workdir: where it is built; a folder of its own without one.

        Raises:
            ExportError: it does not fit the board.
            TargetError: a tool is missing, or the board does not answer or runs another model.
        """
        if workdir is None:
            self._folder = tempfile.TemporaryDirectory(prefix="edgenet-mcu-")
            workdir = Path(self._folder.name)
        self._workdir = workdir
        needs = budget.of_written(self.program)
        needs.check(self.board)
        if self.port is not None:
            return Footprint(ram_static=self.hello.arena)
        if self.board.core == HOST:
            return Footprint(ram_static=self.library.arena_bytes)
        built = self.firmware
        replace(needs, code=built.flash - needs.constants).check(self.board)
        return Footprint(flash=built.flash, ram_static=built.ram)

    @cached_property
    def program(self) -> Written:
        """The bundle's own C, or C made of its model where it has none."""
        found = make.written_in(self.bundle)
        return found or make.write(self.bundle, self._workdir / "c")

    @cached_property
    def library(self) -> Library:
        """The program for this machine."""
        return Library(self.program.folder, self._workdir / "build")

    @cached_property
    def firmware(self) -> Firmware:
        """The program for the board."""
        if reason := tools.lacking(tools.EMULATOR):
            raise TargetError(reason)
        return qemu.build(self.program.folder, self.board, self._workdir / "build")

    @cached_property
    def link(self) -> Link:
        """The board at the port."""
        assert self.port is not None
        found = Link(self._opened(self.port), self.port)
        self._closing.append(found.close)
        return found

    @cached_property
    def hello(self) -> Hello:
        """What the board at the port says of itself.

        Raises:
            TargetError: it does not answer, or runs another model.
        """
        found = self.link.hello()
        if found.digest != self.program.digest:
            raise TargetError(
                f"the board at {self.port} runs {found.name} ({found.digest}), this bundle has"
                f" {self.program.name} ({self.program.digest}); flash the firmware of this bundle"
            )
        for what, told, macro in (
            ("a picture", found.inputs, "IN_LEN"),
            ("an output", found.outputs, "OUT_LEN"),
            ("the arena", found.arena, "ARENA_BYTES"),
            ("layers", found.layers, "LAYERS"),
        ):
            expected = int(self.program.number(macro))
            if told != expected:
                raise TargetError(
                    f"the firmware at {self.port} was generated otherwise than this bundle: of"
                    f" {what} it tells {told:,}, and here are {expected:,}; flash the firmware of"
                    " this bundle"
                )
        return found

    @property
    def counts_instructions(self) -> bool:
        """Whether QEMU runs the program."""
        return self.port is None and self.board.core != HOST

    @property
    def engine(self) -> BoardEngine:
        """What the commands run the model on."""
        return BoardEngine(self.describe(), self._session)

    def describe(self) -> str:
        """What runs the model, with the versions of its tools."""
        if self.port is not None:
            return f"C on the board at {self.port}"
        if self.board.core == HOST:
            return f"C on this machine, {tools.version(tools.HOST_COMPILER)}"
        compiler, emulator = tools.version(tools.COMPILER), tools.version(tools.EMULATOR)
        machine = f"QEMU's {emulated(self.board).machine}"
        place = machine if self.board.emulation else f"{machine} for {self.board.name}"
        return f"C on {place}, {compiler}, {emulator}"

    def prove(self) -> int:
        """What the model's own selftest says there: 0, or where it differs (``qemu.prove``)."""
        if self.port is not None:
            return self.link.selftest()
        if self.board.core == HOST:
            return self.library.prove(self.library.arena())
        return qemu.prove(self.firmware)

    def count(self, codes: Array) -> Counted | Cycles:
        """What one inference takes: instructions in QEMU, cycles on a real board.

        Args:
            codes: int8 (1, size), the input.

        Raises:
            UsageError: this machine counts nothing.
            TargetError: the board has no counter.
        """
        if self.port is not None:
            return self._cycles(codes)
        if self.board.core == HOST:
            raise UsageError(
                "no instructions are counted on board host; choose one that QEMU runs, such as"
                " --board mps2-an386"
            )
        return qemu.run(self.firmware, codes)

    def close(self) -> None:
        """Stop what runs."""
        for close in self._closing:
            close()
        self._closing.clear()
        if self._folder is not None:
            self._folder.cleanup()

    def _session(self) -> BoardSession:
        return BoardSession(self._record, self.program, self._answering(), engine=self.describe())

    def _answering(self) -> Callable[[Array], Array]:
        if self.port is not None:
            return self._at_port
        if self.board.core == HOST:
            library, arena = self.library, self.library.arena()
            return lambda codes: library.answer(arena, codes)
        running = Emulated(self.firmware)
        self._closing.append(running.close)
        return running.answer

    def _at_port(self, codes: Array) -> Array:
        rows = []
        for picture in codes:
            self.link.write(picture.tobytes())
            self.link.run()
            rows.append(self.link.output(self.hello.outputs))
        return np.frombuffer(b"".join(rows), np.int8).reshape(len(codes), -1)

    def _cycles(self, codes: Array) -> Cycles:
        counter = self.hello.counter
        if not counter:
            raise TargetError(
                f"the firmware at {self.port} counts no cycles; build it with"
                " -DEDGENET_SERIAL_SYSTICK or with a counter of your own (docs/serial.md)"
            )
        self.link.write(codes[0].tobytes())
        whole = self.link.run()
        self.link.write(codes[0].tobytes())
        self.link.run(by_layer=True)
        layers = self.link.layers(self.hello.layers)
        if link.TOO_LONG in layers:
            name = self.program.layers[layers.index(link.TOO_LONG)].name
            raise TargetError(
                f"layer {name} takes more cycles than the counter at {self.port} ({counter}) can"
                " count; build the firmware with -DEDGENET_SERIAL_CYCLES and a counter of 32 bits"
                " (docs/serial.md)"
            )
        # the whole is told modulo 2^32, the layers say how often that passed
        passed = round((sum(layers) - whole) / 2**32)
        return Cycles(counter, whole + (passed << 32), layers)
