"""Runs a written program on this machine, compiled by its own compiler: the device's arithmetic."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np

from edgenet.codegen.program import Program
from edgenet.errors import TargetError
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


def _build(name: str, folder: Path, workdir: Path) -> Path:
    compiler = shutil.which("cc")
    if compiler is None:
        raise TargetError("no C compiler, cc, is installed; it builds programs for this machine")
    workdir.mkdir(parents=True, exist_ok=True)
    library = workdir / f"{name}.so"
    sources = [str(path) for path in sorted(folder.glob("src/*.c"))]
    command = [compiler, *_FLAGS, *sources, "-o", str(library)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise TargetError(f"{compiler} refuses {folder}: {' '.join(done.stderr.split())[-400:]}")
    return library
