"""Python values as C text: arrays, structs, and names."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping

from edgenet.codegen.call import Constant, Field
from edgenet.int8.graph import Array

WIDTH = 100
INDENT = "    "


def array(ctype: str, name: str, values: Array, *, storage: str = "const") -> str:
    """A definition of an array.

    Args:
        ctype: of one element.
        name: identifier.
        values: integers, or structs of them; more axes than one become nested braces.
        storage: what stands before the type.
    """
    sizes = "".join(f"[{size}]" for size in values.shape)
    return f"{storage} {ctype} {name}{sizes} = {_braces(values)};\n"


def _braces(values: Array) -> str:
    if values.dtype.names:
        rows = [
            "{" + ", ".join(_row(row[name]) for name in values.dtype.names) + "}" for row in values
        ]
        return "{\n" + "".join(f"{INDENT}{row},\n" for row in rows) + "}"
    if values.ndim > 1:
        return "{\n" + ",\n".join(_braces(part) for part in values) + "\n}"
    return "{\n" + _wrapped(", ".join(map(number, values.tolist()))) + "\n}"


def _row(values: Array) -> str:
    if not values.ndim:
        return number(int(values))
    return "{" + ", ".join(map(number, values.tolist())) + "}"


def _wrapped(words: str) -> str:
    return textwrap.fill(
        words, WIDTH, initial_indent=INDENT, subsequent_indent=INDENT, break_on_hyphens=False
    )


def number(value: int) -> str:
    """An integer constant that fits its type without a warning."""
    if value == -(2**31):
        return "(-2147483647 - 1)"
    return f"{value}U" if value >= 2**31 else str(value)


def string(value: str) -> str:
    r"""A string literal of its UTF-8; what is not plain ASCII is written in octal.

    >>> string('rosé "1"')
    '"ros\\303\\251 \\"1\\""'
    """
    plain = set(range(32, 127)) - set(b'"\\?')
    return (
        '"'
        + "".join(
            chr(b) if b in plain else f"\\{chr(b)}" if b in b'"\\?' else f"\\{b:03o}"
            for b in value.encode()
        )
        + '"'
    )


def struct(fields: Mapping[str, Field], name_of: Callable[[Constant], str], depth: int = 1) -> str:
    """An initializer, field by field, each with its name in a comment.

    Args:
        fields: in the order of the struct; constants become names.
        name_of: the name of a constant.
        depth: of indentation.
    """
    lines = []
    for name, value in fields.items():
        if isinstance(value, Constant):
            text = name_of(value)
        elif isinstance(value, Mapping):
            text = struct(value, name_of, depth + 1)
        elif isinstance(value, tuple):
            text = "{" + ", ".join(map(number, value)) + "}"
        else:
            text = number(value)
        lines.append(f"{INDENT * depth}/* {name} */ {text}")
    return "{\n" + ",\n".join(lines) + "\n" + INDENT * (depth - 1) + "}"


def identifier(name: str) -> str:
    """``CONV_2D 3`` as ``conv_2d_3``."""
    return name.lower().replace(" ", "_")
