"""Names of programs: no header that a compiler looks for, nothing that builds or firmware have."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from edgenet.board import load as board
from edgenet.codegen import emit, names, qemu
from edgenet.codegen.program import program
from edgenet.errors import UsageError
from edgenet.mcu import make

TINY = Path(__file__).parents[1] / "golden" / "tiny" / "models" / "int8.tflite"
STANDARD = (
    "assert", "ctype", "errno", "float", "inttypes", "iso646", "limits", "locale", "math", "setjmp",
    "signal", "stdalign", "stdarg", "stdbool", "stddef", "stdint", "stdio", "stdlib", "string",
    "time", "wchar", "wctype",
)  # fmt: skip
COMPILERS = [
    pytest.param((name, *flags), marks=pytest.mark.tool(name), id=f"{name}{flags[-1]}")
    for name, *flags in (
        ("cc", "-xc"),
        ("cc", "-xc++"),
        ("arm-none-eabi-gcc", "-mthumb", "-mcpu=cortex-m4", "-xc"),
        ("riscv64-unknown-elf-gcc", "--specs=picolibc.specs", "-xc"),
        ("clang", "-xc"),
    )
]


@pytest.mark.parametrize("compiler", COMPILERS)
def test_no_header_that_standard_headers_are_or_include_can_be_a_models_name(compiler):
    lines = "".join(f"#include <{word}.h>\n" for word in STANDARD)
    done = subprocess.run(
        [*compiler, "-M", "-"], input=lines, capture_output=True, text=True, check=False
    )
    assert not done.returncode, done.stderr
    paths = [Path(word) for word in done.stdout.split() if word.endswith(".h")]
    # only what lies at a root of the search path can be shadowed by a file of that name
    roots = {path.parent for path in paths if path.stem in STANDARD}
    found = {
        path.stem
        for path in paths
        if path.parent in roots and path.parent.name in ("include", "include-fixed", "newlib")
    }
    usable = {stem for stem in found if re.fullmatch(r"[a-z][a-z0-9_]{0,30}", stem)}
    assert {"stdint", "string", "limits"} <= usable
    assert not {stem for stem in usable if not names.refusal(stem)}


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("string", "string.h is a header of C libraries; choose another, string_net for one"),
        ("test", "build tools and linkers have a meaning of their own for test"),
        ("main", "edgenet's firmware has a file of that name"),
    ],
)
def test_names_that_are_taken_are_refused_and_another_is_proposed(name, why):
    with pytest.raises(UsageError, match=re.escape(f"{name!r} cannot be the name of a ")) as said:
        program(TINY.read_bytes(), name)
    assert why in str(said.value)
    assert not names.refusal(names.free(name))
    assert names.free("flowers") == "flowers"


def test_a_bundles_name_that_is_taken_gets_something_behind_it():
    assert make.identifier("STDINT") == "stdint_net"
    assert make.identifier("model") == "model"


@pytest.mark.tool("arm-none-eabi-gcc")
@pytest.mark.tool("qemu-system-arm")
def test_a_model_may_be_called_model(tmp_path):
    """As the names are that firmware uses for every model."""
    emit.write(program(TINY.read_bytes(), "model"), tmp_path / "c")
    assert qemu.build(tmp_path / "c", board("mps2-an386"), tmp_path / "build").outputs == 6
