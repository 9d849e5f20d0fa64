"""The compilers that generated C must leave without a word, each for itself a test's parameter."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

WARNINGS = ("-pedantic", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wshadow", "-Wvla")
STRICT = ("-std=c99", *WARNINGS, "-Wstrict-prototypes", "-Wmissing-prototypes")
RISCV = ("-march=rv32imc", "-mabi=ilp32", "--specs=picolibc.specs")


def _newlib() -> tuple[str, ...]:
    """The C library's headers for Cortex-M, which clang finds by itself only for its own target."""
    if shutil.which("arm-none-eabi-gcc") is None:
        return ()
    command = ["arm-none-eabi-gcc", "-print-file-name=libc.a"]
    library = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return "-isystem", str(Path(library).resolve().parents[1] / "include")


_CLANG_ARM = ("--target=arm-none-eabi", "-mthumb", "-mfloat-abi=soft", *_newlib())

COMPILERS = [
    pytest.param(("gcc", *STRICT), marks=pytest.mark.tool("cc"), id="gcc"),
    pytest.param(("g++", "-x", "c++", *WARNINGS), marks=pytest.mark.tool("cc"), id="g++"),
    pytest.param(
        ("clang", *STRICT), marks=[pytest.mark.tool("clang"), pytest.mark.slow], id="clang"
    ),
    pytest.param(
        ("clang++", "-x", "c++", *WARNINGS),
        marks=[pytest.mark.tool("clang"), pytest.mark.slow],
        id="clang++",
    ),
    *(
        pytest.param(
            ("arm-none-eabi-gcc", f"-mcpu=cortex-{core}", "-mthumb", *STRICT),
            marks=[
                pytest.mark.tool("arm-none-eabi-gcc"),
                *([] if core == "m4" else [pytest.mark.slow]),
            ],
            id=core,
        )
        for core in ("m0plus", "m4", "m55")
    ),
    *(
        pytest.param(
            (compiler, f"-mcpu=cortex-{core}", *flags),
            marks=[
                pytest.mark.tool(compiler),
                pytest.mark.tool("arm-none-eabi-gcc"),
                pytest.mark.slow,
            ],
            id=f"{compiler}-{core}",
        )
        for core in ("m4", "m55")
        for compiler, *flags in (
            ("clang", *_CLANG_ARM, *STRICT),
            ("arm-none-eabi-g++", "-mthumb", "-x", "c++", *WARNINGS),
        )
    ),
    pytest.param(
        ("riscv64-unknown-elf-gcc", *RISCV, *STRICT),
        marks=[pytest.mark.tool("riscv64-unknown-elf-gcc"), pytest.mark.slow],
        id="riscv",
    ),
]
