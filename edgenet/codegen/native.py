"""Runs a written program on this machine, compiled by its own compiler: the device's arithmetic."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import numpy as np

from edgenet.codegen import template, tools, written
from edgenet.int8.graph import Array

_FLAGS = ("-std=c99", "-O2", "-shared", "-fPIC")
_OUTPUT = re.compile(r"OUT\d*_LEN")
_HOOK = ctypes.CFUNCTYPE(
    None, ctypes.c_void_p, ctypes.c_uint32, ctypes.POINTER(ctypes.c_int8), ctypes.c_uint32
)


class Library:
    """A written program, built and loaded; many pictures at once where it has one input and output.

    Args:
        folder: that was written.
        workdir: where the library goes.

    Raises:
        TargetError: there is no C compiler, or it refuses the program.
    """

    def __init__(self, folder: Path, workdir: Path) -> None:
        self._program = program = written.read(folder)
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

    def run(self, inputs: Sequence[Array]) -> tuple[tuple[Array, ...], list[Array]]:
        """Outputs and every layer's output, int8 and flat, of one picture.

        Args:
            inputs: int8 codes, any shape, one array an input.
        """
        arena = self.arena()
        for number, codes in enumerate(inputs):
            self._end(arena, "input", number)[:] = np.ravel(codes)
        layers: list[Array] = []

        def keep(
            context: object, layer: int, output: ctypes._Pointer[ctypes.c_int8], size: int
        ) -> None:
            layers.append(np.ctypeslib.as_array(output, (size,)).copy())

        function = getattr(self._library, f"{self._program.name}_run_hooked")
        function(ctypes.c_void_p(arena.ctypes.data), _HOOK(keep), None)
        count = sum(bool(_OUTPUT.fullmatch(word)) for word in self._program.macros)
        return tuple(self._end(arena, "output", n).copy() for n in range(count)), layers

    def _end(self, arena: Array, kind: str, number: int) -> Array:
        """Where an input or output lies in an arena."""
        word = {"input": "IN", "output": "OUT"}[kind] + template.count(number)
        suffix = template.count(number, lower=True)
        function = getattr(self._library, f"{self._program.name}_{kind}{suffix}")
        function.restype = ctypes.POINTER(ctypes.c_int8)
        place = function(ctypes.c_void_p(arena.ctypes.data))
        return np.ctypeslib.as_array(place, (int(self._program.number(f"{word}_LEN")),))

    def prove(self, arena: Array) -> int:
        """What the model's own selftest says, as ``qemu.prove`` does."""
        return int(self._library.edgenet_prove(ctypes.c_void_p(arena.ctypes.data)))


def _build(name: str, folder: Path, workdir: Path, more: Sequence[str] = ()) -> Path:
    workdir.mkdir(parents=True, exist_ok=True)
    library = workdir / f"{name}.so"
    sources = [str(path) for path in sorted(folder.glob("src/*.c"))]
    tools.call([tools.HOST_COMPILER, *_FLAGS, *more, *sources, "-o", str(library)])
    return library
