"""The kernels of a program: which C files it needs, and its own names for what is in them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import resources

_INCLUDED = re.compile(r'#include "(\w+\.h)"')
_CALLED = re.compile(r"\b(en_\w+)\(")
# a definition begins its line and is not inline
_DEFINED = re.compile(r"^(?=(?:static )?(?!static|typedef)[\w ]+[ *]\w+\([^;{}]*\)\n\{)", re.M)
_ASSEMBLED = re.compile(r'"\.section \.text\.([^",]+),')
_COLD = ("en_crc32", "en_image")


def files(functions: Iterable[str], name: str) -> dict[str, str]:
    """The files of kernels, and of what they include and call, by name.

    Every identifier has the model's name before it, so that two models link into one program.
    Functions that inference calls can be put into a section of fast memory (``EN_HOT``).

    Args:
        functions: the kernels that are called.
        name: of the model.
    """
    folder = resources.files("edgenet.codegen") / "c"
    wanted = [f"{function}.c" for function in functions]
    found: dict[str, str] = {}
    while wanted:
        file = wanted.pop()
        if file in found:
            continue
        source = (folder / file).read_text("utf-8")
        found[file] = source if file.startswith(_COLD) else _hooked(source)
        wanted += _INCLUDED.findall(source)
        used = (f"{function}.c" for function in _CALLED.findall(source))
        wanted += [other for other in used if (folder / other).is_file()]
    return {_own(file, name): _own(found[file], name) for file in sorted(found)}


def _hooked(source: str) -> str:
    assembled = _ASSEMBLED.sub(r'".section " EN_CODE("\1") ",', source)
    return _DEFINED.sub(lambda match: "" if _inline(assembled, match) else "EN_HOT\n", assembled)


def _inline(source: str, match: re.Match[str]) -> bool:
    return "inline" in source[match.start() :].partition("(")[0]


def _own(source: str, name: str) -> str:
    small = re.sub(r"\ben_(?=[a-z0-9])", f"{name}_en_", source)
    return re.sub(r"\bEN_(?=[A-Z0-9])", f"{name.upper()}_EN_", small)
