"""A folder that ``emit.write`` wrote, read back: what it holds, without planning it again."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from edgenet.errors import TargetError

_DEFINE = re.compile(r'^#define (\w+) \(?"?([^"\s)]+?)[uf]?"?\)?(?: |$)', re.M)


class Layer(NamedTuple):
    """A layer of the report: its name, the kernel that runs it, and its multiplications."""

    name: str
    kernel: str
    macs: int


@dataclass(frozen=True, slots=True)
class Written:
    """A generated program.

    Attributes:
        folder: with ``src`` in it.
        name: prefix of its files and identifiers.
        macros: of its header, without the prefix.
        layers: in order.
        fullest: the layer at which the arena is full.
    """

    folder: Path
    name: str
    macros: dict[str, str]
    layers: tuple[Layer, ...]
    fullest: str

    @property
    def sources(self) -> Path:
        """The folder of C files."""
        return self.folder / "src"

    @property
    def digest(self) -> str:
        """Of the model, as the firmware tells it."""
        return self.macros["DIGEST"]

    def number(self, macro: str) -> float:
        """A number of the header."""
        return float(self.macros[macro])


def read(folder: Path) -> Written:
    """Read a generated folder.

    Raises:
        TargetError: it holds no generated program.
    """
    found = sorted(folder.glob("src/*_golden.h"))
    if not found:
        raise TargetError(f"{folder} holds no generated program; edgenet.codegen.emit writes one")
    name = found[0].name.removesuffix("_golden.h")
    header = (folder / "src" / f"{name}.h").read_text(encoding="utf-8")
    prefix = f"{name.upper()}_"
    macros: dict[str, str] = {}
    for word, value in _DEFINE.findall(header):
        if word.startswith(prefix):
            known = macros.setdefault(word.removeprefix(prefix), value)
            if known.isdigit() and int(known) < int(value):  # flavours differ: the most counts
                macros[word.removeprefix(prefix)] = value
    report = json.loads((folder / "REPORT.json").read_text(encoding="utf-8"))
    layers = tuple(Layer(row["layer"], row["kernel"], row["macs"]) for row in report["layers"])
    ends = [max((one["end"] for one in row["regions"]), default=0) for row in report["layers"]]
    fullest = layers[ends.index(max(ends))].name if layers else "the input"
    return Written(folder, name, macros, layers, fullest)


def glue(written: Written) -> str:
    """A header with names that any firmware can use: ``MODEL_...`` and ``model_...``."""
    words = ("DIGEST", "ARENA_BYTES", "IN_LEN", "OUT_LEN", "LAYERS")
    functions = ("input", "output", "run", "run_hooked", "selftest", "en_crc32")
    name, upper = written.name, written.name.upper()
    given = {f"MODEL_{word}": f"{upper}_{word}" for word in words}
    given |= {f"model_{function}": f"{name}_{function}" for function in functions}
    lines = [
        f"/* {written.name} under names that firmware of any model can use */",
        "#ifndef EDGENET_MODEL_H",
        "#define EDGENET_MODEL_H",
        "",
        f'#include "{written.name}.h"',
        f'#include "{written.name}_en_crc32.h"',
        "",
        f'#define MODEL_NAME "{written.name}"',
        *(f"#define {own} {its}" for own, its in given.items() if own != its),
        "",
        "#endif",
    ]
    return "\n".join(lines) + "\n"
