"""The compilers that generated C must leave without a word, each for itself a test's parameter."""

from __future__ import annotations

import pytest

WARNINGS = ("-pedantic", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wshadow", "-Wvla")
STRICT = ("-std=c99", *WARNINGS, "-Wstrict-prototypes", "-Wmissing-prototypes")
RISCV = ("-march=rv32imc", "-mabi=ilp32", "--specs=picolibc.specs")

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
    pytest.param(
        ("riscv64-unknown-elf-gcc", *RISCV, *STRICT),
        marks=[pytest.mark.tool("riscv64-unknown-elf-gcc"), pytest.mark.slow],
        id="riscv",
    ),
]
