"""Runs a written program on this machine, compiled by its own compiler: the device's arithmetic."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path

import numpy as np

from edgenet.codegen import tools, written
from edgenet.codegen.program import Program
from edgenet.int8.graph import Array

_FLAGS = ("-std=c99", "-O2", "-shared", "-fPIC")
_HOOK = ctypes.CFUNCTYPE(
    None, ctypes.c_void_p, ctypes.c_uint32, ctypes.POINTER(ctypes.c_int8), ctypes.c_uint32
)


class Native:
    """One program, built and loaded.

    Args:
        program: that was written.
        folder: where it was written to.
        workdir: where the library goes.

    Raises:
        TargetError: there is no C compiler, or it refuses the program.
    """

    def __init__(self, program: Program, folder: Path, workdir: Path) -> None:
        self._program = program
        library = ctypes.CDLL(str(_build(program.name, folder, workdir)))
        self._run = getattr(library, f"{program.name}_run_hooked")
        self._run.restype = None
        self.selftest = self._selftest(getattr(library, f"{program.name}_selftest"))
        # aligned to 16 by hand: numpy promises no more than 8 on every platform
        self._memory = np.zeros(program.plan.size + 16, np.int8)
        start = -self._memory.ctypes.data % 16
        self._arena = self._memory[start : start + program.plan.size]

    def run(self, inputs: tuple[Array, ...]) -> tuple[tuple[Array, ...], list[Array]]:
        """Outputs and every layer's output, int8 and flat, of one picture.

        Args:
            inputs: int8 codes, any shape, one array an input.
        """
        graph, addresses = self._program.graph, self._program.plan.addresses
        for port, codes in zip(graph.inputs, inputs, strict=True):
            start = addresses[port.value]
            self._arena[start : start + codes.size] = np.ravel(codes)
        layers: list[Array] = []

        def keep(
            context: object, layer: int, output: ctypes._Pointer[ctypes.c_int8], size: int
        ) -> None:
            layers.append(np.ctypeslib.as_array(output, (size,)).copy())

        self._run(self._pointer(), _HOOK(keep), None)
        outputs = []
        for port in graph.outputs:
            start = addresses[port.value]
            outputs.append(self._arena[start : start + graph.values[port.value].size].copy())
        return tuple(outputs), layers

    def _pointer(self) -> ctypes.c_void_p:
        return ctypes.c_void_p(self._arena.ctypes.data)

    def _selftest(self, function: Callable[..., int]) -> Callable[[], int]:
        """0, or which layer of which picture differs from what was expected."""
        return lambda: function(self._pointer())


class Library:
    """A written program with one input and one output, built and loaded; made for many pictures.

    Args:
        folder: that was written.
        workdir: where the library goes.

    Raises:
        TargetError: there is no C compiler, or it refuses the program.
    """

    def __init__(self, folder: Path, workdir: Path) -> None:
        program = written.read(folder)
        workdir.mkdir(parents=True, exist_ok=True)
        (workdir / "edgenet_model.h").write_text(written.glue(program))
        with resources.as_file(resources.files("edgenet.codegen") / "firmware") as firmware:
            own = [f"-I{workdir}", f"-I{program.sources}", str(firmware / "batch.c")]
            self.path = _build(program.name, folder, workdir, own)
        self.inputs = int(program.number("IN_LEN"))
        self.outputs = int(program.number("OUT_LEN"))
        self._library = ctypes.CDLL(str(self.path))
        self.arena_bytes = int(self._library.edgenet_arena_bytes())

    def arena(self) -> Array:
        """Memory for one picture at a time, aligned to 16 bytes; each thread has its own."""
        memory = np.zeros(self.arena_bytes + 16, np.int8)
        start = -memory.ctypes.data % 16
        return memory[start : start + self.arena_bytes]

    def answer(self, arena: Array, inputs: Array) -> Array:
        """Outputs, int8 (pictures, size), of inputs int8 (pictures, size); other threads go on."""
        given = np.ascontiguousarray(inputs, np.int8)
        found = np.empty((len(given), self.outputs), np.int8)
        places = [ctypes.c_void_p(array.ctypes.data) for array in (arena, given, found)]
        self._library.edgenet_answer(*places, ctypes.c_uint32(len(given)))
        return found

    def prove(self, arena: Array) -> int:
        """What the model's own selftest says, as ``qemu.prove`` does."""
        return int(self._library.edgenet_prove(ctypes.c_void_p(arena.ctypes.data)))


def _build(name: str, folder: Path, workdir: Path, more: Sequence[str] = ()) -> Path:
    workdir.mkdir(parents=True, exist_ok=True)
    library = workdir / f"{name}.so"
    sources = [str(path) for path in sorted(folder.glob("src/*.c"))]
    tools.call([tools.HOST_COMPILER, *_FLAGS, *more, *sources, "-o", str(library)])
    return library
