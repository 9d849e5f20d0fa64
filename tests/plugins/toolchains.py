"""What builds and runs a C program that watches itself: for this machine, and for the DSP flavour.

ARMv7-A has the instructions of that flavour, and Linux there has the sanitizers.  They see what the
compiler made; what assembly reads and writes is caught by memory between guard pages instead
(tests/codegen/guarded.c).
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pytest

GUARDED = Path(__file__).parents[1] / "codegen" / "guarded.c"
SANITIZERS = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
DSP = ("arm-linux-gnueabihf-gcc", "-march=armv7-a+fp", "-mthumb")
EMULATOR = "qemu-arm-static"


@dataclass(frozen=True)
class Toolchain:
    """A compiler with its flags, and how its programs run here.

    Attributes:
        compiler: the command, its flags, and sources that every program has.
        pointer: bytes of a pointer.
        variables: of the environment.
        emulated: whether another processor's.
    """

    compiler: tuple[str, ...]
    pointer: int = 8
    variables: dict[str, str] = field(default_factory=dict)
    emulated: bool = False

    def build(self, arguments: Sequence[str | Path], program: Path) -> None:
        """Compile and link."""
        command = [*self.compiler, *map(str, arguments), "-o", str(program)]
        subprocess.run(command, check=True)

    def command(self, program: Path) -> list[str]:
        """What runs a program."""
        return [EMULATOR, "-L", self._root, str(program)] if self.emulated else [str(program)]

    @property
    def environment(self) -> dict[str, str]:
        """What a program is run in."""
        return os.environ | self.variables

    @cached_property
    def _root(self) -> str:
        """Where that processor's C library is."""
        asked = [self.compiler[0], "-print-file-name=libc.so.6"]
        library = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
        return str(Path(library.strip()).resolve().parents[1])


HOST = Toolchain(("cc", *SANITIZERS))
# LeakSanitizer stops a process, which the emulator cannot
DSP_SANITIZED = Toolchain((*DSP, *SANITIZERS), 4, {"ASAN_OPTIONS": "detect_leaks=0"}, emulated=True)
_WRAPPED = (*DSP, "-O2", "-Wl,--wrap=malloc,--wrap=free", str(GUARDED))
DSP_GUARDED = {
    side: Toolchain(_WRAPPED, 4, {"GUARD": side}, emulated=True) for side in ("before", "behind")
}

_ON_ARM = [
    pytest.mark.slow,
    pytest.mark.tool("arm-linux-gnueabihf-gcc"),
    pytest.mark.tool("qemu-arm-static"),
]
WATCHED = [
    pytest.param(HOST, marks=pytest.mark.tool("cc"), id="sanitized"),
    pytest.param(DSP_SANITIZED, marks=_ON_ARM, id="dsp-sanitized"),
    *(
        pytest.param(toolchain, marks=_ON_ARM, id=f"dsp-guarded-{side}")
        for side, toolchain in DSP_GUARDED.items()
    ),
]
"""Each a test's parameter."""
