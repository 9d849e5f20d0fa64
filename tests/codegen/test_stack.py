"""The stack that the header promises: the frames of every path through a program, added up."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import chains
import pytest
from networks import everything

from edgenet.codegen import emit
from edgenet.codegen.program import STACK, Program, program
from edgenet.codegen.rows import Rows

LIBRARY = 96
"""Bytes allowed for a function of the C library or the compiler's: memcpy, __aeabi_lmul."""
_NODE = re.compile(r'node: \{ title: "([^"]+)" label: "[^"]*?\\n(\d+) bytes \((\w+)\)')
_EDGE = re.compile(r'edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"')
_ASSEMBLED = re.compile(r"^[0-9a-f]{8} <(\w+)>:\n((?:.+\n)*)", re.M)


def pushed(lines: str) -> int:
    """Bytes that a function in assembly takes: of all its pushes, wherever they are."""
    found = re.findall(r"\tsub(?:\.w|w)?\tsp, (?:sp, )?#(\d+)", lines)
    total = sum(int(size) for size in found)
    for line in re.findall(r"\t(?:v?push|stmdb\tsp!,).*", lines):
        for first, last in re.findall(r"\bd(\d+)-d(\d+)", line):
            total += 8 * (int(last) - int(first) + 1)
        total += 4 * len(re.findall(r"\b(?:r\d+|sl|fp|ip|lr)\b", line.partition("{")[2]))
    return total


def frames(folder: Path, work: Path, core: str) -> tuple[dict[str, int], dict[str, set[str]]]:
    """Bytes of each function's frame, and what it calls; by name, static ones with their file."""
    sources = sorted((folder / "src").glob("*.c"))
    command = ["arm-none-eabi-gcc", f"-mcpu={core}", "-mthumb", "-std=c99", "-O2"]
    subprocess.run(
        [*command, "-fcallgraph-info=su", f"-I{folder}/src", "-c", *sources], cwd=work, check=True
    )
    sizes: dict[str, int] = {}
    calls: dict[str, set[str]] = {}
    for file in work.glob("*.ci"):
        text = file.read_text()
        for name, size, kind in _NODE.findall(text):
            assert kind == "static", name
            sizes[name] = int(size)
        for caller, called in _EDGE.findall(text):
            calls.setdefault(caller, set()).add(called)
    dump = ["arm-none-eabi-objdump", "-d", *work.glob("*.o")]
    found = subprocess.run(dump, capture_output=True, text=True, check=True).stdout
    for name, body in _ASSEMBLED.findall(found):
        sizes.setdefault(name, pushed(body))
    return sizes, calls


def deepest(sizes: Mapping[str, int], calls: Mapping[str, set[str]], start: str) -> int:
    """Bytes of the deepest path; a chain's rows are the only functions called by address."""
    rows = {name for name in sizes if name.endswith("_row") and ":" in name}

    @cache
    def below(name: str) -> int:
        assert name in sizes or name.startswith(("mem", "__aeabi")), name
        after = set(calls.get(name, ()))
        if "__indirect_call" in after:
            after = after - {"__indirect_call"} | (rows if "en_rows" in name else set())
        return sizes.get(name, LIBRARY) + max(map(below, after), default=0)

    return below(start)  # a cycle would end in RecursionError


def in_rows() -> Program:
    *_, made = chains.budgets(chains.separable(3), 2)
    assert any(isinstance(layer, Rows) for layer in made.layers)
    return made


@pytest.mark.tool("arm-none-eabi-gcc")
@pytest.mark.parametrize(
    "core",
    [
        pytest.param("cortex-m0plus", marks=pytest.mark.slow),
        pytest.param("cortex-m3", marks=pytest.mark.slow),
        "cortex-m4",
        "cortex-m55",
    ],
)
@pytest.mark.parametrize("made", [lambda: program(everything(), "net"), in_rows])
def test_no_path_through_a_program_takes_more_stack_than_its_header_says(made, core, tmp_path):
    """The caller's hook is not in it: that is the caller's."""
    found = made()
    emit.write(found, tmp_path / "c")
    sizes, calls = frames(tmp_path / "c", tmp_path, core)
    assert (
        f"{found.name.upper()}_STACK_BYTES {STACK}u"
        in next((tmp_path / "c" / "src").glob(f"{found.name}.h")).read_text()
    )
    total = deepest(sizes, calls, f"{found.name}_run")
    assert 100 < total <= STACK
    assert deepest(sizes, calls, f"{found.name}_selftest") <= STACK
